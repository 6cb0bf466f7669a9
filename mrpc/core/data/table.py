"""A file as named columns: what kind it is, how it is written, and its rows.

:func:`open_table` looks at a file (compression, encoding, delimiter, quotes) before a row is read. Rows
then come in one of two ways: :meth:`Table.batches` for what is plain, by Arrow, and :meth:`Table.rows` for
everything, by Python, with the line of each row. Nothing here knows what a sentence or a label is.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import stat
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from mrpc.core.data.encoding import look_at_text, read_blocks
from mrpc.core.data.pairs import SUFFIXES
from mrpc.core.data.report import count, listed
from mrpc.errors import DataError

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}

MAX_LINE_BYTES = 500_000
"""Two sentences of the longest, every character escaped, fit in; half of what Arrow reads at once."""

ARROW_FAULTS = (
    *(pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowTypeError, pa.ArrowNotImplementedError),
    UnicodeDecodeError,
)
"""What Arrow raises about a file's content."""

UNPACKING_FAULTS = (gzip.BadGzipFile, EOFError, zlib.error)

_BLOCK_BYTES = 1_000_000  # Arrow reads some thirty blocks ahead
_HEAD_BYTES = 64_000

_SHORT_ANSWER = re.compile(r"-?\d(\.0+)?|true|false|yes|no", re.IGNORECASE)

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
        has_raw_quotes: a quote is a character like any other.
        skips_spaces: spaces behind a delimiter belong to it.
        num_skipped: lines before the header.
        num_lines: of a text file that has a row a line.
        num_inner_lines: lines that :meth:`rows` found inside of rows so far.
        is_plain: Arrow reads it as Python would.
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
    has_raw_quotes: bool = False
    skips_spaces: bool = False
    num_skipped: int = 0
    num_lines: int | None = None
    num_inner_lines: int = 0
    is_plain: bool = True
    label_names: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield every row by plain Python.

        Raises:
            DataError: naming the line that is no row.
        """
        readers = {"CSV": _csv_rows, "JSON lines": _jsonl_rows, "JSON": _json_rows}
        yield from readers.get(self.kind, _arrow_rows)(self, wanted)

    def batches(self, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a plain file: strings ``texts`` and int64 ``numbers``, null where missing.

        Raises:
            ARROW_FAULTS: the file is not as plain as that.
        """
        schema = pa.schema({**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.int64())})
        readers = {"CSV": _csv_batches, "JSON lines": _jsonl_batches}
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


Recognizes = Callable[[Sequence[str]], bool]
"""Tells whether names of columns are those of pairs."""


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
        return table
    except UNPACKING_FAULTS as error:
        raise DataError(f"{shown} cannot be unpacked: {error}.") from None
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}.") from None


def _look(table: Table, head: bytes, recognizes: Recognizes) -> None:
    suffix = split_suffix(table.path.name)[1]
    if suffix not in SUFFIXES:
        raise DataError(
            f"{table.shown} is not .csv, .tsv, .jsonl, .json or .parquet. Save it as one of them."
        )
    if head[:4] == b"PAR1" or suffix in (".parquet", ".arrow"):
        table.kind = "Parquet" if suffix != ".arrow" else "Arrow"
        _look_at_arrow(table)
        return
    if head[:2] == b"PK" or head[:4] == b"\xd0\xcf\x11\xe0":
        raise DataError(f"{table.shown} is a workbook or a zip file, whatever its name says. Save it as CSV.")
    is_json = suffix in (".jsonl", ".ndjson", ".json")
    looked = look_at_text(table.shown, table.open, table.limits.max_file_bytes, is_json)
    table.encoding, table.num_lines = looked.codec, looked.num_lines
    if table.encoding == "cp1252":
        table.notes.append(
            "the text is not UTF-8 and was read as Windows-1252; look at its accents and quotes."
        )
    table.is_plain = table.encoding.startswith("utf-8")
    with table.lines() as lines:
        text = lines.read(_HEAD_BYTES)
    if is_json:
        _look_at_json(table, text)
    else:
        table.is_plain = table.is_plain and not looked.has_lone_returns
        _look_at_csv(table, text, suffix, recognizes, looked.has_quotes)


