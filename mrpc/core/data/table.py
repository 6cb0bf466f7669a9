"""A file as named columns: what kind it is, how it is written, and its rows.

:func:`open_table` looks at a file (compression, encoding, delimiter, quotes) before a row is read. Rows
then come in one of two ways: :meth:`Table.batches` for what is plain, by Arrow, and :meth:`Table.rows` for
everything, by Python, with the line of each row. Nothing here knows what a sentence or a label is.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet

from mrpc.core.data.csv_rows import Recognizes, csv_batches, csv_rows, look_at_csv
from mrpc.core.data.encoding import look_at_text
from mrpc.core.data.json_rows import json_batches, json_rows, look_at_json
from mrpc.core.data.pairs import SUFFIXES
from mrpc.core.data.report import shown_name
from mrpc.errors import DataError

ARROW_FAULTS = (
    *(pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowNotImplementedError),
    UnicodeDecodeError,
)
"""What Arrow raises about a file's content."""

UNPACKING_FAULTS = (gzip.BadGzipFile, EOFError, zlib.error)

FOREIGN = {
    b"PK\x03\x04": "a workbook or a zip file, whatever its name says. Save the sheet as CSV, or unpack it.",
    b"\xd0\xcf\x11\xe0": "a workbook of Excel, whatever its name says. Save the sheet as CSV.",
    **dict.fromkeys(
        (b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!", b"\x1f\x9d"),
        "compressed, and not by gzip. Unpack it, or pack it with gzip.",
    ),
    b"%PDF": "a PDF. Save its table as CSV.",
    b"SQLite format 3": "a database. Export the table as CSV.",
    b"FEA1": "a Feather file. Save it as Parquet.",
    b"ARROW1": "a Feather file. Save it as Parquet.",
    b"\x80\x04\x95": "a pickle, which is not opened: it could run code. Save it as Parquet.",
    b"version https://git-lfs": "a pointer of Git LFS, not the data. Fetch the data with git lfs pull.",
}
"""Files that are none of pairs, by their first bytes."""

_HEAD_BYTES = 64_000
_TAR_MARK = slice(257, 262)
_WEB_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml)", re.IGNORECASE)

Row = tuple[str, Sequence[object]]
"""Where a row stands ("line 7"), and its cells in the order that was asked for; None where there is none."""


@dataclass(frozen=True)
class Limits:
    """How much is taken.

    Attributes:
        max_file_bytes: of a file, and of what it holds when it is unpacked.
        max_rows: of a file.
    """

    max_file_bytes: int = 2_000_000_000
    max_rows: int = 5_000_000


@dataclass
class Table:
    """A file that was looked at.

    Attributes:
        path: the file.
        shown: what messages call it.
        limits: how much of it is taken.
        kind: "CSV", "JSON lines", "JSON", "Parquet" or "Arrow".
        columns: the names, as they stand there; an unnamed column is "".
        is_gzip: it is compressed.
        encoding: a codec of Python's.
        delimiter: one character, for CSV.
        quote: what encloses a cell of CSV.
        has_raw_quotes: a quote is a character like any other.
        has_escaped_quotes: a quote inside of a cell has a backslash before it.
        skips_spaces: spaces behind a delimiter belong to it.
        num_skipped: lines before the header.
        num_header_lines: lines that are no rows: the header, and Excel's line that names the delimiter.
        num_lines: of a text file that has a row a line.
        num_inner_lines: lines that :meth:`rows` found inside of rows so far.
        is_plain: Arrow reads it as Python would.
        may_hold_odd: control characters may stand in it; False where it was seen that there are none.
        label_names: what the file itself calls 0 and 1 in each column, if it does.
        notes: what a person should know.
    """

    path: Path
    shown: str
    limits: Limits
    kind: str
    columns: list[str] = field(default_factory=list)
    is_gzip: bool = False
    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    has_raw_quotes: bool = False
    has_escaped_quotes: bool = False
    skips_spaces: bool = False
    num_skipped: int = 0
    num_header_lines: int = 0
    num_lines: int | None = None
    num_inner_lines: int = 0
    is_plain: bool = True
    may_hold_odd: bool = True
    label_names: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield every row by plain Python.

        Raises:
            DataError: naming the line that is no row.
        """
        readers = {"CSV": csv_rows, "JSON lines": json_rows, "JSON": json_rows}
        yield from readers.get(self.kind, _arrow_rows)(self, wanted)

    def batches(self, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a plain file: strings ``texts`` and int64 ``numbers``, null where missing.

        Raises:
            ARROW_FAULTS: the file is not as plain as that.
        """
        schema = pa.schema({**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.int64())})
        readers = {"CSV": csv_batches, "JSON lines": json_batches}
        yield from readers.get(self.kind, _arrow_batches)(self, schema)

    def open(self) -> BinaryIO:
        """Open the file, unpacked."""
        return gzip.open(self.path, "rb") if self.is_gzip else self.path.open("rb")  # type: ignore[return-value]

    def lines(self) -> io.TextIOWrapper:
        """Open the file as text whose line ends stay as they are."""
        return io.TextIOWrapper(self.open(), encoding=self.encoding, newline="")

    def refuse(self, place: str, problem: str) -> DataError:
        """Return the error that names the file and the place."""
        return DataError(f"{self.shown}, {place}: {problem}")


def split_suffix(name: str) -> tuple[str, str]:
    """Return a name without suffixes, and its suffix without .gz: "Train.CSV.gz" -> "Train", ".csv"."""
    whole = Path(name[:-3] if name.lower().endswith(".gz") else name)
    return whole.stem, whole.suffix.lower()


