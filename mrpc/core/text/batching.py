"""Encoded pairs to batches: which pairs go together, how they are padded, and what the padding costs.

The order of an epoch is a pure function of its arguments, so a run that was cut can go on with the very
batches it would have seen, and a page can draw them without training. Nothing here touches a global
random state, encodes text or loads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol, overload

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from mrpc.core.text.tokenization import tokenizer_lock
from mrpc.errors import InputError

BatchOrder = Literal["random", "length"]

CHUNK_BATCHES = 50
"""With ``length``, pairs are sorted within shuffled chunks of this many batches. On MRPC this pads x1.016 at
16 pairs a batch, where sorting everything would pad x1.002 but put the same pairs together in every epoch."""


class Batches(Sequence[list[int]]):
    """Lists of row numbers, each made when it is asked for."""

    def __init__(self, num_batches: int, make: Callable[[int], list[int]]) -> None:
        self._num_batches = num_batches
        self._make = make

    def __len__(self) -> int:
        return self._num_batches

    @overload
    def __getitem__(self, number: int) -> list[int]: ...

    @overload
    def __getitem__(self, number: slice) -> Batches: ...

    def __getitem__(self, number: int | slice) -> list[int] | Batches:
        numbers = range(self._num_batches)[number]  # raises the IndexError that ends an iteration
        if isinstance(numbers, int):
            return self._make(numbers)
        return Batches(len(numbers), lambda position: self._make(numbers[position]))


class Lengths(Protocol):
    """Tokens of each row: an int array [N], or what computes them when it is asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


