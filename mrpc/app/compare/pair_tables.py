"""What is compared as tables: pairs, kinds of pairs, behavioural tests, baselines, a person's own pairs.

The id of a row says which pair it is: "validation:12", "train:5", or "changed number:3" for a case of a
behavioural test. :func:`find_row` reads it, and "validation:any" for any row of a split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, Unpack

from mrpc.app.compare.sides import Both, class_words
from mrpc.app.format import Column, ColumnOptions, Table, column, marked, table
from mrpc.app.inputs import check_whole, find_split
from mrpc.core.analysis.statistics import SIGNIFICANT_P
from mrpc.core.data.pairs import SPLITS, WORDS, SentencePair, Words
from mrpc.core.text.wording import mark_differences
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import CaseAnswer, TestResult
    from mrpc.app.compare.cartography import MappedPair
    from mrpc.app.compare.changes import ComparedPair, KindScore
    from mrpc.app.compare.comparisons import Comparisons, OwnAnswers
    from mrpc.app.compare.explaining import Neighbour
    from mrpc.app.compare.scores import SideScores

ANY = "any"
MAX_OWN_SHOWN = 1000
CELL_WORDS = {
    "fixed": "Fixed",
    "broken": "Broken",
    "both_right": "Right both times",
    "both_wrong": "Wrong both times",
}
EXPECTED_WORDS = {
    "equivalent": "equivalent",
    "not_equivalent": "not equivalent",
    "same": "the same answer as before",
}
PASSED = ("failed", "passed")
CHANGE: ColumnOptions = {"signed": True, "help": "in points"}
Item = TypeVar("Item")
Part = tuple[list[Column], Callable[[Item], dict[str, object]]]
"""Some columns of a table, and how their cells are made of what a row is about."""


class HasSentences(Protocol):
    """What has two sentences: a pair, or a case of a test."""

    @property
    def sentence1(self) -> str:
        """The first sentence."""

    @property
    def sentence2(self) -> str:
        """The second sentence."""


def _one(
    key: str, title: str, cell: Callable[[Item], object], kind: str = "text", **options: Unpack[ColumnOptions]
) -> Part[Item]:
    """Return one column: see :func:`mrpc.app.format.column`; ``cell`` makes its cell."""
    return [column(key, title, kind, **options)], lambda item: {key: cell(item)}


def _sentences(of: Callable[[Item], HasSentences]) -> Part[Item]:
    """Return both sentences with what differs between them; ``of`` gives what has them."""

    def cells(item: Item) -> dict[str, object]:
        first, second = mark_differences(of(item).sentence1, of(item).sentence2)
        return {"sentence1": marked(first), "sentence2": marked(second)}

    return [column("sentence1", "Sentence 1", "diff"), column("sentence2", "Sentence 2", "diff")], cells


def _probs(
    names: Iterable[str],
    words: Words,
    of: Callable[[Item], Both[float] | Both[float | None]],
    key: str = "prob",
) -> Part[Item]:
    """Return the probability of "equivalent" by both sides; ``of`` gives it."""
    keys = f"{key}_first", f"{key}_second"
    told = f"probability of “{words[1]}”, in percent"
    columns = [column(key, f"{name}, %", "percent", help=told) for key, name in zip(keys, names, strict=True)]

    def cells(item: Item) -> dict[str, object]:
        both = zip(keys, of(item), strict=True)
        return {key: None if prob is None else round(prob, 4) for key, prob in both}

    return columns, cells


def _fill(
    parts: Sequence[Part[Item]],
    items: Iterable[Item],
    caption: str,
    file: str,
    row_id: Callable[[Item], str] | None = None,
    open_label: str = "",
    page_size: int = 15,
) -> Table:
    """Return a table with a row for each item; ``row_id`` names those that can be opened."""
    rows = []
    for item in items:
        row: dict[str, object] = {} if row_id is None else {"id": row_id(item)}
        for _, cells in parts:
            row |= cells(item)
        rows.append(row)
    columns = [each for columns, _ in parts for each in columns]
    return table(columns, rows, caption, f"{file}.csv", open_label, page_size)


def changes_table(
    names: Both[str], split: str, pairs: Sequence[ComparedPair], what: str, words: Words = WORDS
) -> Table:
    """Return pairs of a split with both probabilities.

    Args:
        names: of both sides.
        split: that the pairs are of.
        pairs: in the order in which they are shown.
        what: what they have in common, for the caption and the file.
        words: what the classes 0 and 1 are called.
    """
    parts: list[Part[ComparedPair]] = [
        _one("row", "Pair", lambda pair: pair.row, "number", help=f"its number in {split}, from 0"),
        _sentences(lambda pair: pair),
        _one("label", "Corpus", lambda pair: words[pair.label]),
        _probs(names, words, lambda pair: pair.probs),
        _one("change", "Change", lambda pair: round(pair.change, 4), "percent", **CHANGE),
        _one("cell", "Result", lambda pair: CELL_WORDS[pair.cell].lower()),
    ]
    file = _file_name("pairs", what)
    return _fill(parts, pairs, f"Pairs: {what}", file, lambda pair: f"{split}:{pair.row}", "Open", 10)


def training_table(names: Both[str], pairs: Sequence[MappedPair], what: str, words: Words = WORDS) -> Table:
    """Return pairs of the data map; with both sides' opinions if they were asked."""
    parts: list[Part[MappedPair]] = [
        _one("row", "Pair", lambda pair: pair.row, "number", help="its number in train, from 0"),
        _sentences(lambda pair: pair),
        _one("label", "Corpus", lambda pair: words[pair.label]),
        _one("confidence", "Confidence", lambda pair: round(pair.confidence, 4), "number", digits=2),
        _one("variability", "Variability", lambda pair: round(pair.variability, 4), "number", digits=2),
        _one("correctness", "Epochs right", lambda pair: round(pair.correctness, 4), "percent", digits=0),
    ]
    if any(prob is not None for pair in pairs for prob in pair.probs):
        parts.append(_probs(names, words, lambda pair: pair.probs))
        parts.append(_one("opinion", "Label", lambda pair: "doubted" if pair.num_doubts else ""))
    file = _file_name("training-pairs", what)
    return _fill(parts, pairs, f"Training pairs: {what}", file, lambda pair: f"train:{pair.row}", "Open", 10)