# CSV


def _look_at_csv(table: Table, text: str, suffix: str, recognizes: Recognizes, has_quotes: bool) -> None:
    table.kind = "CSV"
    said = re.match(r'"?sep=(.)"?[;,\t]*(\r*\n|\r)', text, re.IGNORECASE)
    if said:  # Excel's own way of naming the delimiter
        text, table.num_skipped = text[said.end() :], 1
    candidates = [said[1]] if said else list(DELIMITERS)
    headers = {delimiter: _first_cells(text, delimiter) for delimiter in candidates}
    fitting = [
        delimiter for delimiter, header in headers.items() if recognizes([cell.strip() for cell in header])
    ]
    if not fitting:
        likeliest = max(candidates, key=lambda delimiter: len(headers[delimiter]))
        fitting = [likeliest if len(headers[likeliest]) > 1 else "\t" if suffix == ".tsv" else candidates[0]]
    table.delimiter = fitting[0]
    header = headers[table.delimiter]
    table.skips_spaces = len(header) > 1 and all(name[:1] == " " for name in header[1:] if name)
    table.columns = [name.strip() for name in header]
    while table.columns and not table.columns[-1]:
        table.columns.pop()
    repeated = [name for name in table.columns if name and table.columns.count(name) > 1]
    if repeated:
        raise table.refuse(f"line {1 + table.num_skipped}", f"the column {repeated[0]!r} stands twice.")
    table.has_raw_quotes = has_quotes and table.delimiter == "\t" and _quotes_are_raw(table)
    if table.has_raw_quotes:
        table.notes.append(
            "quotes are part of the text, as in the files of MRPC; none of them encloses a cell."
        )
    table.is_plain = (
        table.is_plain
        and not table.has_raw_quotes
        and not table.skips_spaces
        and (not has_quotes or _has_plain_quotes(table))
    )