def epoch_batches(
    lengths: Sequence[int] | Lengths, batch_size: int, order: BatchOrder, seed: int, epoch: int
) -> Batches:
    """Return the batches of one epoch, each a list of row numbers; every row comes once.

    ``random`` is what three lines of a plain script give, cut into batches, the short tail last::

        generator = torch.Generator().manual_seed(seed + epoch)
        permutation = torch.randperm(num_rows, generator=generator).tolist()
        batches = [permutation[i : i + batch_size] for i in range(0, num_rows, batch_size)]

    ``length`` takes the same permutation, sorts it by length within chunks of :data:`CHUNK_BATCHES`
    batches (ties keep the permutation's order), cuts it, and shuffles the batches with the same generator.
    The lengths of a chunk are asked for when the first of its batches is.

    Args:
        lengths: tokens of each row; only their number matters for ``random``.
        batch_size: pairs a batch; the last may be smaller.
        order: how batches are formed.
        seed: of the run.
        epoch: from 0.
    """
    assert batch_size >= 1, batch_size
    num_rows = len(lengths)
    num_batches = -(-num_rows // batch_size)
    generator = torch.Generator().manual_seed(seed + epoch)
    permutation = torch.randperm(num_rows, generator=generator).numpy()
    if order == "random":
        return Batches(num_batches, lambda number: permutation[number * batch_size :][:batch_size].tolist())
    assert order == "length", order
    shuffled = torch.randperm(num_batches, generator=generator).tolist()
    lengths_of = np.asarray(lengths) if isinstance(lengths, Sequence) else lengths

    @cache
    def sorted_chunk(number: int) -> np.ndarray:
        rows = permutation[number * CHUNK_BATCHES * batch_size :][: CHUNK_BATCHES * batch_size]
        return rows[np.argsort(lengths_of[rows], kind="stable")]

    def make(number: int) -> list[int]:
        chunk, place = divmod(shuffled[number], CHUNK_BATCHES)
        return sorted_chunk(chunk)[place * batch_size :][:batch_size].tolist()

    return Batches(num_batches, make)


def swapped_rows(num_rows: int, probability: float, seed: int, epoch: int) -> np.ndarray:
    """Return which pairs an epoch shows with their sentences swapped, bool [num_rows]; epoch from 0."""
    return np.random.default_rng([seed, epoch]).random(num_rows) < probability


class PairCollator:
    """Pad encoded pairs to one length and stack them; the collate function of every loader here.

    It is transformers' ``DataCollatorWithPadding`` under the tokenizer's lock.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        pad_to: Literal["longest"] | int = "longest",
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """Fix how far batches are padded.

        Args:
            tokenizer: gives the id and the side of the padding.
            pad_to: "longest" of the batch, or a fixed number of tokens.
            pad_to_multiple_of: round the length up to a multiple of this.
        """
        self.pad_to = pad_to
        self._tokenizer = tokenizer
        self._collate = DataCollatorWithPadding(
            tokenizer,
            padding="longest" if pad_to == "longest" else "max_length",
            max_length=None if pad_to == "longest" else int(pad_to),
            pad_to_multiple_of=pad_to_multiple_of,
        )

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Return int64 tensors [B, T] for each key of the encoding, and ``labels`` [B] if there are any.

        Raises:
            InputError: when a pair is longer than a fixed ``pad_to``.
        """
        if self.pad_to != "longest":
            longest = max(len(feature["input_ids"]) for feature in features)
            if longest > self.pad_to:
                raise InputError(
                    f"A pair has {longest} tokens and does not fit into batches of {self.pad_to}."
                )
        with tokenizer_lock(self._tokenizer):
            return dict(self._collate([dict(feature) for feature in features]))


@dataclass(frozen=True)
class PaddingReport:
    """How much of a set of batches is padding.

    Attributes:
        num_batches: how many batches.
        num_real_tokens: tokens of the pairs themselves.
        num_positions: positions that the model computes, padding included.
        longest: the longest batch, in tokens.
        cost: relative cost in tokens, as :func:`batch_cost` counts, summed over the batches.
    """

    num_batches: int
    num_real_tokens: int
    num_positions: int
    longest: int
    cost: float

    @property
    def ratio(self) -> float:
        """Positions computed for each real token, at least 1."""
        return self.num_positions / self.num_real_tokens

    @property
    def padding_share(self) -> float:
        """Share of the positions that is padding, in [0, 1)."""
        return 1.0 - self.num_real_tokens / self.num_positions


def padding_report(
    lengths: Sequence[int] | np.ndarray,
    batches: Iterable[Sequence[int]],
    pad_to: Literal["longest"] | int = "longest",
    pad_to_multiple_of: int | None = None,
    hidden_size: int = 384,
) -> PaddingReport:
    """Count what padding adds to these batches, without building them.

    Args:
        lengths: tokens of each row.
        batches: row numbers, as :func:`epoch_batches` returns them.
        pad_to: as in :class:`PairCollator`; rows longer than a fixed number count as cut to it.
        pad_to_multiple_of: as in :class:`PairCollator`.
        hidden_size: width of the model, for the cost.
    """
    all_lengths = np.asarray(lengths, dtype=np.int64)
    if pad_to != "longest":
        all_lengths = np.minimum(all_lengths, pad_to)
    num_batches = num_real = num_positions = longest = 0
    cost = 0.0
    for batch in batches:
        of_batch = all_lengths[np.asarray(batch, dtype=np.int64)]
        length = padded_length(int(of_batch.max()), pad_to, pad_to_multiple_of)
        num_batches += 1
        num_real += int(of_batch.sum())
        num_positions += len(of_batch) * length
        longest = max(longest, length)
        cost += batch_cost(len(of_batch), length, hidden_size)
    return PaddingReport(num_batches, num_real, num_positions, longest, cost)


def padded_length(
    longest: int, pad_to: Literal["longest"] | int = "longest", pad_to_multiple_of: int | None = None
) -> int:
    """Return the length T of a batch whose longest pair has ``longest`` tokens."""
    length = longest if pad_to == "longest" else int(pad_to)
    if pad_to_multiple_of:
        length = -(-length // pad_to_multiple_of) * pad_to_multiple_of
    return length


def batch_cost(num_pairs: int, length: int, hidden_size: int = 384) -> float:
    """Predict the relative cost of a batch [B, T], in tokens of a very short pair.

    In one encoder layer of width h a token costs 24 h² floating-point operations in the matrix products
    (12 h² weights) and 4 T h in attention, so a batch costs B T (1 + T / 6h): the longer the padding, the
    more each position costs. Embeddings, norms, dropout and the optimizer are left out.
    """
    return num_pairs * length * (1.0 + length / (6.0 * hidden_size))
