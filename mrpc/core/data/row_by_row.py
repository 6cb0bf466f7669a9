"""Rows that ask for care, one by one, with plain Python: what can be read is read, what cannot is named."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from mrpc.core.data.columns import NO_GOLD_LABEL, UNLABELLED_TEXTS, label_text
from mrpc.core.data.pairs import LABEL_MUST, MAX_IDX, MAX_SENTENCE_CHARS, NEEDED_COLUMNS
from mrpc.core.data.report import count, shown_value
from mrpc.errors import DataError

if TYPE_CHECKING:
    from mrpc.core.data.check import CheckedFile

RAW_SCHEMA = pa.schema(
    {"sentence1": pa.string(), "sentence2": pa.string(), "label": pa.string(), "idx": pa.int64()}
)
"""Checked rows, before their labels are numbers: null where there is no label, or no idx."""

Labels = Literal["required", "all or none", "optional"]
"""Which rows need a label: every one; all of them or none; any."""

MAX_EMPTY_SHARE = 0.05
"""More rows than that with an empty sentence, and the file is not what it should be."""

MAX_BROKEN_SHARE = 0.9
"""More of a column begins like bytes without being any, and it was cut off."""

MAX_LABELS = 1_000
MAX_LABEL_CHARS = 100

_CHUNK_ROWS = 5_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_LABEL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BYTES_LITERAL = re.compile(r"""b(['"])(?:(?!\1)[ -\[\]-~]|\\(?:[\\'"nrt]|x[0-9a-fA-F]{2}))*\1""")
"""What Python writes for bytes; ``b'Café'`` is none, and therefore text."""

Pair = tuple[str, str, str | None, int | None]
"""sentence1, sentence2, label, idx."""


class _EmptySentence(Exception):
    """A row whose sentence is empty: which."""


def row_by_row_batches(checked: CheckedFile, labels: Labels) -> Iterator[pa.RecordBatch]:
    """Yield the rows of any file.

    Raises:
        DataError: with the line, and what is wrong there.
    """
    reading = _Reading(checked, labels)
    roles = checked.columns.named()
    chunk: list[Pair] = []
    for place, cells in checked.table.rows(list(roles.values())):
        pair = reading.read(place, dict(zip(roles, cells, strict=True)))
        if pair is not None:
            chunk.append(pair)
        if len(chunk) == _CHUNK_ROWS:
            yield _as_batch(chunk)
            chunk = []
    reading.end()
    if chunk:
        yield _as_batch(chunk)


def _as_batch(rows: list[Pair]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, RAW_SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_SCHEMA)


@dataclass
class _Reading:
    """What is known while the rows of one file go by; a problem of the whole file names the first row."""

    checked: CheckedFile
    labels: Labels
    place: str = ""
    num_rows: int = 0
    num_empty: int = 0
    num_idx: int = 0
    num_bytes_texts: int = 0
    num_literals: int = 0
    num_broken_bytes: Counter[str] = field(default_factory=Counter)
    first_empty: DataError | None = None
    first_broken: DataError | None = None
    idx_problem: DataError | None = None
    no_label: DataError | None = None

    def read(self, place: str, cells: dict[str, object]) -> Pair | None:
        """Return a row as a pair, or None if it is left out."""
        self.place, report = place, self.checked.report
        if self.checked.table.kind == "CSV" and not any(str(value).strip() for value in cells.values()):
            report.leave_out("without anything in it", place)
            return None
        try:
            first, second = (self._text(cells[name], name) for name in NEEDED_COLUMNS[:2])
        except _EmptySentence as empty:
            self.num_empty += 1
            self.first_empty = self.first_empty or self._refuse(f"{empty} is empty.")
            report.leave_out("with an empty sentence", place)
            return None
        label = self._label(cells.get("label"))
        if label == NO_GOLD_LABEL:
            report.leave_out(f"with the label {NO_GOLD_LABEL}, which says that there is none", place)
            return None
        self.num_rows += 1
        return first, second, label, self._idx(cells.get("idx"))

    def end(self) -> None:
        """Refuse what only the whole file tells, and note what was changed."""
        report = self.checked.report
        report.num_inner_lines = self.checked.table.num_inner_lines
        if self.first_empty and self.num_empty > MAX_EMPTY_SHARE * (self.num_rows + self.num_empty):
            raise self.first_empty
        most_broken = max(self.num_broken_bytes.values(), default=0)
        if self.first_broken and (self.num_literals or most_broken > MAX_BROKEN_SHARE * self.num_rows):
            raise self.first_broken
        if self.no_label and self.labels == "all or none" and self.checked.label_places:
            raise self.no_label
        if self.idx_problem:
            report.notes.append(
                f"{self.checked.columns.idx} holds no numbers up to {MAX_IDX:,}, so rows were numbered."
            )
        if self.num_bytes_texts:
            texts = count(self.num_bytes_texts, "text")
            report.notes.append(f"{texts} stood there as bytes of Python, b'...', and became text again.")

    def _refuse(self, problem: str) -> DataError:
        return self.checked.table.refuse(self.place, problem)

    def _text(self, value: object, name: str) -> str:
        if value is None and self.checked.table.kind in ("Parquet", "Arrow"):
            raise _EmptySentence(name)
        if value is None:
            raise self._refuse(f"{name} is missing; every pair needs {', '.join(NEEDED_COLUMNS)}.")
        if isinstance(value, bytes):
            value = self._decoded(value, name)
        if not isinstance(value, str):
            raise self._refuse(f"{name} is {shown_value(value)}; it must be text.")
        if _BYTES_LITERAL.fullmatch(value.strip()):
            value = self._decoded(ast.literal_eval(value.strip()), name)
            self.num_literals += 1
        elif value.lstrip().startswith(("b'", 'b"')):
            self.num_broken_bytes[name] += 1
            self.first_broken = self.first_broken or self._refuse(
                f"{name} is {shown_value(value)}: bytes of Python, not text, and broken."
            )
        if not value.strip():
            raise _EmptySentence(name)
        if len(value) > MAX_SENTENCE_CHARS:
            raise self._refuse(
                f"{name} has {len(value):,} characters; at most {MAX_SENTENCE_CHARS:,} are taken."
            )
        if _SURROGATE.search(value):
            raise self._refuse(f"{name} holds half of a surrogate pair, which is no character.")
        return value

    def _decoded(self, value: bytes, name: str) -> str:
        self.num_bytes_texts += 1
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise self._refuse(
                f"{name} is {shown_value(value)}: bytes that are not UTF-8; it must be text."
            ) from None

    def _label(self, value: object) -> str | None:
        try:
            label = label_text(value)
        except TypeError:
            raise self._refuse(f"label is {shown_value(value)}; {LABEL_MUST}") from None
        if label is not None and (_NO_LABEL.search(label) or len(label) > MAX_LABEL_CHARS):
            raise self._refuse(
                f"label is {shown_value(label)}; it must be one line of at most {MAX_LABEL_CHARS} characters."
            )
        if self.labels != "required" and label in UNLABELLED_TEXTS:
            shown = "missing" if label is None else label
            self.no_label = self.no_label or self._refuse(
                f"label is {shown}, and other rows of this file have one; give it in all or in none."
            )
            return None
        if label is None:
            raise self._refuse(f"label is missing; {LABEL_MUST}")
        if label != NO_GOLD_LABEL:
            self.checked.label_places.setdefault(label, self.place)
            if len(self.checked.label_places) > MAX_LABELS:
                raise self._refuse(
                    f"label is {shown_value(label)}, the {MAX_LABELS + 1:,}th value of this column; "
                    f"{LABEL_MUST}"
                )
        return label

    def _idx(self, value: object) -> int | None:
        number = whole_number(value)
        if isinstance(number, int) and 0 <= number <= MAX_IDX:
            self.num_idx += 1
        elif self.checked.columns.idx is not None and self.idx_problem is None:
            missing = "idx is given in some rows and missing in others; give it in all or in none."
            wrong = f"idx is {shown_value(number)}; it must be a whole number from 0 to {MAX_IDX:,}."
            self.idx_problem = self._refuse(missing if number is None else wrong)
        if self.idx_problem is not None and self.num_idx:
            raise self.idx_problem
        return number if self.num_idx and isinstance(number, int) else None


def whole_number(value: object) -> int | object:
    """Return a whole number as an int, nothing as None, and anything else as it is."""
    if isinstance(value, str):
        value = value.strip()
        return None if not value else int(value) if re.fullmatch(r"[+-]?\d{1,18}", value) else value
    if isinstance(value, bool):
        return str(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