def _first_cells(text: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return next((cells for cells in reader if cells), [])
    except csv.Error:
        return []


def _has_plain_quotes(table: Table) -> bool:
    """Tell whether no quote asks for more care than Arrow takes."""
    mark = table.delimiter.encode()
    starts, ends = (mark, b"\n"), (mark, b"\n", b"\r\n")
    for block in read_blocks(table.open):
        if b'"' not in block:
            continue
        lines = b"\n" + block + b"\n"
        for match in re.finditer(rb'""[^"]', lines):  # a cell that begins so is empty, or not well formed
            if lines[match.start() - 1 : match.start()] in starts and match[0][2:] not in (
                mark,
                b"\n",
                b"\r",
            ):
                return False
        parts = lines.replace(b'""', b"").split(b'"')  # outside of quotes, inside, outside, ...
        if len(parts) % 2 == 0 or any(b"\n" in inside for inside in parts[1::2]):
            return False
        if not all(part.endswith(starts) for part in parts[:-1:2]):
            return False
        if not all(part.startswith(ends) for part in parts[2::2]):
            return False
    return True


def _quotes_are_raw(table: Table) -> bool:
    """Tell whether quotes in a tab-separated file are plain characters, as in MRPC's own.

    They are marks where the file reads well with them, and where a writer of CSV would have needed them.
    """
    num_columns = len(table.columns)
    needless, bare = [0] * num_columns, [0] * num_columns
    try:
        for record in _records(table):
            if len(record.cells) < num_columns:
                raise csv.Error
            if len(record.lines) == 1:
                for at, cell in enumerate(
                    record.lines[0].rstrip("\r\n").split(table.delimiter)[:num_columns]
                ):
                    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
                    needless[at] += is_quoted and '"' not in cell[1:-1]
                    bare[at] += not is_quoted and bool(cell)
    except (csv.Error, DataError):
        with table.lines() as lines:
            return all(line.count("\t") >= num_columns - 1 for line in lines if line.strip())
    return any(quoted and others > 1 for quoted, others in zip(needless, bare, strict=True))


@dataclass
class _Record:
    number: int
    lines: list[str]
    cells: list[str]


def _records(table: Table) -> Iterator[_Record]:
    """Yield the rows of a CSV file behind its header, each with its number of line and its lines."""
    held: list[str] = []
    number = 1

    def hold(lines: io.TextIOWrapper) -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    with table.lines() as lines:
        for _ in range(table.num_skipped):
            number += bool(lines.readline())
        reader = csv.reader(
            hold(lines),
            delimiter=table.delimiter,
            quoting=csv.QUOTE_NONE if table.has_raw_quotes else csv.QUOTE_MINIMAL,
            skipinitialspace=table.skips_spaces,
            strict=True,
        )
        is_header = True
        try:
            for cells in reader:
                if cells and not is_header:
                    yield _Record(number, held[:], cells)
                is_header = is_header and not cells
                number += len(held)
                held.clear()
        except csv.Error as error:
            raise _csv_problem(table, number, held, error) from None


def _csv_problem(table: Table, number: int, held: list[str], error: csv.Error) -> DataError:
    last = number + len(held) - 1
    if len(held) > 1:
        how = (
            "it has no end"
            if "end of data" in str(error)
            else f"the next quote, in line {last}, ends no cell"
        )
        return table.refuse(
            f"line {number}",
            f"a quote opens a cell in line {number} and {how}: lines {number} to {last} would be one row. "
            "Close the quote, or double it where it is part of the text.",
        )
    return table.refuse(f"line {number}", f"not CSV: {error}. A quote that is part of the text is doubled.")


def _csv_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    places = [table.columns.index(name) for name in wanted]
    num_columns, width = len(table.columns), max(places) + 1
    usual: set[str] = set()  # what the third of the columns held so far, as long as that is little
    for record in _records(table):
        cells, place = record.cells, f"line {record.number}"
        if len(record.lines) > 1:
            _refuse_swallowed(table, record, places, usual)
            table.num_inner_lines += len(record.lines) - 1
        if len(cells) != num_columns:
            if any(cells) and (len(cells) < num_columns or any(map(str.strip, cells[num_columns:]))):
                raise table.refuse(
                    place,
                    f"{len(cells)} values where the header has {num_columns} ({listed(table.columns)}).",
                )
        elif len(record.lines) == 1 and len(places) > 2 and len(usual) < 10:
            usual.add(cells[places[2]].strip())
        cells += [""] * (width - len(cells))
        yield place, [cells[at] for at in places]


def _refuse_swallowed(table: Table, record: _Record, places: Sequence[int], usual: Collection[str]) -> None:
    """Refuse a row over several lines if two of them are rows by themselves: a quote was left open."""
    num_columns = len(table.columns)
    split = [line.rstrip("\r\n").split(table.delimiter) for line in record.lines]
    rows = [
        cells for cells in split if len(cells) == num_columns and all(cells[at].strip(' "') for at in places)
    ]
    if len(places) > 2:
        last = [cells[places[2]].strip(' "') for cells in rows]
        is_certain = sum(cell in usual or _SHORT_ANSWER.fullmatch(cell) is not None for cell in last) > 1
    else:
        is_certain = len(rows) == len(split) > 3
    if is_certain:
        raise table.refuse(
            f"line {record.number}",
            f"a quote that opens in line {record.number} ends in line {record.number + len(split) - 1} "
            "only, and "
            f"swallows the {count(len(split) - 1, 'row')} after it. Close it, or double it where it is "
            "part of the "
            "text.",
        )


def _csv_batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = [name or f"column {at}" for at, name in enumerate(table.columns)]
    with pa.input_stream(str(table.path), compression="gzip" if table.is_gzip else None) as stream:
        yield from pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                use_threads=False,
                column_names=names,
                skip_rows=1 + table.num_skipped,
            ),
            parse_options=pa.csv.ParseOptions(delimiter=table.delimiter),
            convert_options=pa.csv.ConvertOptions(
                column_types={each.name: each.type for each in schema},
                include_columns=schema.names,
                strings_can_be_null=False,
            ),
        )


# JSON


