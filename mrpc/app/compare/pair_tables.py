"""Pairs, and kinds of pairs, as tables: where both sides fail, training pairs, a person's own pairs.

The id of a row says which pair it is: "validation:12", "train:5", or "changed number:3" for a case of a
behavioural test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.compare.sides import Both, class_words
from mrpc.app.format import Column, Table, column, marked, table
from mrpc.core.data.pairs import WORDS, Words
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import TestResult
    from mrpc.app.compare.cartography import MappedPair
    from mrpc.app.compare.changes import ComparedPair, KindScore
    from mrpc.app.compare.explaining import Neighbour
    from mrpc.app.compare.own_pairs import OwnAnswers

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
SENTENCES = (column("sentence1", "Sentence 1", "diff"), column("sentence2", "Sentence 2", "diff"))


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
    columns = [
        column("row", "Pair", "number", help=f"its number in {split}, from 0"),
        *SENTENCES,
        column("label", "Corpus"),
        *_prob_columns(names, words),
        column("change", "Change", "percent", signed=True, help="in points"),
        column("cell", "Result"),
    ]
    rows = [
        {
            "id": f"{split}:{pair.row}",
            "row": pair.row,
            **_marked_sentences(pair.sentence1, pair.sentence2),
            "label": words[pair.label],
            **_prob_cells(pair.probs),
            "change": round(pair.change, 4),
            "cell": CELL_WORDS[pair.cell].lower(),
        }
        for pair in pairs
    ]
    return table(columns, rows, f"Pairs: {what}", _file_name("pairs", what), open_label="Open", page_size=10)


def training_table(names: Both[str], pairs: Sequence[MappedPair], what: str, words: Words = WORDS) -> Table:
    """Return pairs of the data map; with both sides' opinions if they were asked."""
    columns = [
        column("row", "Pair", "number", help="its number in train, from 0"),
        *SENTENCES,
        column("label", "Corpus"),
        column("confidence", "Confidence", "number", digits=2),
        column("variability", "Variability", "number", digits=2),
        column("correctness", "Epochs right", "percent", digits=0),
    ]
    if any(prob is not None for pair in pairs for prob in pair.probs):
        columns += [*_prob_columns(names, words), column("opinion", "Label")]
    rows = [
        {
            "id": f"train:{pair.row}",
            "row": pair.row,
            **_marked_sentences(pair.sentence1, pair.sentence2),
            "label": words[pair.label],
            "confidence": round(pair.confidence, 4),
            "variability": round(pair.variability, 4),
            "correctness": round(pair.correctness, 4),
            **_prob_cells(pair.probs),
            "opinion": "doubted" if pair.num_doubts else "",
        }
        for pair in pairs
    ]
    file = _file_name("training-pairs", what)
    return table(columns, rows, f"Training pairs: {what}", file, open_label="Open", page_size=10)


def cases_table(names: Both[str], result: TestResult, words: Words = WORDS) -> Table:
    """Return the cases of one behavioural test, those that the second side fails first."""
    columns = [*SENTENCES, *_prob_columns(names, words)]
    if result.test.expects == "same":
        columns += _prob_columns(names.map(lambda name: f"{name}, before"), words, "before")
    columns += [column("first_passed", f"{names.first}"), column("second_passed", f"{names.second}")]
    rows = [
        {
            "id": f"{result.test.name}:{number}",
            **_marked_sentences(answer.case.sentence1, answer.case.sentence2),
            **_prob_cells(answer.probs),
            **_prob_cells(answer.before, "before"),
            "first_passed": "passed" if answer.passed.first else "failed",
            "second_passed": "passed" if answer.passed.second else "failed",
        }
        for number, answer in result.worst_first()
    ]
    file = _file_name("behavioural-test", result.test.name)
    return table(columns, rows, f"Cases: {result.test.name}", file, open_label="Open", page_size=10)


def tests_table(names: Both[str], results: Sequence[TestResult]) -> Table:
    """Return the behavioural tests with both pass rates."""
    columns = [
        column("name", "Test"),
        column("rule", "What should hold"),
        column("expects", "Expected"),
        column("num", "Cases", "number"),
        column("first", f"{names.first}, %", "percent", digits=0, help="passed, in percent"),
        column("second", f"{names.second}, %", "percent", digits=0, help="passed, in percent"),
        column("p", "p", "p", help="p-value of McNemar’s exact test: both sides pass equally often"),
    ]
    rows = [
        {
            "id": result.test.name,
            "name": result.test.name,
            "rule": result.test.rule,
            "expects": EXPECTED_WORDS[result.test.expects],
            "num": result.num_cases,
            "first": result.rates.first,
            "second": result.rates.second,
            "p": result.p,
        }
        for result in results
    ]
    return table(columns, rows, "Behavioural tests", "behavioural-tests.csv", open_label="Cases")


