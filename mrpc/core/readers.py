"""Read one file of sentence pairs as checked Arrow batches; find the line where it is wrong.

The good path is columns and no Python for each row. Only when a batch is refused is the file read once
more, row by row, to say which line it is. Knows .jsonl, .csv and .parquet; no Hub, no caches.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from mrpc.core.pairs import MAX_SENTENCE_CHARS, SPLITS
from mrpc.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".parquet")

MAX_FILE_BYTES = 2_000_000_000
MAX_ROWS = 5_000_000

_BLOCK_BYTES = 1_000_000  # Arrow reads some thirty blocks ahead
_MAX_IDX = 2**31 - 1
_NEEDED = ("sentence1", "sentence2", "label")
_SCHEMA = pa.schema(
    {"sentence1": pa.string(), "sentence2": pa.string(), "label": pa.int64(), "idx": pa.int64()}
)
_FAULTS = (
    pa.ArrowInvalid,
    pa.ArrowKeyError,
    pa.ArrowTypeError,
    pa.ArrowNotImplementedError,
    UnicodeDecodeError,
)


class _RefusedError(Exception):
    """The columns of a batch do not hold what they should."""


def find_split_files(data_dir: Path) -> dict[str, Path]:
    """Return the file of each split in a folder.

    Raises:
        DataError: a split has no file, or more than one.
    """
    files: dict[str, Path] = {}
    for split in SPLITS:
        names = [f"{split}{suffix}" for suffix in SUFFIXES]
        found = [data_dir / name for name in names if (data_dir / name).is_file()]
        if not found:
            raise DataError(f"{data_dir} has no {split} split: add {names[0]}, {names[1]} or {names[2]}.")
        if len(found) > 1:
            raise DataError(
                f"{data_dir} has more than one {split} split: {', '.join(p.name for p in found)}."
            )
        files[split] = found[0]
    return files


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file: string sentence1 and sentence2, int64 label (0 or 1), int32 idx.

    A file without ``idx`` gets row numbers. Columns of other names are left out.

    Raises:
        DataError: with the file, the line and what is wrong there.
    """
    num_bytes = path.stat().st_size
    if num_bytes > MAX_FILE_BYTES:
        raise DataError(f"{path} has {num_bytes:,} bytes; at most {MAX_FILE_BYTES:,} are taken.")
    num_rows = 0
    numbered: bool | None = None
    try:
        for batch in _BATCH_READERS[path.suffix](path):
            if not len(batch):
                continue
            if numbered is None:
                numbered = batch.column("idx").null_count == len(batch)
            yield _checked(batch, num_rows if numbered else None)
            num_rows += len(batch)
            if num_rows > MAX_ROWS:
                raise DataError(f"{path} has more than {MAX_ROWS:,} rows, the most that are taken.")
    except (*_FAULTS, _RefusedError) as error:
        raise _explain(path, error) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not num_rows:
        raise DataError(f"{path} has no rows.")


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


def _read_jsonl(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file:
        if file.read(3) != b"\xef\xbb\xbf":
            file.seek(0)
        yield from pa.json.open_json(
            file,
            read_options=pa.json.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pa.json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
        )


def _read_csv(path: Path) -> Iterator[pa.RecordBatch]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        header = next(csv.reader(text), [])
    if len(set(header)) < len(header):
        raise _RefusedError("two columns have one name")
    columns = [name for name in _SCHEMA.names if name != "idx" or name in header]
    reader = pa.csv.open_csv(
        str(path),
        read_options=pa.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: _SCHEMA.field(name).type for name in columns},
            include_columns=columns,
            strings_can_be_null=False,
        ),
    )
    for batch in reader:
        yield batch if "idx" in columns else _with_idx(batch, pa.nulls(len(batch), pa.int64()))


