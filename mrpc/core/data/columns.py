"""Which columns hold the two sentences and the label, and which labels mean 0 and 1. No files here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mrpc.core.data.pairs import LABEL_NAMES
from mrpc.core.data.report import listed
from mrpc.errors import DataError

_SENTENCE_COLUMNS = """
sentence1:sentence2 sentencea:sentenceb sent1:sent2 senta:sentb s1:s2 text1:text2 texta:textb
question1:question2 q1:q2 questiona:questionb premise:hypothesis 1string:2string string1:string2
stringa:stringb phrase1:phrase2 title1:title2 input1:input2 firstsentence:secondsentence
firsttext:secondtext first:second question:sentence query:passage original:paraphrase text:paraphrase
sentence:paraphrase source:target anchor:positive
"""
SENTENCE_COLUMNS = [tuple(pair.split(":")) for pair in _SENTENCE_COLUMNS.split()]
"""Usual names of the two sentences, the likeliest first; compared without case, spaces and signs."""

_LABEL_COLUMNS = """
label labels quality isduplicate goldlabel gold isparaphrase duplicate class equivalent isequivalent isequal
relation judgment judgement annotation target y issimilar similar issame same ismatch match paraphrase
entailment gt score scores similarity similarityscore relatednessscore rating
"""
LABEL_COLUMNS = _LABEL_COLUMNS.split()

IDX_COLUMN = "idx"

ZERO_WORDS = frozenset({"0", "false", "f", "no", "n", "not equivalent", "nonequivalent", "non equivalent"})
ONE_WORDS = frozenset({"1", "true", "t", "yes", "y", "equivalent"})
"""Labels that mean 0 and 1, as :func:`_word` writes them."""

_MRPC_WORDS = frozenset({"0", "1", "not equivalent", "nonequivalent", "non equivalent", "equivalent"})
"""Labels that are no names of the data's own."""

NO_GOLD_LABEL = "-"
"""What SNLI writes where its annotators did not agree."""

UNLABELLED_TEXTS = (
    None,
    "-1",
    NO_GOLD_LABEL,
    *("?", "NA", "N/A", "nan", "NaN", "None", "none", "NULL", "null"),
)
"""What stands for a label where there is none, in a split that need not have any."""

_NEGATIVE_PREFIXES = ("not", "non", "no", "un", "dis", "in", "im", "ir", "il", "mis", "a")
_NEGATIONS = """
different negative neg contradiction distinct other bad wrong neutral unique random fake refutes refuted nein
falsch non faux falso nee nej
"""
_NEGATIVE_WORDS = frozenset(_NEGATIONS.split())


@dataclass(frozen=True)
class Columns:
    """The columns of a file by what they hold; ``label`` and ``idx`` may be missing."""

    sentence1: str
    sentence2: str
    label: str | None = None
    idx: str | None = None

    def named(self) -> dict[str, str]:
        """Return the columns that are there, by role."""
        return {role: name for role, name in vars(self).items() if name is not None}


def parse_columns(text: str) -> tuple[str, ...]:
    """Read what ``--columns`` was given: two or three names between commas.

    Raises:
        DataError: they are not two or three different names.
    """
    names = tuple(name.strip() for name in text.split(","))
    if len(names) not in (2, 3) or not all(names) or len(set(names)) < len(names):
        raise DataError(f"The columns are {text[:80]!r}; write first,second,label or first,second.")
    return names


