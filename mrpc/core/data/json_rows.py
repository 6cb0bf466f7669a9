"""JSON: an object a line, a list of objects, or columns as pandas writes them; its rows with their places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.json

from mrpc.core.data.report import listed, shown_value
from mrpc.errors import DataError

if TYPE_CHECKING:
    from mrpc.core.data.table import Row, Table

MAX_LINE_BYTES = 500_000
"""Two sentences of the longest, every character escaped, fit in; half of what Arrow reads at once."""

BLOCK_BYTES = 1_000_000
_FIRST_ROWS = 1000
_NO_DATA = re.compile(r"\s*")

JsonObject = dict[str, object]


def look_at_json(table: Table, text: str) -> None:
    """Find out the form of a file and its columns.

    Args:
        table: gets what is found.
        text: the beginning of the file.

    Raises:
        DataError: its first rows are none.
    """
    table.kind = "JSON" if _is_one_list(text) or _is_one_object(text) else "JSON lines"
    if table.kind == "JSON":
        table.num_lines = None
    names: dict[str, None] = {}
    for number, (_, row) in enumerate(_objects(table)):
        names.update(dict.fromkeys(row))
        if number == _FIRST_ROWS:
            break
    table.columns = list(names)
    table.is_plain = table.is_plain and table.kind == "JSON lines"


def json_rows(table: Table, wanted: Sequence[str]) -> Iterator[Row]:
    """Yield every row by plain Python; None stands for a key that is not there, "" for null.

    Raises:
        DataError: naming the line or entry that is no row.
    """
    for place, row in _objects(table):
        yield place, ["" if row.get(name, "") is None else row.get(name) for name in wanted]


def json_batches(table: Table, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a plain file of lines by Arrow."""
    with pa.input_stream(str(table.path), compression="gzip" if table.is_gzip else None) as stream:
        if table.encoding == "utf-8-sig":
            stream.read(3)
        yield from pa.json.open_json(
            stream,
            read_options=pa.json.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )


def _is_one_list(text: str) -> bool:
    first = text.lstrip().partition("\n")[0].strip()
    return first in ("[", "[]") or (re.match(r"\[\s*[\[{]", first) is not None and "]\n[" not in text)


def _is_one_object(text: str) -> bool:
    """Tell whether the text is one object: of columns, of a list, or over several lines."""
    first, _, rest = text.lstrip().partition("\n")
    first = first.rstrip()
    if rest.strip() and first.endswith("}"):
        return False
    if not rest.strip() and re.search(r'":\s*\[\s*\{', first):
        return True
    return first == "{" or re.match(r'\{\s*"[^"]*"\s*:\s*[\[{]', first) is not None


def _objects(table: Table) -> Iterator[tuple[str, JsonObject]]:
    """Yield each object with its place.

    Raises:
        DataError: naming the line or entry that is none.
    """
    rows = _lines(table) if table.kind == "JSON lines" else _entries(table)
    for place, row in rows:
        if not isinstance(row, dict):
            raise table.refuse(place, f"{shown_value(row)} is not an object in braces.")
        yield place, row


def _lines(table: Table) -> Iterator[tuple[str, object]]:
    with table.lines() as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES:
                raise table.refuse(f"line {number}", f"more than {MAX_LINE_BYTES:,} bytes in one line.")
            if line.isspace():
                continue
            try:
                yield f"line {number}", json.loads(line, object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError) as error:
                raise table.refuse(f"line {number}", f"not JSON: {error}.") from None


def _entries(table: Table) -> Iterator[tuple[str, object]]:
    """Yield the entries of a list; of one object, its rows; of several values one after the other, those."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_repeats)
    with table.lines() as lines:
        text = lines.read()
    values: list[object] = []
    try:
        at = _skip_space(text, 0)
        while at < len(text):
            value, end = decoder.raw_decode(text, at)
            values.append(value)
            at = _skip_space(text, end)
    except json.JSONDecodeError as error:
        raise table.refuse(f"line {error.lineno}", f"not JSON: {error}.") from None
    except RecursionError as error:
        raise table.refuse("line 1", f"not JSON: {error}.") from None
    except ValueError as error:
        raise DataError(f"{table.shown} is not JSON: {error}.") from None
    whole = values[0] if len(values) == 1 else values
    entries = _rows_of_object(table, whole) if isinstance(whole, dict) else whole
    assert isinstance(entries, list)
    for number, row in enumerate(entries, 1):
        yield f"entry {number}", row


def _skip_space(text: str, at: int) -> int:
    found = _NO_DATA.match(text, at)
    return found.end() if found else at


def _rows_of_object(table: Table, whole: Mapping[str, object]) -> list[object]:
    """Turn one object into rows: a list of objects under a key, or what pandas writes of a table."""
    lists = {key: value for key, value in whole.items() if isinstance(value, list)}
    of_objects = {key: rows for key, rows in lists.items() if rows and isinstance(rows[0], dict)}
    if len(of_objects) > 1:
        raise DataError(
            f"{table.shown} holds several lists: {listed(list(of_objects))}. Write each to a file of its own."
        )
    if of_objects:
        return next(iter(of_objects.values()))
    if set(whole) == {"columns", "index", "data"} and set(lists) == set(whole):  # orient="split"
        return _rows_of_lists(table, lists["columns"], lists["data"])
    tables = [value for value in whole.values() if isinstance(value, dict)]
    if tables and len(tables) == len(whole):
        if all(key.isdigit() for key in whole):  # orient="index"
            return list(tables)
        keys = list(tables[0])
        for name, column in zip(whole, tables, strict=True):
            if set(column) != set(keys):
                raise DataError(
                    f"{table.shown}: the column {name!r} has other rows than {next(iter(whole))!r}, or not "
                    "as many. Write a list of objects, or one object a line."
                )
        return [{name: column[key] for name, column in zip(whole, tables, strict=True)} for key in keys]
    if len(lists) < len(whole) or len({len(value) for value in lists.values()}) > 1:
        raise DataError(
            f"{table.shown} is one JSON object with the keys {listed(list(whole))}. Write a list of objects, "
            "or one object a line."
        )
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _rows_of_lists(table: Table, names: Sequence[object], rows: Sequence[object]) -> list[object]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(names):
            raise table.refuse(
                f"entry {number}", f"{shown_value(row)} does not have {len(names)} values: {listed(names)}."
            )
    return [dict(zip(map(str, names), row, strict=True)) for row in rows if isinstance(row, list)]


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return row
