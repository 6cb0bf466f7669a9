"""The rows of a split: numbered, drawn, written as an Arrow file, hashed, and looked at for what repeats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Features, Value

from mrpc.core.data.check import CheckedFile
from mrpc.core.data.columns import LabelRule
from mrpc.core.data.pairs import LABEL_NAMES, NEEDED_COLUMNS
from mrpc.core.data.report import SplitReport
from mrpc.core.data.row_by_row import whole_number
from mrpc.core.data.splits import draw_validation, pair_keys
from mrpc.errors import DataError


def features(label_names: tuple[str, str] = LABEL_NAMES) -> Features:
    """Return what the columns of a split hold."""
    return Features(
        {
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=list(label_names)),
            "idx": Value("int32"),
        }
    )


def numbered_batches(files: Sequence[CheckedFile], rule: LabelRule) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a split: strings sentence1, sentence2, int64 label (-1 for none), int64 idx."""
    values = pa.array(rule.numbers.keys(), pa.string())
    numbers = pa.array([*rule.numbers.values()], pa.int64())
    has_idx = all(file.has_idx for file in files)
    num_rows = 0
    for file in files:
        for batch in file.batches():
            label = pc.fill_null(numbers.take(pc.index_in(batch.column("label"), value_set=values)), -1)
            idx = batch.column("idx") if has_idx else pa.array(np.arange(num_rows, num_rows + len(batch)))
            columns = [batch.column("sentence1"), batch.column("sentence2"), label, idx]
            yield pa.RecordBatch.from_arrays(columns, names=["sentence1", "sentence2", "label", "idx"])
            num_rows += len(batch)


def draw_rows(files: Sequence[CheckedFile], rule: LabelRule) -> npt.NDArray[np.bool_]:
    """Choose the rows of train that become validation, bool [N]."""
    keys, labels = [], []
    for batch in numbered_batches(files, rule):
        keys.append(pair_keys(*(batch.column(name) for name in NEEDED_COLUMNS[:2])))
        labels.append(batch.column("label").to_numpy())
    return draw_validation(np.concatenate(keys), np.concatenate(labels))


@dataclass
class SplitRows:
    """What the rows of a split are, in numbers.

    Attributes:
        fingerprint: of all rows.
        pairs: uint64 [N], a hash of both sentences of each row, whichever comes first.
        labels: int64 [N], -1 for none.
    """

    fingerprint: str
    pairs: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]

    @cached_property
    def different(self) -> npt.NDArray[np.uint64]:
        """The hashes of the different pairs, in order."""
        ordered = np.sort(self.pairs)  # np.unique takes ten times as long
        return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]

    def describe(self, origin: str) -> SplitReport:
        """Say what is in the split, and how it came about."""
        num_ones, num_zeros = int((self.labels == 1).sum()), int((self.labels == 0).sum())
        num_repeated = len(self.pairs) - len(self.different)
        both = (
            np.intersect1d(self.pairs[self.labels == 0], self.pairs[self.labels == 1]) if num_repeated else ()
        )
        return SplitReport(
            num_pairs=len(self.pairs),
            num_labels=(num_zeros, num_ones) if num_zeros + num_ones else None,
            fingerprint=self.fingerprint,
            num_repeated=num_repeated,
            num_conflicting=len(both),
            origin=origin,
        )


def write_split(
    files: Sequence[CheckedFile], rule: LabelRule, keep: npt.NDArray[np.bool_] | None, target: Path
) -> SplitRows:
    """Stream the rows of a split into an Arrow file, and return what they are.

    Args:
        files: in their order.
        rule: for their labels.
        keep: bool [N], the rows that are written; None for all.
        target: the file.

    Raises:
        DataError: two of them have one ``idx``.
    """
    schema = features(rule.names).arrow_schema
    rows = RowHash()
    idx, labels, pairs = [], [], []
    num_read = 0
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for numbered in numbered_batches(files, rule):
            batch, num_read = numbered, num_read + len(numbered)
            if keep is not None:
                batch = numbered.filter(pa.array(keep[num_read - len(numbered) : num_read]))
            batch = batch.cast(schema)
            rows.update(batch)
            writer.write_batch(batch)
            idx.append(batch.column("idx").to_numpy())
            labels.append(batch.column("label").to_numpy())
            pairs.append(_pair_hashes(batch))
    numbers = np.sort(np.concatenate(idx))
    is_repeated = numbers[1:] == numbers[:-1]
    if is_repeated.any():
        raise _repeated_idx(files, int(numbers[1:][is_repeated][0]))
    return SplitRows(rows.hexdigest(), np.concatenate(pairs), np.concatenate(labels))


def _pair_hashes(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    texts = (batch.column(name).to_numpy(zero_copy_only=False) for name in NEEDED_COLUMNS[:2])
    first, second = (pd.util.hash_array(text, categorize=False) for text in texts)
    return np.asarray(first + second, np.uint64)  # wraps around, and does not depend on the order


def _repeated_idx(files: Sequence[CheckedFile], value: int) -> DataError:
    """Return the error for a split in which two rows have one ``idx``."""
    places = [
        (file, place)
        for file in files
        for place, (cell,) in file.table.rows([str(file.columns.idx)])
        if whole_number(cell) == value
    ]
    (first_file, first), (file, second) = places[0], places[1]
    first = first if first_file is file else f"{first} of {first_file.table.path.name}"
    return file.table.refuse(
        second,
        f"idx {value} stands at {first} already. Give each pair a number of its own, or leave the "
        "column out.",
    )


def find_leaks(contents: dict[str, SplitRows]) -> dict[str, int]:
    """Return how many different pairs of one split stand in another, by the names of both."""
    names = list(contents)
    leaks = {
        f"{first} and {second}": len(
            np.intersect1d(contents[first].different, contents[second].different, assume_unique=True)
        )
        for at, first in enumerate(names)
        for second in names[at + 1 :]
    }
    return {splits: num for splits, num in leaks.items() if num}


class RowHash:
    """A hash over rows that does not depend on how they are cut into batches."""

    def __init__(self) -> None:
        self._parts = {
            name: hashlib.sha256() for name in ("length1", "text1", "length2", "text2", "label", "idx")
        }
        self._num_rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take the rows of one batch: string columns sentence1 and sentence2, int64 label, int32 idx."""
        for number in ("1", "2"):
            column = batch.column(f"sentence{number}")
            _, offsets, text = column.buffers()
            ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
            self._parts[f"length{number}"].update(np.diff(ends).data)
            self._parts[f"text{number}"].update(memoryview(text)[ends[0] : ends[-1]])
        self._parts["label"].update(batch.column("label").to_numpy())
        self._parts["idx"].update(batch.column("idx").to_numpy())
        self._num_rows += len(batch)

    def hexdigest(self) -> str:
        """Return 16 hex digits."""
        parts = b"".join(part.digest() for part in self._parts.values())
        return hashlib.sha256(self._num_rows.to_bytes(8, "little") + parts).hexdigest()[:16]


def fingerprint_splits(fingerprints: Mapping[str, str]) -> str:
    """Return the fingerprint of a data set from those of its splits, in their order."""
    lines = "\n".join(f"{split} {fingerprint}" for split, fingerprint in fingerprints.items())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
