"""A hash over rows, by which runs refer to their data: equal rows have equal ones, whatever the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa


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
