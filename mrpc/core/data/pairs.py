"""What a sentence pair is, and what one from outside must be like. Imports nothing heavy."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from mrpc.errors import PairError

LABEL_NAMES = ("not_equivalent", "equivalent")
"""Names of the classes 0 and 1, as GLUE has them."""

Words = tuple[str, str]
"""What the classes 0 and 1 are called, as people write them."""

SPLITS = ("train", "validation", "test")

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow")
"""The files of pairs that are read, each also with .gz behind it, in capitals too."""

NEEDED_COLUMNS = ("sentence1", "sentence2", "label")

MAX_SENTENCE_CHARS = 10_000
"""Longest sentence that is taken, typed or from a file, in characters."""

MAX_IDX = 2**31 - 1
"""``idx`` is an int32, as on the Hub."""

LABEL_MUST = "it must be 0 (not equivalent) or 1 (equivalent)."


def label_words(names: tuple[str, str]) -> Words:
    """Write the names of the classes 0 and 1 as people do: "not equivalent" for "not_equivalent"."""
    return names[0].replace("_", " "), names[1].replace("_", " ")


WORDS = label_words(LABEL_NAMES)
"""What the classes 0 and 1 are called, unless the data has names of its own."""


@dataclass(frozen=True)
class SentencePair:
    """Two sentences, and what the corpus says about them.

    Attributes:
        sentence1: the first sentence, as typed or as in the corpus.
        sentence2: the second sentence.
        label: 1 if they mean the same, 0 if not, None if nobody said.
        idx: the number that the corpus gives this pair, or None for a typed one.
    """

    sentence1: str
    sentence2: str
    label: int | None = None
    idx: int | None = None


def check_pair(sentence1: object, sentence2: object) -> SentencePair:
    """Check two sentences that came from outside.

    Raises:
        PairError: one of them is not text, empty, too long, or holds characters that are no text; says
            which one and what to do.
    """
    return SentencePair(_check_sentence(sentence1, 1), _check_sentence(sentence2, 2))


def _check_sentence(sentence: object, number: int) -> str:
    if not isinstance(sentence, str):
        raise PairError(f"Sentence {number} is not text but {type(sentence).__name__}. Give a string.")
    if not sentence.strip():
        raise PairError(f"Sentence {number} is empty. Type a sentence.")
    if len(sentence) > MAX_SENTENCE_CHARS:
        raise PairError(
            f"Sentence {number} has {len(sentence):,} characters; at most {MAX_SENTENCE_CHARS:,} are taken. "
            "Shorten it."
        )
    for position, character in enumerate(sentence):
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\t\n\r"):
            kind = "half of a surrogate pair" if category == "Cs" else "a control character"
            raise PairError(
                f"Sentence {number} holds {kind}, U+{ord(character):04X}, as character {position + 1}. "
                "Delete it."
            )
    return sentence
