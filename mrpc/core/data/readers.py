"""Read a file of sentence pairs as checked Arrow batches: .jsonl, .csv or .parquet.

Whole columns are checked, with no Python for each row. When a batch is refused, :mod:`mrpc.core.data.faults`
reads the file once more, row by row, to say where it is wrong. No Hub and no caches here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from mrpc.core.data.faults import ARROW_FAULTS, MAX_IDX, NEEDED_COLUMNS, explain_refusal
from mrpc.core.data.pairs import MAX_SENTENCE_CHARS, SPLITS
from mrpc.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".parquet")

MAX_FILE_BYTES = 2_000_000_000
MAX_ROWS = 5_000_000

_BLOCK_BYTES = 1_000_000  # Arrow reads some thirty blocks ahead
_SCHEMA = pa.schema(
    {"sentence1": pa.string(), "sentence2": pa.string(), "label": pa.int64(), "idx": pa.int64()}
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
    except (*ARROW_FAULTS, _RefusedError) as error:
        raise explain_refusal(path, error) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not num_rows:
        raise DataError(f"{path} has no rows.")


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
    for name, limit in (("label", 1), ("idx", MAX_IDX)):
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
    return pa.RecordBatch.from_arrays(
        [*(batch.column(name) for name in NEEDED_COLUMNS), idx], names=_SCHEMA.names
    )
