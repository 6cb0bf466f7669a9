"""Check the rows of a table: what is no pair is left out and counted, or refused with its line.

Plain files are checked by whole columns. Where that finds anything that asks for more care, the file is
read once more, row by row, with plain Python: it reads what can be read, and names the line of what cannot.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mrpc.core.data.columns import NO_GOLD_LABEL, UNLABELLED_TEXTS, Columns, label_text
from mrpc.core.data.pairs import MAX_SENTENCE_CHARS
from mrpc.core.data.report import FileReport, count, shown_value
from mrpc.core.data.table import ARROW_FAULTS, UNPACKING_FAULTS, Table
from mrpc.errors import DataError

NEEDED_COLUMNS = ("sentence1", "sentence2", "label")

MAX_IDX = 2**31 - 1
"""``idx`` is an int32, as on the Hub."""

MAX_EMPTY_SHARE = 0.05
"""More rows than that with an empty sentence, and the file is not what it should be."""

MAX_LABELS = 1_000
MAX_LABEL_CHARS = 100

LABEL_MUST = "it must be 0 (not equivalent) or 1 (equivalent)."

RAW_SCHEMA = pa.schema(
    {"sentence1": pa.string(), "sentence2": pa.string(), "label": pa.string(), "idx": pa.int64()}
)
"""Checked rows, before their labels are numbers: null where there is no label, or no idx."""

Labels = Literal["required", "all or none", "optional"]
"""Which rows need a label: every one; all of them or none; any."""

_ODD_TEXT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_ODD_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_LABEL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BYTES_LITERAL = re.compile(r"""b(['"])(?:(?!\1)[ -\[\]-~]|\\(?:[\\'"nrt]|x[0-9a-fA-F]{2}))*\1""")
"""What Python writes for bytes; ``b'Café'`` is none, and therefore text."""

MAX_BROKEN_SHARE = 0.9
"""More of a column begins like bytes without being any, and it was cut off."""

SHEET_ERRORS = ("#NAME?", "#REF!", "#VALUE!", "#N/A", "#DIV/0!", "#NULL!", "#NUM!")
"""What a spreadsheet writes where a formula failed; a sentence that begins with = or - becomes one."""

_CHUNK_ROWS = 5_000


class _NotPlainError(Exception):
    """Whole columns cannot tell what is in them."""


@dataclass
class CheckedFile:
    """The rows of a file that are pairs.

    Attributes:
        table: the file.
        columns: which of its columns hold what.
        report: how it was read.
        path: an Arrow stream of :data:`RAW_SCHEMA`.
        label_places: where each label stands first; empty where whole columns were checked.
        has_idx: each row has a number of its own.
        num_unlabelled: rows without a label.
    """

    table: Table
    columns: Columns
    report: FileReport
    path: Path
    label_places: dict[str, str] = field(default_factory=dict)
    has_idx: bool = False
    num_unlabelled: int = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the checked rows."""
        with pa.OSFile(str(self.path)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader

    def label_problem(self, label: str, found: str) -> DataError | None:
        """Return the error about a label that means nothing, or None if it does not stand in this file."""
        place = self.label_places.get(label)
        if place is None:
            return None
        shown = label if re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", label) else repr(label[:40])
        return self.table.refuse(place, f"label is {shown}; {LABEL_MUST}{' ' * bool(found)}{found}")


def check_file(table: Table, columns: Columns, labels: Labels, report: FileReport, path: Path) -> CheckedFile:
    """Read a file to its end and write its checked rows to ``path``.

    Raises:
        DataError: with the file, the line and what is wrong there.
    """
    ways = [_plain_batches, _careful_batches] if table.is_plain else [_careful_batches]
    for read in ways:
        trial = FileReport(**{**vars(report), "left_out": [], "notes": [*report.notes], "labels": {}})
        trial.is_plain = read is _plain_batches
        checked = CheckedFile(table, columns, trial, path)
        try:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, RAW_SCHEMA) as writer:
                for batch in read(checked, labels):
                    trial.num_rows += len(batch)
                    if trial.num_rows > table.limits.max_rows:
                        raise DataError(
                            f"{table.shown} has more than {table.limits.max_rows:,} rows, the most "
                            "that are taken."
                        )
                    writer.write_batch(batch)
            if not trial.num_rows:
                raise DataError(f"{table.shown} has no rows.")
            return checked
        except (*ARROW_FAULTS, _NotPlainError):
            assert read is _plain_batches
        except UNPACKING_FAULTS as error:
            raise DataError(f"{table.shown} cannot be unpacked: {error}.") from None
    raise AssertionError("the careful way ends with rows or an error")


# Whole columns


def _plain_batches(checked: CheckedFile, labels: Labels) -> Iterator[pa.RecordBatch]:
    columns = checked.columns
    texts, numbers = (
        [columns.sentence1, columns.sentence2],
        [n for n in (columns.label, columns.idx) if n is not None],
    )
    num_odd, num_errors, first_idx = 0, 0, None
    for batch in checked.table.batches(texts, numbers):
        if not len(batch):
            continue
        if checked.table.kind != "CSV":  # whose text was decoded before
            batch.validate(full=True)  # UTF-8 too
        sentences = [batch.column(name) for name in texts]
        for sentence in sentences:
            _check_plain_text(sentence)
            num_errors += _count_sheet_errors(sentence)
            if checked.table.may_hold_odd:
                num_odd += int(pc.sum(pc.match_substring_regex(sentence, _ODD_TEXT)).as_py())
        label = _check_plain_labels(checked, batch, labels)
        idx = pa.nulls(len(batch), pa.int64()) if columns.idx is None else batch.column(columns.idx)
        has_idx = _has_plain_idx(idx)
        if first_idx is not None and has_idx != first_idx:
            raise _NotPlainError
        checked.has_idx = first_idx = has_idx
        yield pa.RecordBatch.from_arrays([*sentences, label, idx], schema=RAW_SCHEMA)
    _note_oddities(checked.report, num_odd, num_errors)


def _check_plain_text(column: pa.Array) -> None:
    """Refuse texts of which some are missing, empty, too long, or bytes of Python."""
    if column.null_count:
        raise _NotPlainError
    shortest, longest = pc.min_max(pc.binary_length(column)).as_py().values()
    if shortest == 0 or pc.any(pc.utf8_is_space(column)).as_py():
        raise _NotPlainError
    if longest > MAX_SENTENCE_CHARS and pc.max(pc.utf8_length(column)).as_py() > MAX_SENTENCE_CHARS:
        raise _NotPlainError
    if any(pc.any(pc.starts_with(column, start)).as_py() for start in ("b'", 'b"')):
        raise _NotPlainError


def _count_sheet_errors(column: pa.Array) -> int:
    if not pc.any(pc.starts_with(column, "#")).as_py():
        return 0
    return int(pc.sum(pc.is_in(column, value_set=pa.array(SHEET_ERRORS))).as_py())


def _check_plain_labels(checked: CheckedFile, batch: pa.RecordBatch, labels: Labels) -> pa.Array:
    if checked.columns.label is None:
        checked.num_unlabelled += len(batch)
        return pa.nulls(len(batch), pa.string())
    column = batch.column(checked.columns.label)
    low, high = pc.min_max(column).as_py().values()
    if column.null_count or low < 0 or high > 1:
        raise _NotPlainError
    ones = int(pc.sum(column).as_py())
    for label, num in (("0", len(column) - ones), ("1", ones)):
        if num:
            checked.report.labels[label] = checked.report.labels.get(label, 0) + num
    return column.cast(pa.string())


def _has_plain_idx(idx: pa.Array) -> bool:
    if idx.null_count == len(idx):
        return False
    low, high = pc.min_max(idx).as_py().values()
    if idx.null_count or low < 0 or high > MAX_IDX:
        raise _NotPlainError
    return True


# Row by row


class _RowProblem(Exception):
    """A row that is refused: what is wrong with it."""


class _EmptySentence(Exception):
    """A row whose sentence is empty: which."""


def _careful_batches(checked: CheckedFile, labels: Labels) -> Iterator[pa.RecordBatch]:
    reading = _CarefulReading(checked, labels)
    chunk: list[tuple[str, str, str | None, int | None]] = []
    for place, cells in checked.table.rows(list(checked.columns.named().values())):
        row = reading.read(place, dict(zip(checked.columns.named(), cells, strict=True)))
        if row is None:
            continue
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield _as_batch(chunk)
            chunk = []
    reading.end()
    if chunk:
        yield _as_batch(chunk)


def _as_batch(rows: list[tuple[str, str, str | None, int | None]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, RAW_SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_SCHEMA)


@dataclass
class _CarefulReading:
    """What is counted while the rows of one file go by."""

    checked: CheckedFile
    labels: Labels
    num_rows: int = 0
    num_odd: int = 0
    num_errors: int = 0
    num_bytes_texts: int = 0
    num_literals: int = 0
    num_broken_bytes: Counter[str] = field(default_factory=Counter)
    num_idx: int = 0
    first_empty: DataError | None = None
    first_broken: DataError | None = None
    idx_problem: DataError | None = None
    no_label: DataError | None = None

    def read(self, place: str, cells: dict[str, object]) -> tuple[str, str, str | None, int | None] | None:
        """Return a row as sentence1, sentence2, label, idx; or None if it is left out."""
        table, report = self.checked.table, self.checked.report
        if table.kind == "CSV" and not any(str(value).strip() for value in cells.values()):
            report.leave_out("without anything in it", place)
            return None
        try:
            first, second = (self._text(place, cells[name], name) for name in NEEDED_COLUMNS[:2])
            label = self._label(place, cells.get("label"))
        except _EmptySentence as empty:
            self.first_empty = self.first_empty or table.refuse(place, f"{empty} is empty.")
            report.leave_out("with an empty sentence", place)
            return None
        except _RowProblem as problem:
            raise table.refuse(place, str(problem)) from None
        if label == NO_GOLD_LABEL:
            report.leave_out(f"with the label {NO_GOLD_LABEL}, which says that there is none", place)
            return None
        self.num_rows += 1
        return first, second, label, self._idx(place, cells.get("idx"))

    def end(self) -> None:
        """Refuse what only the whole file tells."""
        report = self.checked.report
        report.num_inner_lines = self.checked.table.num_inner_lines
        num_empty = sum(some.num_rows for some in report.left_out if some.reason == "with an empty sentence")
        if self.first_empty is not None and num_empty > MAX_EMPTY_SHARE * (self.num_rows + num_empty):
            raise self.first_empty
        most_broken = max(self.num_broken_bytes.values(), default=0)
        if self.first_broken is not None and (
            self.num_literals or most_broken > MAX_BROKEN_SHARE * self.num_rows
        ):
            raise self.first_broken
        if self.labels == "all or none" and self.no_label is not None and report.labels:
            raise self.no_label
        self.checked.has_idx = self.num_idx > 0
        if self.idx_problem is not None and self.checked.columns.idx is not None:
            report.notes.append(
                f"{self.checked.columns.idx} holds no numbers up to {MAX_IDX:,}, so rows were numbered."
            )
        if self.num_bytes_texts:
            texts = count(self.num_bytes_texts, "text")
            report.notes.append(f"{texts} stood there as bytes of Python, b'...', and became text again.")
        _note_oddities(report, self.num_odd, self.num_errors)

    def _text(self, place: str, value: object, name: str) -> str:
        if value is None and self.checked.table.kind in ("Parquet", "Arrow"):
            raise _EmptySentence(name)
        if value is None:
            raise _RowProblem(f"{name} is missing; every pair needs {', '.join(NEEDED_COLUMNS)}.")
        if isinstance(value, bytes):
            value = _decoded(value, name)
            self.num_bytes_texts += 1
        if not isinstance(value, str):
            raise _RowProblem(f"{name} is {shown_value(value)}; it must be text.")
        if _BYTES_LITERAL.fullmatch(value.strip()):
            value = _decoded(ast.literal_eval(value.strip()), name)
            self.num_bytes_texts += 1
            self.num_literals += 1
        elif value.lstrip().startswith(("b'", 'b"')):
            self.num_broken_bytes[name] += 1
            self.first_broken = self.first_broken or self.checked.table.refuse(
                place, f"{name} is {shown_value(value)}: bytes of Python, not text, and broken."
            )
        if not value.strip():
            raise _EmptySentence(name)
        if len(value) > MAX_SENTENCE_CHARS:
            raise _RowProblem(
                f"{name} has {len(value):,} characters; at most {MAX_SENTENCE_CHARS:,} are taken."
            )
        odd = _ODD_CHARACTER.findall(value)
        if any(character >= "\ud800" for character in odd):
            raise _RowProblem(f"{name} holds half of a surrogate pair, which is no character.")
        self.num_odd += bool(odd)
        self.num_errors += value in SHEET_ERRORS
        return value

    def _label(self, place: str, value: object) -> str | None:
        try:
            label = label_text(value)
        except TypeError:
            raise _RowProblem(f"label is {shown_value(value)}; {LABEL_MUST}") from None
        if label is not None and (_NO_LABEL.search(label) or len(label) > MAX_LABEL_CHARS):
            raise _RowProblem(
                f"label is {shown_value(label)}; it must be one line of at most {MAX_LABEL_CHARS} characters."
            )
        if self.labels != "required" and label in UNLABELLED_TEXTS:
            shown = "missing" if label is None else label
            self.no_label = self.no_label or self.checked.table.refuse(
                place, f"label is {shown}, and other rows of this file have one; give it in all or in none."
            )
            self.checked.num_unlabelled += 1
            return None
        if label is None:
            raise _RowProblem(f"label is missing; {LABEL_MUST}")
        if label != NO_GOLD_LABEL:
            self.checked.label_places.setdefault(label, place)
            labels = self.checked.report.labels
            labels[label] = labels.get(label, 0) + 1
            if len(labels) > MAX_LABELS:
                raise _RowProblem(
                    f"label is {shown_value(label)}, the {MAX_LABELS + 1:,}th value of this column; "
                    f"{LABEL_MUST}"
                )
        return label

    def _idx(self, place: str, value: object) -> int | None:
        number = _whole(value)
        if isinstance(number, int) and 0 <= number <= MAX_IDX:
            self.num_idx += 1
        elif self.checked.columns.idx is not None and self.idx_problem is None:
            missing = "idx is given in some rows and missing in others; give it in all or in none."
            wrong = f"idx is {shown_value(number)}; it must be a whole number from 0 to {MAX_IDX:,}."
            self.idx_problem = self.checked.table.refuse(place, missing if number is None else wrong)
        if self.idx_problem is not None and self.num_idx:
            raise self.idx_problem
        return number if self.num_idx and isinstance(number, int) else None


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _RowProblem(
            f"{name} is {shown_value(value)}: bytes that are not UTF-8; it must be text."
        ) from None


def _whole(value: object) -> int | object:
    """Return a whole number as an int, nothing as None, and anything else as it is."""
    if isinstance(value, str):
        value = value.strip()
        return None if not value else int(value) if re.fullmatch(r"[+-]?\d{1,18}", value) else value
    if isinstance(value, bool):
        return str(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _note_oddities(report: FileReport, num_odd: int, num_errors: int) -> None:
    if num_odd:
        report.notes.append(f"control characters stand in {count(num_odd, 'text')}, and stay there.")
    if num_errors:
        texts = count(num_errors, "text", "is an error", "are errors")
        report.notes.append(f"{texts} of a spreadsheet, such as #NAME?, and no sentence.")


def repeated_idx(files: Sequence[CheckedFile], value: int) -> DataError:
    """Return the error for a split in which two rows have one ``idx``."""
    places = [
        (file, place)
        for file in files
        for place, (cell,) in file.table.rows([str(file.columns.idx)])
        if _whole(cell) == value
    ]
    (first_file, first), (file, second) = places[0], places[1]
    first = first if first_file is file else f"{first} of {first_file.table.path.name}"
    return file.table.refuse(
        second,
        f"idx {value} stands at {first} already. Give each pair a number of its own, or leave the "
        "column out.",
    )


def find_repeated(idx: npt.NDArray[np.int32]) -> int | None:
    """Return the smallest value that stands twice in an array, or None."""
    ordered = np.sort(idx)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return int(repeated[0]) if len(repeated) else None
