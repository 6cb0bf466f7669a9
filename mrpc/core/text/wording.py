"""Words, numbers, names and negations of sentences, and what differs between two. No model here."""

from __future__ import annotations

import difflib
import re
from itertools import pairwise
from typing import Literal, NamedTuple

Mark = Literal["same", "only"]

TOKEN = re.compile(r"\s+|\d[\d.,:/]*\d|\w+(?:['’]\w+)*|[^\w\s]")
WORD = re.compile(r"\d[\d.,:/]*\d|\w+(?:['’]\w+)*")
NUMBER = re.compile(r"\d[\d.,:/]*\d|\d")
TORN_NEGATION = re.compile(r"(\w) (n?['’]t\b)", re.IGNORECASE)
_NUMBER_WORDS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
trillion half dozen
"""
_NEGATIONS = """
no not never none nobody nothing neither nor without cannot can't won't don't doesn't didn't isn't aren't
wasn't weren't hasn't haven't hadn't wouldn't couldn't shouldn't ain't
"""
NUMBER_WORDS = frozenset(_NUMBER_WORDS.split())
NEGATIONS = frozenset(_NEGATIONS.split())


class Segment(NamedTuple):
    """A stretch of a sentence that the other sentence has too, or that it alone has."""

    text: str
    mark: Mark


def words(sentence: str) -> list[str]:
    """Return the words and numbers of a sentence in lower case, without punctuation."""
    return [match.replace("’", "'").lower() for match in WORD.findall(sentence)]


def word_overlap(sentence1: str, sentence2: str) -> float:
    """Return the share of words that both sentences have, of all words that one has (Jaccard), in [0, 1]."""
    first, second = set(words(sentence1)), set(words(sentence2))
    union = first | second
    return len(first & second) / len(union) if union else 1.0


def numbers(sentence: str) -> frozenset[str]:
    """Return the numbers in a sentence, in digits or words, without thousands separators."""
    digits = {match.replace(",", "") for match in NUMBER.findall(sentence)}
    return frozenset(digits | (set(words(sentence)) & NUMBER_WORDS))


def names(sentence: str) -> frozenset[str]:
    """Return what looks like names: capitalised words after the first word of the sentence."""
    found = [match for match in WORD.finditer(sentence) if match.group()[0].isalpha()]
    return frozenset(
        match.group()
        for before, match in pairwise(found)
        if match.group()[0].isupper()
        and sentence[before.end() : match.start()].strip() not in {".", "!", "?"}
    )


def is_negated(sentence: str) -> bool:
    """Tell whether a sentence holds a negation; "do n't" and "don 't" count, as news corpora write them."""
    return not NEGATIONS.isdisjoint(words(TORN_NEGATION.sub(r"\1\2", sentence)))


def mark_differences(sentence1: str, sentence2: str) -> tuple[list[Segment], list[Segment]]:
    """Cut both sentences into stretches of words that are in both, in order, and that are not.

    Upper and lower case count as the same. The texts of the segments make up the sentences again.
    """
    parts = TOKEN.findall(sentence1), TOKEN.findall(sentence2)
    kept = [[number for number, part in enumerate(side) if not part.isspace()] for side in parts]
    keys = [[parts[side][number].lower() for number in kept[side]] for side in (0, 1)]
    matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    same: tuple[set[int], set[int]] = (set(), set())
    for block in matcher.get_matching_blocks():
        same[0].update(kept[0][block.a : block.a + block.size])
        same[1].update(kept[1][block.b : block.b + block.size])
    return _segments(parts[0], same[0]), _segments(parts[1], same[1])


def _segments(parts: list[str], same: set[int]) -> list[Segment]:
    """Join neighbouring parts with one mark; a space takes that of what it stands between, if equal."""
    segments: list[Segment] = []
    for number, part in enumerate(parts):
        if part.isspace():
            around = {number - 1 in same, number + 1 in same}
            mark: Mark = "only" if around == {False} else "same"
        else:
            mark = "same" if number in same else "only"
        if segments and segments[-1].mark == mark:
            segments[-1] = Segment(segments[-1].text + part, mark)
        else:
            segments.append(Segment(part, mark))
    return segments