def _read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(path) as file:
        sizes = (file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if sum(sizes) > MAX_FILE_BYTES or file.metadata.num_rows > MAX_ROWS:
            raise DataError(
                f"{path} is too large: at most {MAX_FILE_BYTES:,} bytes and {MAX_ROWS:,} rows are taken."
            )
        present = file.schema_arrow.names
        columns = [name for name in _SCHEMA.names if name != "idx" or name in present]
        if missing := [name for name in columns if name not in present]:
            raise _RefusedError(f"the column {missing[0]} is missing")
        for name in columns:
            is_right = pa.types.is_integer if name in ("label", "idx") else _is_text
            if not is_right(file.schema_arrow.field(name).type):
                raise _RefusedError(f"the column {name} holds {file.schema_arrow.field(name).type}")
        for batch in file.iter_batches(columns=columns):
            if "idx" not in columns:
                batch = _with_idx(batch, pa.nulls(len(batch), pa.int64()))
            yield batch.select(_SCHEMA.names).cast(_SCHEMA)


_BATCH_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain)


def _with_idx(batch: pa.RecordBatch, idx: pa.Array) -> pa.RecordBatch:
    columns = [batch.column(name) if name != "idx" else idx for name in _SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, names=_SCHEMA.names)


def _checked(batch: pa.RecordBatch, first_row: int | None) -> pa.RecordBatch:
    """Return a batch whose every row is good, numbered from ``first_row`` unless that is None."""
    if first_row is not None:
        if batch.column("idx").null_count < len(batch):
            raise _RefusedError("some rows have an idx and some have none")
        batch = _with_idx(batch, pa.array(np.arange(first_row, first_row + len(batch))))
    batch.validate(full=True)  # UTF-8 too
    if any(column.null_count for column in batch.columns):
        raise _RefusedError("a value is missing")
    for name, limit in (("label", 1), ("idx", _MAX_IDX)):
        bounds = pc.min_max(batch.column(name)).as_py()
        if bounds["min"] < 0 or bounds["max"] > limit:
            raise _RefusedError(f"{name} is out of range")
    for name in ("sentence1", "sentence2"):
        lengths = pc.min_max(pc.utf8_length(batch.column(name))).as_py()
        if lengths["max"] > MAX_SENTENCE_CHARS:
            raise _RefusedError(f"{name} is too long")
        if pc.min(pc.binary_length(pc.utf8_trim_whitespace(batch.column(name)))).as_py() == 0:
            raise _RefusedError(f"{name} is empty")
    idx = batch.column("idx").cast(pa.int32())
    return pa.RecordBatch.from_arrays([*(batch.column(name) for name in _NEEDED), idx], names=_SCHEMA.names)


def _explain(path: Path, error: Exception) -> DataError:
    """Read a refused file row by row and say where it is wrong first."""
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


def _row_problem(row: dict[str, Any], has_idx: bool) -> str | None:
    missing = [name for name in _NEEDED if name not in row]
    if missing:
        return f"{missing[0]} is missing; every pair needs {', '.join(_NEEDED)}."
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
    if idx is not None and (type(idx) is not int or not 0 <= idx <= _MAX_IDX):
        return f"idx is {_shown(idx)}; it must be a whole number from 0 to {_MAX_IDX:,}."
    return None


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each row stands ("line 7") and what it holds, slowly and with plain Python."""
    return {".jsonl": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[path.suffix](path)


def _text_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
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
        if len(line) > _BLOCK_BYTES // 2:
            raise DataError(f"{path}, line {number}: {len(line):,} characters in one line are too many.")
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
        if missing := [name for name in _NEEDED if name not in header]:
            raise DataError(
                f"{path}, line 1: the column {missing[0]} is missing; every pair needs {', '.join(_NEEDED)}."
            )
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
            if missing := [name for name in _NEEDED if name not in file.schema_arrow.names]:
                raise DataError(
                    f"{path}: the column {missing[0]} is missing; every pair needs {', '.join(_NEEDED)}."
                )
            present = [name for name in _SCHEMA.names if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(columns=present):
                for place in range(len(batch)):
                    number += 1
                    yield f"row {number}", _parquet_row(path, batch, place, number)
    except _FAULTS as error:
        raise DataError(f"{path} is not a Parquet file that can be read: {error}") from None


def _parquet_row(path: Path, batch: pa.RecordBatch, place: int, number: int) -> dict[str, Any]:
    try:
        return {name: batch.column(name)[place].as_py() for name in batch.schema.names}
    except UnicodeDecodeError:
        raise DataError(f"{path}, row {number}: the text is not UTF-8.") from None


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