def cases_table(names: Both[str], result: TestResult, words: Words = WORDS) -> Table:
    """Return the cases of one behavioural test, those that the second side fails first."""
    parts: list[Part[tuple[int, CaseAnswer]]] = [
        _sentences(lambda case: case[1].case),
        _probs(names, words, lambda case: case[1].probs),
    ]
    if result.test.expects == "same":
        before = names.map(lambda name: f"{name}, before")
        parts.append(_probs(before, words, lambda case: case[1].before, "before"))
    parts += [
        _one("first_passed", names.first, lambda case: PASSED[case[1].passed.first]),
        _one("second_passed", names.second, lambda case: PASSED[case[1].passed.second]),
    ]
    file = _file_name("behavioural-test", result.test.name)
    name = result.test.name
    return _fill(
        parts, result.worst_first(), f"Cases: {name}", file, lambda case: f"{name}:{case[0]}", "Open", 10
    )


def tests_table(names: Both[str], results: Sequence[TestResult]) -> Table:
    """Return the behavioural tests with both pass rates."""
    passed: ColumnOptions = {"digits": 0, "help": "passed, in percent"}
    told = "p-value of McNemar’s exact test: both sides pass equally often"
    parts: list[Part[TestResult]] = [
        _one("name", "Test", lambda result: result.test.name),
        _one("rule", "What should hold", lambda result: result.test.rule),
        _one("expects", "Expected", lambda result: EXPECTED_WORDS[result.test.expects]),
        _one("num", "Cases", lambda result: result.num_cases, "number"),
        _one("first", f"{names.first}, %", lambda result: result.rates.first, "percent", **passed),
        _one("second", f"{names.second}, %", lambda result: result.rates.second, "percent", **passed),
        _one("p", "p", lambda result: result.p, "p", help=told),
    ]
    name = "behavioural-tests"
    return _fill(parts, results, "Behavioural tests", name, lambda result: str(result.test.name), "Cases")


def kinds_table(names: Both[str], scores: Sequence[KindScore]) -> Table:
    """Return kinds of pairs with both accuracies, the worst of the second side first."""
    accuracy = "accuracy in percent"
    low, high = (f"{end} end of the 95 % interval of {names.second}" for end in ("lower", "upper"))
    told = f"p-value: {names.second} is as accurate here as on all pairs"
    parts: list[Part[KindScore]] = [
        _one("name", "Kind of pair", lambda kind: kind.name),
        _one("num_pairs", "Pairs", lambda kind: kind.num_pairs, "number"),
        _one("first", f"{names.first}, %", lambda kind: kind.accuracy.first, "percent", help=accuracy),
        _one("second", f"{names.second}, %", lambda kind: kind.accuracy.second, "percent", help=accuracy),
        _one("low", "from", lambda kind: kind.interval.low, "percent", help=low),
        _one("high", "to", lambda kind: kind.interval.high, "percent", help=high),
        _one("fixed", "Fixed", lambda kind: kind.fixed, "number"),
        _one("broken", "Broken", lambda kind: kind.broken, "number"),
        _one("p", "p, corrected", lambda kind: kind.p, "p", help=told),
        _one("reading", "Reading", lambda kind: _reading(kind, scores)),
    ]
    return _fill(parts, scores, "Kinds of pairs", "kinds-of-pairs", lambda kind: str(kind.name), "Show", 12)


