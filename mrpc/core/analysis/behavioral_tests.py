"""Pairs made from the data at hand whose answer is known, to see how a model behaves. No model here.

Each test changes sentences in one way and expects "equivalent", "not_equivalent", or the same answer as
before the change. A change that does not fit a sentence is not made there, so tests differ in size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrpc.core.text.wording import NUMBER, is_negated, word_overlap

Expectation = Literal["equivalent", "not_equivalent", "same"]

NUM_CASES = 50
"""Cases of a test, but for swapped order, which takes every pair."""

MAX_SWAPPED = 1000
UNRELATED_OVERLAP = 0.12
"""Two sentences with less word overlap than this count as unrelated."""

MIN_TYPO_LETTERS = 5

_AUXILIARIES = "is|are|was|were|will|would|could|should|has|have|had|may|might|must|does|did"
AUXILIARY = re.compile(rf"\b({_AUXILIARIES})\b")
_SYNONYMS = """
said:stated company:firm companies:firms officials:authorities attorney:lawyer attorneys:lawyers
lawyer:attorney almost:nearly nearly:almost began:started children:kids doctor:physician doctors:physicians
film:movie films:movies movie:film firm:company reporters:journalists currently:presently
rapidly:quickly quickly:rapidly announced:declared buy:purchase bought:purchased however:nevertheless
numerous:many
told:informed earlier:previously
"""
SYNONYMS = dict(pair.split(":") for pair in _SYNONYMS.split())
_OTHER_NUMBERS = (
    "one:four two:five three:seven four:nine five:two six:three seven:four eight:three nine:five ten:six"
)
OTHER_NUMBERS = dict(pair.split(":") for pair in _OTHER_NUMBERS.split())
WORD_NUMBER = re.compile(rf"\b({'|'.join(OTHER_NUMBERS)})\b")


@dataclass(frozen=True)
class BehavioralCase:
    """One pair of a test.

    Attributes:
        sentence1: the first sentence as the model gets it.
        sentence2: the second.
        before: the pair before the change, for tests that expect the same answer; else None.
    """

    sentence1: str
    sentence2: str
    before: tuple[str, str] | None = None


@dataclass(frozen=True)
class BehavioralTest:
    """One kind of change, its cases, and what is expected.

    Attributes:
        name: short, for people.
        rule: what was changed and what should follow, in a sentence.
        expects: the answer, or "same" as before the change.
        cases: at least one.
    """

    name: str
    rule: str
    expects: Expectation
    cases: list[BehavioralCase]

    def passes(self, says: bool, said_before: bool | None) -> bool:
        """Tell whether a model does as expected.

        Args:
            says: whether it says "equivalent" to a case.
            said_before: the same of the pair before the change; None where nothing was before.
        """
        if self.expects == "same":
            assert said_before is not None, "the unchanged pair is one of the data"
            return says == said_before
        return says == (self.expects == "equivalent")


def make_behavioral_tests(
    sentence1: Sequence[str], sentence2: Sequence[str], seed: int = 0
) -> list[BehavioralTest]:
    """Make the suite from N pairs of a data set; tests that fit no sentence are left out."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(sentence1)).tolist()
    pairs = [(sentence1[row], sentence2[row]) for row in order]

    def changed(change: Callable[[str], str | None]) -> list[BehavioralCase]:
        cases = []
        for first, _ in pairs:
            second = change(first)
            if second is not None and second != first:
                cases.append(BehavioralCase(first, second))
            if len(cases) == NUM_CASES:
                break
        return cases

    typos = [
        BehavioralCase(first, typed, (first, second))
        for first, second in pairs
        if (typed := add_typo(second, generator)) is not None
    ]
    tests = [
        BehavioralTest(
            "identical sentences",
            "A sentence and itself say the same.",
            "equivalent",
            [BehavioralCase(first, first) for first, _ in pairs[:NUM_CASES]],
        ),
        BehavioralTest(
            "swapped order",
            "Which sentence comes first must not matter.",
            "same",
            [BehavioralCase(second, first, (first, second)) for first, second in pairs[:MAX_SWAPPED]],
        ),
        BehavioralTest(
            "changed number",
            "With another number, a sentence does not say the same.",
            "not_equivalent",
            changed(change_number),
        ),
        BehavioralTest(
            "negation added", "A negated sentence says the opposite.", "not_equivalent", changed(negate)
        ),
        BehavioralTest(
            "unrelated pair",
            "Sentences about different things are not equivalent.",
            "not_equivalent",
            _unrelated(pairs),
        ),
        BehavioralTest(
            "synonym", "A word of the same meaning changes nothing.", "equivalent", changed(use_synonym)
        ),
        BehavioralTest("typo", "Two letters changed places: the answer stays.", "same", typos[:NUM_CASES]),
    ]
    return [test for test in tests if test.cases]


def change_number(sentence: str) -> str | None:
    """Return the sentence with its first number changed, or None if it has none."""
    match = NUMBER.search(sentence)
    if match is not None:
        return sentence[: match.start()] + _other_number(match.group()) + sentence[match.end() :]
    word = WORD_NUMBER.search(sentence)
    if word is None:
        return None
    return sentence[: word.start()] + OTHER_NUMBERS[word.group()] + sentence[word.end() :]


def negate(sentence: str) -> str | None:
    """Return the sentence with "not" after its first auxiliary verb, or None if it has none or is negated."""
    match = None if is_negated(sentence) else AUXILIARY.search(sentence)
    return None if match is None else f"{sentence[: match.end()]} not{sentence[match.end() :]}"


def use_synonym(sentence: str) -> str | None:
    """Return the sentence with the first word that has a synonym here replaced, or None."""
    for match in re.finditer(r"[A-Za-z]+", sentence):
        synonym = SYNONYMS.get(match.group().lower())
        if synonym is not None:
            if match.group()[0].isupper():
                synonym = synonym.capitalize()
            return sentence[: match.start()] + synonym + sentence[match.end() :]
    return None


def add_typo(sentence: str, generator: np.random.Generator) -> str | None:
    """Return the sentence with two inner letters of one longer word swapped, or None without such a word."""
    found = list(re.finditer(rf"[A-Za-z]{{{MIN_TYPO_LETTERS},}}", sentence))
    for number in generator.permutation(len(found)).tolist():
        start, word = found[number].start(), found[number].group()
        places = [at for at in range(1, len(word) - 2) if word[at] != word[at + 1]]
        if places:
            at = start + places[int(generator.integers(len(places)))]
            return sentence[:at] + sentence[at + 1] + sentence[at] + sentence[at + 2 :]
    return None


def _other_number(text: str) -> str:
    """Return a number that is clearly another, written in the same manner."""
    digits = text.replace(",", "")
    if not digits.isdigit():  # 3.5, 10:30, 1/2: change the first digit
        return ("7" if text[0] != "7" else "3") + text[1:]
    value = int(digits)
    other = value + max(2, value // 3) if not 1900 <= value <= 2100 else value - 6
    return f"{other:,}" if "," in text else str(other)


def _unrelated(pairs: Sequence[tuple[str, str]]) -> list[BehavioralCase]:
    cases = []
    for number, (first, _) in enumerate(pairs):
        for step in range(1, min(len(pairs), 12)):
            second = pairs[(number + step) % len(pairs)][1]
            if word_overlap(first, second) < UNRELATED_OVERLAP:
                cases.append(BehavioralCase(first, second))
                break
        if len(cases) == NUM_CASES:
            break
    return cases