def find_columns(names: Sequence[str], wanted: Sequence[str] | None = None) -> Columns:
    """Return which of the columns hold what.

    Args:
        names: the columns of a file.
        wanted: the columns of the sentences and of the label, by name; None to go by the usual names.

    Raises:
        DataError: a sentence has no column; says which columns were found.
    """
    plain = {_plain(name): name for name in reversed(names)} | {name: name for name in names}
    idx = IDX_COLUMN if IDX_COLUMN in names else None
    if wanted is not None:
        found = [name if name in names else plain.get(_plain(name), "") for name in wanted]
        if "" in found:
            missing = wanted[found.index("")]
            raise DataError(f"the column {missing} is missing. Found the columns {listed(names)}.")
        label = found[2] if len(found) > 2 else _label_column(plain, found)
        return Columns(found[0], found[1], label, idx)
    first, second = _sentence_columns(plain)
    if not first or not second:
        missing = "sentence2" if first else "sentence1"
        has = f"Found the columns {listed(names)}." if any(names) else "Found no column."
        raise DataError(
            f"the column {missing} is missing. {has} Name the columns sentence1, sentence2 and label, or say "
            "which they are: --columns first,second,label."
        )
    return Columns(first, second, _label_column(plain, (first, second)), idx)


def _label_column(plain: Mapping[str, str], sentences: Sequence[str]) -> str | None:
    names = (plain[name] for name in LABEL_COLUMNS if name in plain)
    return next((name for name in names if name not in sentences), None)


def _sentence_columns(plain: Mapping[str, str]) -> tuple[str, str]:
    for pair in SENTENCE_COLUMNS:
        if pair[0] in plain and pair[1] in plain:
            return plain[pair[0]], plain[pair[1]]
    numbered = [name for name in plain if re.fullmatch(r"[a-z]+1", name) and not name.endswith("id1")]
    numbered = [name for name in numbered if f"{name[:-1]}2" in plain]
    if len(numbered) == 1:
        return plain[numbered[0]], plain[f"{numbered[0][:-1]}2"]
    one = next((pair[0] for pair in SENTENCE_COLUMNS[:1] if pair[0] in plain), "")
    return one, ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _word(label: str) -> str:
    """Write a label in small letters, with spaces between its words."""
    return re.sub(r"(?<=[^\W\d_])[\s_-]+(?=[^\W\d_])", " ", label.lower())


@dataclass(frozen=True)
class LabelRule:
    """How the labels of the files become 0 and 1.

    Attributes:
        numbers: the label as it stands in the files -> 0 or 1.
        names: what the classes 0 and 1 are called.
        said: the rule in words; "" where the files hold 0 and 1 themselves.
    """

    numbers: Mapping[str, int]
    names: tuple[str, str]
    said: str = ""


class LabelProblem(Exception):
    """The labels are none of two classes; ``value`` is one that shows it, ``found`` says what they are."""

    def __init__(self, value: str, found: str = "") -> None:
        self.value = value
        self.found = found


