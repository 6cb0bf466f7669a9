"""CSV: the delimiter, the quotes and the header are found by looking; then its rows, each with its line."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from mrpc.core.data.encoding import TextFile, read_blocks
from mrpc.core.data.report import count, listed
from mrpc.errors import DataError

if TYPE_CHECKING:
    from mrpc.core.data.table import Row, Table

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}

MAX_CELL_CHARS = 500_000
"""As long as a line of JSON may be; cells that nobody asks for count as well."""

BLOCK_BYTES = 1_000_000
"""Arrow reads some thirty blocks ahead."""

_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
_TITLE_LINES, _TITLE_CHARS = 20, 64_000
_FIRST_ROWS = 50
_BLANK = " \t,;|"
"""What a line may hold above a header."""

_CURLY_QUOTES = "\u201c\u201d\u201e\u00ab\u2018\u2019`"
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?[;,\t]*(\r*\n|\r)', re.IGNORECASE)
_SHORT_ANSWER = re.compile(r"-?\d(\.0+)?|true|false|yes|no", re.IGNORECASE)

csv.field_size_limit(MAX_CELL_CHARS)

Recognizes = Callable[[Sequence[str]], bool]
"""Tells whether names of columns are those of pairs."""


def look_at_csv(table: Table, text: str, suffix: str, recognizes: Recognizes, looked: TextFile) -> None:
    """Find delimiter, quotes and columns of a file.

    Args:
        table: gets what is found.
        text: the beginning of the file.
        suffix: of its name.
        recognizes: tells a header of pairs.
        looked: what the whole file is like.

    Raises:
        DataError: its header is none.
    """
    table.num_header_lines = 1
    said = _SEP_LINE.match(text)
    if said:  # Excel's own way of naming the delimiter
        text, table.num_skipped, table.num_header_lines = text[said.end() :], 1, 2
    candidates = list(dict.fromkeys([*([said[1]] if said else []), *DELIMITERS]))
    headers = {delimiter: next(_rows_of(text, delimiter), ([], 0)) for delimiter in candidates}
    fitting = [
        delimiter
        for delimiter, (cells, _) in headers.items()
        if recognizes([_without_quotes(cell) for cell in cells])
    ]
    if not fitting:
        likeliest = max(candidates, key=lambda delimiter: len(headers[delimiter][0]))
        is_clear = len(headers[likeliest][0]) > 1
        fitting = [likeliest if is_clear else "\t" if suffix == ".tsv" else candidates[0]]
    table.delimiter = fitting[0]
    header, num_before = headers[table.delimiter]
    table.num_skipped += num_before
    place = f"line {1 + table.num_skipped}"
    named = [name.strip() for name in header if name.strip()]
    if len(named) > 1 and all(name[0] in _CURLY_QUOTES and len(name) > 1 for name in named):
        raise table.refuse(
            place,
            f'the names stand in {named[0][0]} and {named[0][-1]}, which enclose no cell of CSV. Use ".',
        )
    is_single = len(named) > 1 and all(len(name) > 1 and name[0] == name[-1] == "'" for name in named)
    table.quote = "'" if is_single else '"'
    table.skips_spaces = _spaces_follow(text, table.delimiter, header)
    table.columns = [_without_quotes(name) if is_single else name.strip() for name in header]
    while table.columns and not table.columns[-1]:
        table.columns.pop()
    repeated = [name for name in table.columns if name and table.columns.count(name) > 1]
    if repeated:
        raise table.refuse(place, f"the column {repeated[0]!r} stands twice.")
    _look_at_quotes(table, looked)


def header_doubt(table: Table, recognizes: Recognizes) -> str:
    """Say what may be wrong with a header that names no pairs; "" where nothing is known."""
    if any(len(name) > 30 or name in ("0", "1") for name in table.columns):
        doubt = " The first line looks like a pair, not like names: write a line of names above it."
    else:
        doubt = ""
    with table.lines() as lines:
        first = io.StringIO(lines.read(_TITLE_CHARS), newline="")
    for number, line in enumerate(itertools.islice(first, _TITLE_LINES), 1):
        for delimiter in DELIMITERS:
            if number > 1 and recognizes([_without_quotes(cell) for cell in line.split(delimiter)]):
                return f" The names stand in line {number}: delete what is above it."
    return doubt


def _look_at_quotes(table: Table, looked: TextFile) -> None:
    """Find out what a quote means in a file."""
    if table.quote == "'":
        table.notes.append("cells stand in single quotes.")
    elif looked.has_quotes and table.delimiter == "\t" and _quotes_are_raw(table):
        table.has_raw_quotes = True
        table.notes.append(
            "quotes are part of the text, as in the files of MRPC; none of them encloses a cell."
        )
    elif looked.has_escaped_quotes and not _reads_well(table):
        table.has_escaped_quotes = True
        if _reads_well(table):
            table.notes.append('a quote inside of a cell is written \\", as MySQL and Spark write it.')
        else:
            table.has_escaped_quotes = False
    table.is_plain = (
        table.is_plain
        and table.quote == '"'
        and table.delimiter in DELIMITERS
        and not (table.has_raw_quotes or table.has_escaped_quotes or table.skips_spaces)
        and (not looked.has_quotes or _has_plain_quotes(table))
    )


def _rows_of(text: str, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Yield the rows of a text that have anything in them, each with how many lines come before it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    num_before = 0
    with contextlib.suppress(csv.Error):
        for cells in reader:
            if any(cell.strip(_BLANK) for cell in cells):
                yield cells, num_before
            num_before = reader.line_num


def _without_quotes(name: str) -> str:
    return name.strip().strip("'\"").strip()


def _spaces_follow(text: str, delimiter: str, header: Sequence[str]) -> bool:
    """Tell whether a space behind a delimiter belongs to it: everywhere, or before every quote."""
    if len(header) > 1 and all(name[:1] == " " for name in header[1:] if name):
        return True
    rows = itertools.islice(_rows_of(text, delimiter), 1, _FIRST_ROWS)
    cells = [cell for row, _ in rows for cell in row[1:] if cell.strip()]
    return any(cell.startswith(' "') for cell in cells) and all(cell[:1] == " " for cell in cells)


def _has_plain_quotes(table: Table) -> bool:
    """Tell whether no quote asks for more care than Arrow takes: each encloses a cell of one line."""
    mark = ord(table.delimiter)
    for block in read_blocks(table.open):
        if b'"' not in block:
            continue
        text = np.frombuffer(b"\n" + block + b"\n", np.uint8)
        at = np.flatnonzero(text == _QUOTE)
        is_new = np.diff(at, prepend=-1) != 1
        first, last = at[is_new], at[np.roll(is_new, -1)]  # of each run of quotes
        before, after = text[first - 1], text[last + 1]
        is_mark = (last - first) % 2 == 0  # an odd one encloses, the others are doubled
        opens = _is_one_of(before, (mark, _NEWLINE))
        if (opens & ~is_mark & ~_is_one_of(after, (mark, _NEWLINE, _RETURN))).any():
            return False  # a cell that begins so is empty, or not well formed
        if np.count_nonzero(is_mark) % 2:
            return False
        line_ends = np.flatnonzero(text == _NEWLINE)
        line = np.searchsorted(line_ends, first[is_mark])
        closes = _is_one_of(after, (mark, _NEWLINE)) | (
            (after == _RETURN) & (text[np.minimum(last + 2, len(text) - 1)] == _NEWLINE)
        )
        if not (
            opens[is_mark][::2].all() and closes[is_mark][1::2].all() and (line[::2] == line[1::2]).all()
        ):
            return False
    return True


def _is_one_of(characters: npt.NDArray[np.uint8], wanted: Sequence[int]) -> npt.NDArray[np.bool_]:
    return np.logical_or.reduce([characters == one for one in wanted])


def _reads_well(table: Table) -> bool:
    """Tell whether every row has the columns of the header."""
    num_columns = len(table.columns)
    try:
        return all(
            len(record.cells) >= num_columns and not any(map(str.strip, record.cells[num_columns:]))
            for record in _records(table)
        )
    except DataError:
        return False


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
            yield line.replace('\\"', '""') if table.has_escaped_quotes else line

    with table.lines() as lines:
        for _ in range(table.num_skipped):
            number += bool(lines.readline())
        reader = csv.reader(
            hold(lines),
            delimiter=table.delimiter,
            quotechar=table.quote,
            quoting=csv.QUOTE_NONE if table.has_raw_quotes else csv.QUOTE_MINIMAL,
            skipinitialspace=table.skips_spaces,
            strict=True,
        )
        is_header = True
        try:
            for cells in reader:
                if cells and not is_header:
                    yield _Record(number, held[:], cells)
                is_header = is_header and not any(map(str.strip, cells))
                number += len(held)
                held.clear()
        except csv.Error as error:
            raise _csv_problem(table, number, held, error) from None


def _csv_problem(table: Table, number: int, held: list[str], error: csv.Error) -> DataError:
    last = number + len(held) - 1
    is_too_long = "field limit" in str(error)
    if len(held) > 1:
        how = f"the next quote, in line {last}, ends no cell"
        if is_too_long or "end of data" in str(error):
            how = f"it has no end within {MAX_CELL_CHARS:,} characters" if is_too_long else "it has no end"
        return table.refuse(
            f"line {number}",
            f"a quote opens a cell in line {number} and {how}: lines {number} to {last} would be one row. "
            "Close the quote, or double it where it is part of the text.",
        )
    if is_too_long:
        return table.refuse(f"line {number}", f"a cell has more than {MAX_CELL_CHARS:,} characters.")
    return table.refuse(f"line {number}", f"not CSV: {error}. A quote that is part of the text is doubled.")


def csv_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    """Yield every row by plain Python.

    Raises:
        DataError: naming the line that is no row.
    """
    places = [table.columns.index(name) for name in wanted]
    num_columns, width = len(table.columns), max(places) + 1
    usual: set[str] = set()  # what the third of the columns held so far, as long as that is little
    for record in _records(table):
        cells, place = record.cells, f"line {record.number}"
        if len(record.lines) > 1:
            _refuse_swallowed(table, record, places, usual)
            table.num_inner_lines += len(record.lines) - 1
        if len(cells) != num_columns:
            is_short = len(cells) < num_columns and any(map(str.strip, cells))
            if is_short or any(map(str.strip, cells[num_columns:])):
                values = count(len(cells), "value")
                names = listed(table.columns)
                raise table.refuse(place, f"{values} where the header has {num_columns} ({names}).")
        elif len(record.lines) == 1 and len(places) > 2 and len(usual) < 10:
            usual.add(cells[places[2]].strip())
        cells += [""] * (width - len(cells))
        yield place, [cells[at] for at in places]


def _refuse_swallowed(table: Table, record: _Record, places: Sequence[int], usual: Collection[str]) -> None:
    """Refuse a row over several lines if two of them are rows by themselves: a quote was left open."""
    num_columns = len(table.columns)
    split = [line.rstrip("\r\n").split(table.delimiter) for line in record.lines]
    rows = [
        cells
        for cells in split
        if len(cells) == num_columns and all(cells[at].strip(" \"'") for at in places)
    ]
    if len(places) > 2:
        last = [cells[places[2]].strip(" \"'") for cells in rows]
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


def csv_batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a plain file by Arrow."""
    names = [name or f"column {at}" for at, name in enumerate(table.columns)]
    with pa.input_stream(str(table.path), compression="gzip" if table.is_gzip else None) as stream:
        yield from pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(
                block_size=BLOCK_BYTES,
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
