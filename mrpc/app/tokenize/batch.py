"""Batches and their padding: a few rows drawn as a grid, and what padding costs over a whole split.

Lengths come from the function that encodes for training, orders from the sampler and tensors from the
collator that training uses; see :mod:`mrpc.core.text.batching`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrpc.app.checkpoints import CheckpointShelf, LoadedTokenizer
from mrpc.app.inputs import MAX_BATCH_ROWS, MAX_LENGTH, check_whole, find_split
from mrpc.core.text.batching import PaddingReport, PairCollator, epoch_batches, padding_report
from mrpc.core.text.tokenization import encode_pairs, encoded_lengths, token_rows
from mrpc.errors import InputError
from mrpc.recent import Recent

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.core.data.load import LoadedData

SegmentKind = Literal["special", "s1", "s2", "pad"]
PadTo = Literal["longest", "multiple_of_8", "split", "128", "512"]

PAD_TO: tuple[PadTo, ...] = ("longest", "multiple_of_8", "split", "128", "512")
MAX_REPORT_ROWS = 20_000
"""Rows of a split that the report looks at, from its start: some two seconds of tokenizing."""
ENCODE_ROWS = 1_000
MAX_KEPT = 12


@dataclass(frozen=True)
class BatchRow:
    """One row of a batch.

    Attributes:
        number: its place in the split.
        num_tokens: without padding.
        segments: what follows what along the row: kind and how many tokens.
    """

    number: int
    num_tokens: int
    segments: list[tuple[SegmentKind, int]]


@dataclass(frozen=True)
class PaddedBatch:
    """Some rows, padded.

    Attributes:
        pad_to: how far.
        rows: in the order they were asked for.
        length: tokens of each row with padding.
        shapes: the shape of each tensor of the batch.
        lengths_by_choice: the padded length under each way of padding.
    """

    pad_to: PadTo
    rows: list[BatchRow]
    length: int
    shapes: dict[str, tuple[int, ...]]
    lengths_by_choice: dict[PadTo, int]

    @property
    def num_real_tokens(self) -> int:
        """Tokens that are not padding."""
        return sum(row.num_tokens for row in self.rows)

    @property
    def padding_share(self) -> float:
        """Share of the batch that is padding."""
        return self.padding_share_at(self.length)

    def padding_share_at(self, length: int) -> float:
        """Return the share of padding if each row had this length; 0 where the rows would be cut."""
        return max(0.0, 1.0 - self.num_real_tokens / (len(self.rows) * length))


@dataclass(frozen=True)
class SplitPadding:
    """What every strategy pads over a split.

    Attributes:
        num_rows: rows that were counted.
        num_rows_of_split: rows that there are.
        mean_length: tokens of a pair, on average.
        longest: tokens of the longest pair.
        strategies: ways of forming and padding batches, in words, and what each pads; first the course's.
    """

    num_rows: int
    num_rows_of_split: int
    mean_length: float
    longest: int
    strategies: dict[str, PaddingReport]

    @property
    def scale(self) -> float:
        """The ratio at which a bar ends. The last one, of 512, is longer and runs out of the picture."""
        return sorted(report.ratio for report in self.strategies.values())[-2] * 1.12


class Padding:
    """Draws batches and counts padding. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData], checkpoints: CheckpointShelf) -> None:
        self._read_data = read_data
        self._checkpoints = checkpoints
        self._lengths: Recent[np.ndarray] = Recent(MAX_KEPT)

    def batch(
        self, split: object, rows: object, checkpoint: str = "", pad_to: object = "longest"
    ) -> PaddedBatch:
        """Build one batch from chosen rows with the collator of the training.

        Args:
            split: which split.
            rows: numbers as text, such as "0-7" or "3, 5, 21".
            checkpoint: whose tokenizer; "" is the default.
            pad_to: one of :data:`PAD_TO`.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the tokenizer is not available now.
        """
        dataset = self._split(split)
        numbers = parse_rows(rows, len(dataset))
        if pad_to not in PAD_TO:
            raise InputError(f"padding is {str(pad_to)[:60]!r}; it must be one of {', '.join(PAD_TO)}.")
        loaded = self._checkpoints.tokenizer(checkpoint)
        max_length = 128 if pad_to == "128" else MAX_LENGTH
        chosen = dataset[numbers]
        encoded = encode_pairs(loaded.tokenizer, chosen["sentence1"], chosen["sentence2"], max_length)
        lengths = encoded_lengths(encoded)
        longest_of_split = max(*lengths, int(self.lengths(split, checkpoint).max()))
        fixed: dict[PadTo, int] = {"split": longest_of_split, "128": 128, "512": MAX_LENGTH}
        collate = PairCollator(
            loaded.tokenizer,
            pad_to=fixed.get(pad_to, "longest"),
            pad_to_multiple_of=8 if pad_to == "multiple_of_8" else None,
        )
        features = [
            {key: encoded[key][place] for key in encoded} | {"labels": chosen["label"][place]}
            for place in range(len(numbers))
        ]
        tensors = collate(features)
        masks = tensors["attention_mask"].tolist()
        longest = max(lengths)
        return PaddedBatch(
            pad_to=pad_to,
            rows=[
                BatchRow(number, sum(masks[place]), _segments(loaded, encoded, place, masks[place]))
                for place, number in enumerate(numbers)
            ],
            length=len(masks[0]),
            shapes={key: tuple(tensor.shape) for key, tensor in tensors.items()},
            lengths_by_choice={"longest": longest, "multiple_of_8": -(-longest // 8) * 8, **fixed},
        )

    def report(
        self, split: object, checkpoint: str = "", batch_size: object = 8, seed: object = 42
    ) -> SplitPadding:
        """Count the padding of a split under every strategy, for the first epoch of a training.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the tokenizer is not available now.
        """
        dataset = self._split(split)
        size = check_whole(batch_size, "batch size", 1, 256)
        whole_seed = check_whole(seed, "seed", 0, 2**31 - 1)
        hidden_size = self._checkpoints.tokenizer(checkpoint).hidden_size
        lengths = self.lengths(split, checkpoint)
        random = epoch_batches(lengths, size, "random", whole_seed, epoch=0)
        grouped = epoch_batches(lengths, size, "length", whole_seed, epoch=0)
        longest = int(lengths.max())

        ways: list[tuple[str, Sequence[list[int]], Literal["longest"] | int, int]] = [
            ("random batches, padded to their longest", random, "longest", 1),
            ("random batches, padded to a multiple of 8", random, "longest", 8),
            ("batches of similar length, padded to their longest", grouped, "longest", 1),
            ("batches of similar length, padded to a multiple of 8", grouped, "longest", 8),
            (f"everything padded to the split’s longest, {longest}", random, longest, 1),
            ("everything padded to 128", random, 128, 1),
            ("everything padded to 512", random, 512, 1),
        ]
        return SplitPadding(
            num_rows=len(lengths),
            num_rows_of_split=len(dataset),
            mean_length=float(lengths.mean()),
            longest=longest,
            strategies={
                name: padding_report(lengths, batches, pad_to, multiple, hidden_size)
                for name, batches, pad_to, multiple in ways
            },
        )

    def draw_rows(self, split: object, num: int) -> list[int]:
        """Draw some rows at random, in their order; fewer where the split is smaller.

        Raises:
            InputError: there is no such split.
        """
        return sorted(np.random.default_rng().permutation(len(self._split(split)))[:num].tolist())

    def lengths(self, split: object, checkpoint: str = "") -> np.ndarray:
        """Return the tokens of each row, at most :data:`MAX_REPORT_ROWS` of them; computed once.

        Returns:
            int32 [N].
        """
        dataset = self._split(split)
        loaded = self._checkpoints.tokenizer(checkpoint)
        return self._lengths.once((loaded.spec.name, str(split)), lambda: _count_tokens(loaded, dataset))

    def _split(self, split: object) -> Dataset:
        return find_split(self._read_data(), split)


def parse_rows(text: object, num_rows: int) -> list[int]:
    """Read row numbers such as "0-7" or "3, 5, 21".

    Raises:
        InputError: it cannot be read, or a row is not there.
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part] if isinstance(text, str) else []
    numbers: list[int] = []
    for part in parts[: MAX_BATCH_ROWS + 1]:
        found = re.fullmatch(r"(\d{1,9})(?:[-–](\d{1,9}))?", part, re.ASCII)
        if found is None:
            raise InputError(f"The row numbers hold {part[:20]!r}. Write them as 0-7 or 3, 5, 21.")
        first, last = int(found[1]), int(found[2] or found[1])
        numbers += range(first, min(last, first + MAX_BATCH_ROWS) + 1)
    if not 1 <= len(numbers) <= MAX_BATCH_ROWS:
        raise InputError(f"Choose 1 to {MAX_BATCH_ROWS} rows, written as 0-7 or 3, 5, 21.")
    for number in numbers:
        check_whole(number, "row", 0, num_rows - 1)
    return numbers


def _count_tokens(loaded: LoadedTokenizer, dataset: Dataset) -> np.ndarray:
    lengths: list[int] = []
    for start in range(
        0, min(len(dataset), MAX_REPORT_ROWS), ENCODE_ROWS
    ):  # so that others get the lock in between
        rows = dataset[start : min(start + ENCODE_ROWS, MAX_REPORT_ROWS)]
        lengths += encoded_lengths(
            encode_pairs(loaded.tokenizer, rows["sentence1"], rows["sentence2"], MAX_LENGTH)
        )
    return np.asarray(lengths, dtype=np.int32)


def _segments(
    loaded: LoadedTokenizer, encoded: object, place: int, mask: list[int]
) -> list[tuple[SegmentKind, int]]:
    kinds: list[SegmentKind] = []
    for row in token_rows(loaded.tokenizer, encoded, place):  # type: ignore[arg-type]
        kinds.append("special" if row.sequence_id is None else ("s1", "s2")[row.sequence_id])
    kinds += ["pad"] * (len(mask) - len(kinds))
    return [(kind, len(list(group))) for kind, group in groupby(kinds)]
