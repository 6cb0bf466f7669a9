"""Say where a file of sentence pairs is wrong: read it once more, row by row, with plain Python.

Only for files that :mod:`mrpc.core.data.readers` refused; slow, and in no hurry.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from mrpc.core.data.pairs import MAX_SENTENCE_CHARS
from mrpc.errors import DataError

NEEDED_COLUMNS = ("sentence1", "sentence2", "label")

MAX_IDX = 2**31 - 1
"""``idx`` is an int32, as on the Hub."""

MAX_LINE_BYTES = 500_000
"""Two sentences of the longest, every character escaped, fit in; half of what Arrow reads at once."""

ARROW_FAULTS = (
    *(pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowNotImplementedError),
    UnicodeDecodeError,
)
"""What Arrow raises about a file's content."""


def explain_refusal(path: Path, error: Exception) -> DataError:
    """Return the error that says where a refused file is wrong first; ``error`` is what refused it."""
    has_idx: bool | None = None
    try:
        for place, row in _rows(path):
            if has_idx is None:
                has_idx = row.get("idx") is not None
            problem = _row_problem(row, has_idx)
            if problem:
                return DataError(f"{path}, {place}: {problem}")
    except DataError as found:
        return found
    return DataError(f"{path} cannot be read: {error}")


def repeated_idx(path: Path, idx: np.ndarray) -> DataError:
    """Return the error for a file in which two rows have one ``idx``."""
    values, counts = np.unique(idx, return_counts=True)
    value = int(values[counts > 1][0])
    wanted = (place for place, row in _rows(path) if row.get("idx") in (value, str(value)))
    first, second = next(wanted, "?"), next(wanted, "?")
    return DataError(
        f"{path}, {second}: idx {value} stands at {first} already. Give each pair a number of its own, "
        "or leave the column out."
    )


def _row_problem(row: dict[str, Any], has_idx: bool) -> str | None:
    missing = [name for name in NEEDED_COLUMNS if name not in row]
    if missing:
        return f"{missing[0]} is missing; every pair needs {', '.join(NEEDED_COLUMNS)}."
    for name in ("sentence1", "sentence2"):
        text = row[name]
        if not isinstance(text, str):
            return f"{name} is {_shown(text)}; it must be text."
        if not text.strip():
            return f"{name} is empty."
        if len(text) > MAX_SENTENCE_CHARS:
            return f"{name} has {len(text):,} characters; at most {MAX_SENTENCE_CHARS:,} are taken."
        if any("\ud800" <= character <= "\udfff" for character in text):
            return f"{name} holds half of a surrogate pair, which is no character."
    if type(row["label"]) is not int or row["label"] not in (0, 1):
        return f"label is {_shown(row['label'])}; it must be 0 (not equivalent) or 1 (equivalent)."
    idx = row.get("idx")
    if has_idx != (idx is not None):
        return "idx is given in some rows and missing in others; give it in all or in none."
    if idx is not None and (type(idx) is not int or not 0 <= idx <= MAX_IDX):
        return f"idx is {_shown(idx)}; it must be a whole number from 0 to {MAX_IDX:,}."
    return None


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row stands ("line 7") and what it holds, slowly and with plain Python."""
    return {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[path.suffix](path)


def _text_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
            if len(line) == MAX_LINE_BYTES:
                raise DataError(f"{path}, line {number}: more than {MAX_LINE_BYTES:,} bytes in one line.")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: byte {error.start + 1}, 0x{line[error.start]:02X}, "
                    "is not UTF-8. Save the file as UTF-8."
                ) from None


def _jsonl_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_text_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_without_repeats)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON: {error}.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: {_shown(row)} is not an object in braces.")
        yield f"line {number}", row


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return row


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(_text_lines(path))
    try:
        header = next(reader, [])
        if repeated := [name for name in header if header.count(name) > 1]:
            raise DataError(f"{path}, line 1: the column {repeated[0]!r} stands twice.")
        if missing := [name for name in NEEDED_COLUMNS if name not in header]:
            raise DataError(f"{path}, line 1: {_missing_column(missing[0])}")
        start = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(header):
                raise DataError(
                    f"{path}, line {start}: {len(values)} values where the header has {len(header)}."
                )
            if values:
                row: dict[str, Any] = dict(zip(header, values, strict=True))
                yield f"line {start}", row | {k: _whole(row[k]) for k in ("label", "idx") if k in row}
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV: {error}.") from None


def _whole(text: str) -> int | str | None:
    try:
        return int(text) if text else None
    except ValueError:
        return text


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pa.parquet.ParquetFile(path) as file:
            if missing := [name for name in NEEDED_COLUMNS if name not in file.schema_arrow.names]:
                raise DataError(f"{path}: {_missing_column(missing[0])}")
            present = [name for name in (*NEEDED_COLUMNS, "idx") if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(columns=present):
                for place in range(len(batch)):
                    number += 1
                    yield f"row {number}", _parquet_row(path, batch, place, number)
    except ARROW_FAULTS as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {error}") from None


def _parquet_row(path: Path, batch: pa.RecordBatch, place: int, number: int) -> dict[str, Any]:
    try:
        return {name: batch.column(name)[place].as_py() for name in batch.schema.names}
    except UnicodeDecodeError:
        raise DataError(f"{path}, row {number}: the text is not UTF-8.") from None


def _missing_column(name: str) -> str:
    return f"the column {name} is missing; every pair needs {', '.join(NEEDED_COLUMNS)}."


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
