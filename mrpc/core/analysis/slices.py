"""Kinds of pairs, by what is written in them, to see on which kind a model fails. No model here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrpc.core.data.load import SAMPLE_DIR
from mrpc.core.text.wording import is_negated, names, numbers, word_overlap, words

Mask = npt.NDArray[np.bool_]

MIN_PAIRS = 5
"""Slices with fewer pairs say nothing and are left out."""


@dataclass(frozen=True)
class Slice:
    """Pairs of one kind.

    Attributes:
        name: what they have in common, in words.
        mask: bool [N], which pairs are of this kind.
    """

    name: str
    mask: Mask


def make_slices(
    sentence1: Sequence[str], sentence2: Sequence[str], phenomena: Sequence[str] | None = None
) -> list[Slice]:
    """Cut N pairs into kinds; a pair may be of several.

    Args:
        sentence1: N first sentences.
        sentence2: N second sentences.
        phenomena: N tags that the writer of the pairs gave, if there are any.
    """
    pairs = list(zip(sentence1, sentence2, strict=True))
    num_words = np.array([len(words(first)) + len(words(second)) for first, second in pairs])
    overlap = np.array([word_overlap(*pair) for pair in pairs])
    slices = [
        *_thirds(
            num_words, "{} words or fewer in both", "{} to {} words in both", "{} words or more in both"
        ),
        *_thirds(
            overlap, "word overlap up to {:.2f}", "word overlap {:.2f} to {:.2f}", "word overlap from {:.2f}"
        ),
        *_either("the numbers", [numbers(first) != numbers(second) for first, second in pairs]),
        *_either("the names", [names(first) != names(second) for first, second in pairs]),
        Slice(
            "one sentence is negated",
            _mask(is_negated(first) != is_negated(second) for first, second in pairs),
        ),
        Slice("both are negated", _mask(is_negated(first) and is_negated(second) for first, second in pairs)),
    ]
    for tag in sorted(set(phenomena or ()) - {""}):
        slices.append(Slice(f"phenomenon: {tag}", _mask(found == tag for found in phenomena or ())))
    return [item for item in slices if MIN_PAIRS <= item.mask.sum() < len(pairs)]


def sample_phenomena(split: str) -> Mapping[int, str]:
    """Return the tag that each pair of the bundled sample carries, by its idx."""
    path = SAMPLE_DIR / f"{split}.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {int(row["idx"]): str(row.get("phenomenon", "")) for row in rows}


def _thirds(values: npt.NDArray[Any], low: str, middle: str, high: str) -> list[Slice]:
    """Cut at the terciles; the names hold the values at the edges."""
    if len(values) < 3 * MIN_PAIRS:
        return []
    first, second = np.quantile(values, [1 / 3, 2 / 3], method="nearest")
    if not values.min() < first < second < values.max():
        return []
    inside = values[(values > first) & (values < second)]
    if not len(inside):
        return []
    return [
        Slice(low.format(first), values <= first),
        Slice(middle.format(inside.min(), inside.max()), (values > first) & (values < second)),
        Slice(high.format(second), values >= second),
    ]


def _either(what: str, differs: Sequence[bool]) -> list[Slice]:
    mask = np.array(differs, dtype=bool)
    return [Slice(f"{what} differ", mask), Slice(f"{what} are the same", ~mask)]


def _mask(found: Iterable[bool]) -> Mask:
    return np.fromiter(found, dtype=bool)