def kinds_table(names: Both[str], scores: Sequence[KindScore]) -> Table:
    """Return kinds of pairs with both accuracies, the worst of the second side first."""
    columns = [
        column("name", "Kind of pair"),
        column("num_pairs", "Pairs", "number"),
        column("first", f"{names.first}, %", "percent", help="accuracy in percent"),
        column("second", f"{names.second}, %", "percent", help="accuracy in percent"),
        column("low", "from", "percent", help=f"lower end of the 95 % interval of {names.second}"),
        column("high", "to", "percent", help=f"upper end of the 95 % interval of {names.second}"),
        column("fixed", "Fixed", "number"),
        column("broken", "Broken", "number"),
        column("p", "p, corrected", "p", help=f"p-value: {names.second} is as accurate here as on all pairs"),
        column("reading", "Reading"),
    ]
    rows = [
        {
            "id": score.name,
            "name": score.name,
            "num_pairs": score.num_pairs,
            "first": score.accuracy.first,
            "second": score.accuracy.second,
            "low": score.interval.low,
            "high": score.interval.high,
            "fixed": score.fixed,
            "broken": score.broken,
            "p": score.p,
            "reading": _reading(score, scores),
        }
        for score in scores
    ]
    return table(columns, rows, "Kinds of pairs", "kinds-of-pairs.csv", open_label="Show", page_size=12)


def neighbours_table(neighbours: Sequence[Neighbour], words: Words = WORDS) -> Table:
    """Return the nearest training pairs."""
    columns = [
        column("row", "Pair", "number", help="its number in train, from 0"),
        column("cosine", "Cosine", "number", digits=3),
        column("label", "Corpus"),
        *SENTENCES,
    ]
    rows = [
        {
            "row": item.row,
            "cosine": round(item.cosine, 4),
            "label": words[item.label],
            **_marked_sentences(item.sentence1, item.sentence2),
        }
        for item in neighbours
    ]
    return table(columns, rows, "Nearest training pairs", "nearest-training-pairs.csv")


def own_table(names: Both[str], found: OwnAnswers) -> Table:
    """Return the answers to a person's own pairs, the largest change first, at most 1,000 of them."""
    words = class_words(found.sides)
    probs = found.answers.map(lambda answers: answers.prob_equivalent.tolist())
    changes = [second - first for first, second in zip(probs.first, probs.second, strict=True)]
    order = sorted(range(len(found.pairs)), key=lambda at: -abs(changes[at]))[:MAX_OWN_SHOWN]
    columns = [
        column("number", "Line", "number", help="place in what you gave, from 1"),
        *SENTENCES,
        *_prob_columns(names, words),
        column("change", "Change", "percent", signed=True, help="in points"),
    ]
    if any(pair.label is not None for pair in found.pairs):
        columns.append(column("label", "Your label"))
    rows = []
    for at in order:
        pair = found.pairs[at]
        rows.append(
            {
                "number": at + 1,
                **_marked_sentences(pair.sentence1, pair.sentence2),
                **_prob_cells(Both(probs.first[at], probs.second[at])),
                "change": round(changes[at], 4),
                "label": "" if pair.label is None else words[pair.label],
            }
        )
    return table(columns, rows, "Your pairs", "your-pairs.csv", page_size=10)


def _prob_columns(names: Both[str], words: Words, key: str = "prob") -> list[Column]:
    return [
        column(f"{key}_{place}", f"{name}, %", "percent", help=f"probability of “{words[1]}”, in percent")
        for place, name in zip(("first", "second"), names, strict=True)
    ]


def _prob_cells(probs: Both[float] | Both[float | None], key: str = "prob") -> dict[str, float | None]:
    return {
        f"{key}_{place}": None if prob is None else round(prob, 4)
        for place, prob in zip(("first", "second"), probs, strict=True)
    }


def _marked_sentences(sentence1: str, sentence2: str) -> dict[str, list[list[str]]]:
    first, second = mark_differences(sentence1, sentence2)
    return {"sentence1": marked(first), "sentence2": marked(second)}


def _file_name(start: str, what: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in what.lower()).split()
    return f"{start}-{'-'.join(words)}.csv"


def _reading(score: KindScore, scores: Sequence[KindScore]) -> str:
    if score.p >= 0.05:
        return "as elsewhere"
    middle = sorted(item.accuracy.second for item in scores)[len(scores) // 2]
    return "worse than elsewhere" if score.accuracy.second < middle else "better than elsewhere"
