"""A person's own pairs: read from pasted lines or a file, written as CSV that a spreadsheet may open safely.

Labels are optional here, unlike in the splits of a data set (:mod:`mrpc.core.data.readers`). Limits are
small, because the rows come from a browser.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mrpc.core.data.pairs import LABEL_NAMES, SentencePair, check_pair
from mrpc.errors import DataError, PairError

MAX_FILE_BYTES = 10_000_000
MAX_PAIRS = 20_000
SUFFIXES = (".csv", ".jsonl", ".parquet")
SEPARATORS = ("\t", "|||")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("sentence1", "sentence2", "label")


def read_lines(text: str) -> list[SentencePair]:
    """Read pasted lines: two sentences, and a label if there is one, between tabs or ``|||``.

    Raises:
        DataError: naming the line, and what is wrong there.
    """
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        raise DataError(f"The text has more than {MAX_FILE_BYTES:,} bytes. Upload a smaller part.")

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            separator = next((mark for mark in SEPARATORS if mark in line), None)
            fields = [field.strip() for field in line.split(separator)] if separator else [line]
            if not 2 <= len(fields) <= 3:
                raise DataError(
                    f"Line {number} has {len(fields)} part{'s' * (len(fields) != 1)}; write two sentences "
                    "with a tab or ||| between them, and a label (0 or 1) after a second one if you have it."
                )
            yield f"Line {number}", dict(zip(COLUMNS, fields, strict=False))

    return _check_rows(rows())


def read_pair_file(path: Path) -> list[SentencePair]:
    """Read .csv, .jsonl or .parquet with sentence1, sentence2 and, if known, label.

    Raises:
        DataError: naming the line or row, and what is wrong there.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path.name[:60]} is not .csv, .jsonl or .parquet.")
    try:
        num_bytes = path.stat().st_size
        if num_bytes > MAX_FILE_BYTES:
            raise DataError(
                f"{path.name[:60]} has {num_bytes:,} bytes; at most {MAX_FILE_BYTES:,} are taken. Split it."
            )
        return _check_rows(_READERS[suffix](path))
    except OSError as error:
        raise DataError(f"{path.name[:60]} cannot be read: {error.strerror or error}.") from None


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV text. A text cell that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe_cell(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return "" if cell is None else cell


def _check_rows(rows: Iterable[tuple[str, dict[str, Any]]]) -> list[SentencePair]:
    pairs: list[SentencePair] = []
    for place, row in rows:
        if len(pairs) == MAX_PAIRS:
            raise DataError(f"There are more than {MAX_PAIRS:,} pairs, the most that are taken. Split them.")
        try:
            sentences = ("" if row.get(name) is None else row[name] for name in COLUMNS[:2])
            pair = check_pair(*sentences)
        except PairError as error:
            raise DataError(f"{place}: {error}") from None
        label = _read_label(row.get("label"), place)
        pairs.append(SentencePair(pair.sentence1, pair.sentence2, label, len(pairs)))
    if not pairs:
        raise DataError("There is no pair in it.")
    return pairs


def _read_label(value: Any, place: str) -> int | None:
    text = "" if value is None else str(value).strip()
    if text == "":
        return None
    if text in ("0", "1"):
        return int(text)
    if text in LABEL_NAMES:
        return LABEL_NAMES.index(text)
    raise DataError(
        f"{place}: the label is {text[:40]!r}; it must be 0, 1, {', '.join(LABEL_NAMES)}, or left out."
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"Line {line} is not UTF-8 text. Save the file as UTF-8.") from None


def _read_csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        _require_columns(reader.fieldnames or [])
        for row in reader:
            if None in row:
                raise DataError(
                    f"Line {reader.line_num} has more cells than the header. Quote the sentences."
                )
            yield f"Line {reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num + 1} is not CSV: {error}.") from None


def _read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"Line {number} is not JSON: {str(error)[:80]}.") from None
        if not isinstance(row, dict):
            raise DataError(f"Line {number} is no object with sentence1 and sentence2.")
        _require_columns(row, f"Line {number}")
        yield f"Line {number}", row


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open("rb") as handle:
            file = pq.ParquetFile(handle)
            _require_columns(file.schema_arrow.names)
            sizes = [file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)]
            if file.metadata.num_rows > MAX_PAIRS or sum(sizes) > 10 * MAX_FILE_BYTES:
                raise DataError(
                    f"{path.name[:60]} has {file.metadata.num_rows:,} rows, {sum(sizes):,} bytes unpacked; "
                    f"at most {MAX_PAIRS:,} and {10 * MAX_FILE_BYTES:,} are taken. Split it."
                )
            names = [name for name in COLUMNS if name in file.schema_arrow.names]
            rows = file.read(columns=names).to_pylist()
    except pa.ArrowException as error:
        raise DataError(
            f"{path.name[:60]} is not a parquet file that can be read: {str(error)[:80]}."
        ) from None
    for number, row in enumerate(rows, start=1):
        yield f"Row {number}", row


def _require_columns(names: Iterable[str], place: str = "The file") -> None:
    missing = [name for name in COLUMNS[:2] if name not in set(names)]
    if missing:
        raise DataError(
            f"{place} has no {' and no '.join(missing)}. Name the columns sentence1 and sentence2."
        )


_READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