def neighbours_table(neighbours: Sequence[Neighbour], words: Words = WORDS) -> Table:
    """Return the nearest training pairs."""
    parts: list[Part[Neighbour]] = [
        _one("row", "Pair", lambda pair: pair.row, "number", help="its number in train, from 0"),
        _one("cosine", "Cosine", lambda pair: round(pair.cosine, 4), "number", digits=3),
        _one("label", "Corpus", lambda pair: words[pair.label]),
        _sentences(lambda pair: pair),
    ]
    return _fill(parts, neighbours, "Nearest training pairs", "nearest-training-pairs")


def own_table(names: Both[str], found: OwnAnswers) -> Table:
    """Return the answers to a person's own pairs, the largest change first, at most 1,000 of them."""
    words, pairs = class_words(found.sides), found.pairs
    probs = found.answers.map(lambda answers: answers.prob_equivalent.tolist())
    changes = [second - first for first, second in zip(*probs, strict=True)]
    order = sorted(range(len(pairs)), key=lambda at: -abs(changes[at]))[:MAX_OWN_SHOWN]
    parts: list[Part[int]] = [
        _one("number", "Line", lambda at: at + 1, "number", help="place in what you gave, from 1"),
        _sentences(lambda at: pairs[at]),
        _probs(names, words, lambda at: probs.map(lambda of_side: of_side[at])),
        _one("change", "Change", lambda at: round(changes[at], 4), "percent", **CHANGE),
    ]
    if any(pair.label is not None for pair in pairs):
        labels = ["" if pair.label is None else words[pair.label] for pair in pairs]
        parts.append(_one("label", "Your label", lambda at: labels[at]))
    return _fill(parts, order, "Your pairs", "your-pairs", page_size=10)


def baselines_table(named: Sequence[tuple[str, SideScores]]) -> Table:
    """Return baselines and models with their scores and intervals."""
    columns = [column("name", "Who")]
    for metric, title in (("accuracy", "Accuracy, %"), ("f1", "F1, %")):
        columns.append(column(metric, title, "percent"))
        columns.append(column(f"{metric}_low", "from", "percent", help="lower end of the 95 % interval"))
        columns.append(column(f"{metric}_high", "to", "percent", help="upper end of the 95 % interval"))
    columns.append(column("log_loss", "Log loss", "number", digits=3))
    rows = [
        {
            "name": name,
            **{metric: scores.metrics[metric] for metric in ("accuracy", "f1", "log_loss")},
            **{f"{metric}_low": scores.intervals[metric].low for metric in ("accuracy", "f1")},
            **{f"{metric}_high": scores.intervals[metric].high for metric in ("accuracy", "f1")},
        }
        for name, scores in named
    ]
    return table(columns, rows, "Baselines and both sides", "baselines.csv")


def _file_name(start: str, what: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in what.lower()).split()
    return f"{start}-{'-'.join(words)}"


def _reading(score: KindScore, scores: Sequence[KindScore]) -> str:
    if score.p >= SIGNIFICANT_P:
        return "as elsewhere"
    middle = sorted(item.accuracy.second for item in scores)[len(scores) // 2]
    return "worse than elsewhere" if score.accuracy.second < middle else "better than elsewhere"


def find_row(
    comparisons: Comparisons,
    first: object,
    second: object,
    row_id: object,
    current: tuple[object, object] = ("", ""),
) -> SentencePair:
    """Return a pair of the sides' data, or a case of a behavioural test.

    Args:
        comparisons: finds sides, data and tests.
        first: the name of one side.
        second: the name of the other.
        row_id: from a browser, as the module's docstring says; "any" is a random pair.
        current: the sentences shown now, which "any" does not choose again.

    Raises:
        InputError: when there is no such pair.
    """
    origin, _, number = row_id.rpartition(":") if isinstance(row_id, str) else ("", "", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 10
    if not origin or not (is_number or number == ANY):
        raise InputError(f"There is no pair {str(row_id)[:40]!r}.")
    if origin not in SPLITS:
        from mrpc.app.compare.behavioral import find_result

        results = comparisons.compare(first, second).behavioral_tests()
        case = find_result(results, origin).case(int(number) if is_number else None)
        return SentencePair(case.sentence1, case.sentence2)
    sides = comparisons.catalog.find_two(first, second)
    rows = find_split(comparisons.shelf.of(sides), origin)
    row = int(number) if is_number else random.randrange(len(rows))
    pair = SentencePair(**rows[check_whole(row, f"The number of a pair of {origin}", 0, len(rows) - 1)])
    if not is_number and (pair.sentence1, pair.sentence2) == current:
        pair = SentencePair(**rows[(row + 1) % len(rows)])
    return pair