def open_table(path: Path, shown: str, limits: Limits, recognizes: Recognizes) -> Table:
    """Look at a file and say how it is written.

    Raises:
        DataError: it is no such file, too large, or of a kind that is not read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown} is not a file.")
        if status.st_size > limits.max_file_bytes:
            raise DataError(
                f"{shown} has {status.st_size:,} bytes; at most {limits.max_file_bytes:,} are taken. "
                "Split it."
            )
        with path.open("rb") as file:
            start = file.read(4)
        table = Table(path, shown, limits, "", is_gzip=start[:2] == b"\x1f\x8b")
        with table.open() as file:
            head = file.read(_HEAD_BYTES)
        _look(table, head, recognizes)
        odd = [name for name in table.columns if shown_name(name) != name]
        if odd:
            raise DataError(f"{shown}: the column {odd[0]!a} holds half of a surrogate pair. Rename it.")
        return table
    except UNPACKING_FAULTS as error:
        raise DataError(f"{shown} cannot be unpacked: {error}.") from None
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}.") from None


def _look(table: Table, head: bytes, recognizes: Recognizes) -> None:
    suffix = split_suffix(table.path.name)[1]
    found = next((what for mark, what in FOREIGN.items() if head.startswith(mark)), "")
    if head[_TAR_MARK] == b"ustar":
        found = "an archive of files (tar). Unpack it."
    elif _WEB_PAGE.match(head):
        found = "a web page, not the data. Download the file itself."
    elif table.is_gzip and head[:2] == b"\x1f\x8b":
        found = "compressed twice. Unpack it with gunzip."
    if found:
        raise DataError(f"{table.shown} is {found}")
    if suffix not in SUFFIXES:
        raise DataError(
            f"{table.shown} is not .csv, .tsv, .jsonl, .json or .parquet. Save it as one of them."
        )
    if head[:4] == b"PAR1" or suffix in (".parquet", ".arrow"):
        table.kind = "Parquet" if suffix != ".arrow" else "Arrow"
        _look_at_arrow(table)
        return
    is_json = suffix in (".jsonl", ".ndjson", ".json")
    looked = look_at_text(table.shown, table.open, table.limits.max_file_bytes, is_json)
    table.encoding, table.num_lines = looked.codec, looked.num_lines
    if table.encoding == "cp1252":
        table.notes.append(
            "the text is not UTF-8 and was read as Windows-1252; look at its accents and quotes."
        )
    table.notes += looked.damage
    table.is_plain = table.encoding.startswith("utf-8")
    with table.lines() as lines:
        text = lines.read(_HEAD_BYTES)
    if is_json:
        look_at_json(table, text)
    else:
        table.kind = "CSV"
        table.may_hold_odd = looked.has_odd_characters
        table.is_plain = table.is_plain and not looked.has_lone_returns
        look_at_csv(table, text, suffix, recognizes, looked)


# Parquet, and the Arrow files of save_to_disk


def _look_at_arrow(table: Table) -> None:
    if table.is_gzip:
        raise DataError(f"{table.shown} is compressed twice. Unpack it with gunzip.")
    try:
        if table.kind == "Parquet":
            with pa.parquet.ParquetFile(table.path) as file:
                schema, metadata = file.schema_arrow, file.metadata
                num_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
                if num_bytes > table.limits.max_file_bytes or metadata.num_rows > table.limits.max_rows:
                    raise DataError(
                        f"{table.shown} is too large: {metadata.num_rows:,} rows, {num_bytes:,} bytes "
                        "unpacked; at "
                        f"most {table.limits.max_rows:,} rows and {table.limits.max_file_bytes:,} "
                        "bytes are taken."
                    )
        else:
            with pa.memory_map(str(table.path)) as source, pa.ipc.open_stream(source) as reader:
                schema = reader.schema
    except (*ARROW_FAULTS, OSError) as error:
        raise _broken(table, error) from None
    table.columns = list(schema.names)
    table.label_names = _class_names(schema)
    repeated = [name for name in table.columns if table.columns.count(name) > 1]
    if repeated:
        raise DataError(f"{table.shown}: the column {repeated[0]!r} stands twice.")


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of classes that the datasets library keeps in a file, by column."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        found = {column: feature.get("names") for column, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        column: names
        for column, names in found.items()
        if isinstance(names, list) and all(isinstance(name, str) for name in names)
    }


def _broken(table: Table, error: Exception) -> DataError:
    article = "an" if table.kind == "Arrow" else "a"
    return DataError(f"{table.shown} is not {article} {table.kind} file that can be read: {error}")


def _open_arrow(table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        if table.kind == "Parquet":
            with pa.parquet.ParquetFile(table.path) as file:
                for batch in file.iter_batches(columns=list(columns)):
                    yield batch.select(list(columns))
        else:
            with pa.OSFile(str(table.path)) as source, pa.ipc.open_stream(source) as reader:
                for batch in reader:
                    yield batch.select(list(columns))
    except OSError as error:  # what Arrow raises about pages that are damaged or cut off
        raise _broken(table, error) from None


def _arrow_batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in _open_arrow(table, schema.names):
        for wanted in schema:
            is_right = pa.types.is_integer if pa.types.is_int64(wanted.type) else _is_text
            if not is_right(batch.schema.field(wanted.name).type):
                raise pa.ArrowInvalid(f"the column {wanted.name} is of another type")
        yield batch.cast(schema)


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain)


def _arrow_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    number = 0
    try:
        for batch in _open_arrow(table, wanted):
            columns = [batch.column(name) for name in wanted]
            for at in range(len(batch)):
                number += 1
                yield f"row {number}", [column[at].as_py() for column in columns]
    except UnicodeDecodeError:
        raise table.refuse(f"row {number}", "the text is not UTF-8.") from None
    except ARROW_FAULTS as error:
        raise _broken(table, error) from None