def _look_at_json(table: Table, text: str) -> None:
    is_array = re.match(r"\s*\[\s*\{", text) is not None
    table.kind = "JSON" if is_array or _is_one_object(text) else "JSON lines"
    if table.kind == "JSON":
        table.num_lines = None
    names: dict[str, None] = {}
    rows = _json_objects(table) if table.kind == "JSON" else _jsonl_objects(table)
    for number, (_, row) in enumerate(rows):
        names.update(dict.fromkeys(row))
        if number == 1000:
            break
    table.columns = list(names)
    table.is_plain = table.is_plain and table.kind == "JSON lines"


def _is_one_object(text: str) -> bool:
    """Tell whether the text is one object: of columns, of a list, or over several lines."""
    first, _, rest = text.lstrip().partition("\n")
    first = first.rstrip()
    if rest.strip() and first.endswith("}"):
        return False
    return first == "{" or re.match(r'\{\s*"[^"]*"\s*:\s*[\[{]', first) is not None


def _jsonl_objects(table: Table) -> Iterator[tuple[str, dict[str, object]]]:
    with table.lines() as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES:
                raise table.refuse(f"line {number}", f"more than {MAX_LINE_BYTES:,} bytes in one line.")
            if line.isspace():
                continue
            place = f"line {number}"
            try:
                row = json.loads(line, object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError) as error:
                raise table.refuse(place, f"not JSON: {error}.") from None
            if not isinstance(row, dict):
                raise table.refuse(place, f"{shown_value(row)} is not an object in braces.")
            yield place, row


def _json_objects(table: Table) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        with table.lines() as lines:
            whole = json.load(lines, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise table.refuse(f"line {error.lineno}", f"not JSON: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{table.shown} is not JSON: {error}.") from None
    if isinstance(whole, dict):
        whole = _rows_of_object(table, whole)
    for number, row in enumerate(whole, 1):
        if not isinstance(row, dict):
            raise table.refuse(f"entry {number}", f"{shown_value(row)} is not an object in braces.")
        yield f"entry {number}", row


def _rows_of_object(table: Table, whole: dict[str, Any]) -> list[dict[str, object]]:
    """Turn columns (as pandas writes them), or one list of objects under a key, into rows."""
    lists = {key: list(value.values()) if isinstance(value, dict) else value for key, value in whole.items()}
    if (
        len(lists) == 1
        and isinstance(rows := next(iter(lists.values())), list)
        and isinstance(rows[:1] and rows[0], dict)
    ):
        return rows
    if (
        not all(isinstance(value, list) for value in lists.values())
        or len({len(value) for value in lists.values()}) > 1
    ):
        raise DataError(
            f"{table.shown} is one JSON object with the keys {listed(list(whole))}. Write a list of objects, "
            "or one object a line."
        )
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return row


def _jsonl_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    for place, row in _jsonl_objects(table):
        yield place, [row.get(name) for name in wanted]


def _json_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    for place, row in _json_objects(table):
        yield place, [row.get(name) for name in wanted]


def _jsonl_batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pa.input_stream(str(table.path), compression="gzip" if table.is_gzip else None) as stream:
        if table.encoding == "utf-8-sig":
            stream.read(3)
        yield from pa.json.open_json(
            stream,
            read_options=pa.json.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )


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
    except ARROW_FAULTS as error:
        raise DataError(f"{table.shown} is not a {table.kind} file that can be read: {error}") from None
    table.columns = list(schema.names)
    table.label_names = _class_names(schema)
    kinds = [schema.field(name).type for name in schema.names]
    table.is_plain = len(set(schema.names)) == len(kinds)


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


def _open_arrow(table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if table.kind == "Parquet":
        with pa.parquet.ParquetFile(table.path) as file:
            for batch in file.iter_batches(columns=list(columns)):
                yield batch.select(list(columns))
    else:
        with pa.OSFile(str(table.path)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                yield batch.select(list(columns))


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
        raise DataError(f"{table.shown} is not a {table.kind} file that can be read: {error}") from None


def shown_value(value: object) -> str:
    """Return a value for a message, shortened."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