def label_text(value: object) -> str | None:
    """Return a label of a file as text: true and 1.0 and " 1 " as "true", "1", "1"; None for none.

    Raises:
        TypeError: it is neither text nor number.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(int(value)) if value == int(value) else str(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError
    text = value.strip()
    if re.fullmatch(r"[+-]?\d{1,15}[.,]0+|\+\d{1,15}", text):  # Excel writes 1,0 where numbers have commas
        return str(int(re.split("[.,]", text)[0]))
    return text or None


def understand_labels(labels: Mapping[str, int], names: tuple[str, str] | None = None) -> LabelRule:
    """Find the rule by which labels become 0 and 1.

    Args:
        labels: every label of the files as text, in the order of their first rows, and how many rows have it.
        names: what 0 and 1 are called, if that is known: the files say so, or the data of a run.

    Raises:
        LabelProblem: they are scores, three classes, or words that mean nothing here.
    """
    words = {text: _word(text) for text in labels}
    own = [_word(name) for name in names or ()]
    if own and not set(words.values()) <= {"0", "1"} and set(words.values()) <= set(own):
        return _known_labels({text: own.index(word) for text, word in words.items()}, words, names)
    known = {text: number for text, word in words.items() if (number := _known_number(word)) is not None}
    if len(known) == len(labels):
        return _known_labels(known, words, names)
    if set(labels) == {"1", "2"}:
        return LabelRule(
            {"1": 0, "2": 1}, names or LABEL_NAMES, "The labels are 1 and 2: 1 became 0, and 2 became 1."
        )
    others = [text for text in labels if text not in known]
    numbers = [_number(text) for text in labels]
    if all(number is not None for number in numbers):
        raise LabelProblem(others[0], _what_numbers_are([n for n in numbers if n is not None]))
    different = list(dict.fromkeys(words.values()))
    if len(different) == 2 and not known and None in map(_number, others):
        return _own_names(words, different)
    if len(different) > 2:
        found = f"The labels are of {len(labels)} kinds: {listed(list(labels))}. "
        if {"entailment", "neutral", "contradiction"} <= set(different):
            found = (
                "These are the three classes of natural language inference (NLI): "
                + listed(list(labels))
                + ". "
            )
        raise LabelProblem(
            others[0], found + "Two classes are trained here; keep the rows of two, or join two of them."
        )
    raise LabelProblem(others[0])


def _known_number(word: str) -> int | None:
    """Return 0 or 1 for a word, or a number such as 1e0, that means it."""
    if word in ZERO_WORDS or word in ONE_WORDS:
        return int(word in ONE_WORDS)
    number = _number(word)
    return int(number) if number in (0, 1) else None


def _known_labels(
    known: Mapping[str, int], words: Mapping[str, str], names: tuple[str, str] | None
) -> LabelRule:
    own = {
        number: text
        for text, number in known.items()
        if words[text] not in _MRPC_WORDS and _number(text) is None
    }
    called = names or ((own[0], own[1]) if len(own) == 2 else LABEL_NAMES)
    if set(known) <= {"0", "1"}:
        said = f"0 is called {called[0]} and 1 {called[1]}." if called != LABEL_NAMES else ""
        return LabelRule(known, called, said)
    said = " and ".join(
        f"{text} became {number}" for text, number in sorted(known.items(), key=lambda item: item[1])
    )
    return LabelRule(known, called, f"Of the labels, {said}.")


def _own_names(words: Mapping[str, str], different: Sequence[str]) -> LabelRule:
    """Number two names of the data's own, however they are spelled: what denies is 0."""
    spelled = {word: next(text for text, its in words.items() if its == word) for word in different}
    first, second = sorted(spelled.values())
    denies = [_denies(first, second), _denies(second, first)]
    zero, one = (second, first) if denies == [False, True] else (first, second)
    said = f"The label {zero} became 0 and {one} became 1"
    why = (
        "."
        if any(denies) and not all(denies)
        else (
            ", by the alphabet, because nothing tells which is which. Write 0 and 1 if it is the other "
            "way round."
        )
    )
    numbers = {text: int(word == words[one]) for text, word in words.items()}
    if len(numbers) > 2:
        why += f" They are spelled in {len(numbers)} ways: {listed(list(numbers))}."
    return LabelRule(numbers, (zero, one), said + why)


def _denies(name: str, other: str) -> bool:
    if re.match(r"(not|non|no)[\W_]", name.lower()) or name.lower() in _NEGATIVE_WORDS:
        return True
    return _plain(name) in {prefix + _plain(other) for prefix in _NEGATIVE_PREFIXES}


def _what_numbers_are(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    if low == -1 and set(numbers) <= {-1, 0, 1}:
        return "A label -1 says that there is none. Leave these rows out, or write 0 if -1 means no."
    if any(number != int(number) for number in numbers) or len(numbers) > 4:
        what = (
            f"{len(numbers):,} different numbers from {low:g} to {high:g}" if len(numbers) > 1 else f"{low:g}"
        )
        return (
            f"The labels are {what}: scores of similarity, as in STS-B, not two classes. Choose a "
            "limit and write 1 for "
            "the pairs above it and 0 for the others."
        )
    if len(numbers) == 2:
        return f"The labels are {low:g} and {high:g}: numbers, but not 0 and 1."
    if len(numbers) < 3:
        return ""
    return (
        f"The labels are {len(numbers)} classes, "
        f"{', '.join(f'{number:g}' for number in sorted(numbers))}, as in natural "
        "language inference (NLI). Two classes are trained here; keep the rows of two, or join two of them."
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None
