"""Pairs without splits and with or without labels: an upload, or pasted lines; and answers written as CSV.

The rules are those of all pairs (:mod:`mrpc.core.data.read`); the limits are small, because the rows come
from a browser.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrpc.core.data.check import check_file, rule_for
from mrpc.core.data.columns import Columns
from mrpc.core.data.pairs import SentencePair
from mrpc.core.data.read import look_at
from mrpc.core.data.report import FileReport
from mrpc.core.data.split_rows import numbered_batches
from mrpc.core.data.table import Limits, Row, Table
from mrpc.errors import DataError

UPLOAD_LIMITS = Limits(max_file_bytes=10_000_000, max_rows=20_000)

SEPARATORS = ("\t", "|||")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

PASTED = "pasted lines"


def read_pair_file(
    path: Path,
    columns: Sequence[str] | None = None,
    limits: Limits = UPLOAD_LIMITS,
    label_names: tuple[str, str] | None = None,
) -> tuple[list[SentencePair], FileReport]:
    """Read one file of pairs; each has a label or None. The report's notes say how labels became 0 and 1.

    Args:
        path: the file.
        columns: as for :func:`mrpc.core.data.read.read_pairs`.
        limits: how much is taken.
        label_names: what 0 and 1 are called in the data of the models that are asked, if they are.

    Raises:
        DataError: naming the line or row, and what is wrong there.
    """
    return _read(*look_at(path, path.name[:60], columns, limits), label_names)


def read_lines(
    text: str, limits: Limits = UPLOAD_LIMITS, label_names: tuple[str, str] | None = None
) -> tuple[list[SentencePair], FileReport]:
    """Read pasted lines: two sentences, and a label if there is one, between tabs or ``|||``.

    Raises:
        DataError: naming the line, and what is wrong there.
    """
    if len(text.encode(errors="replace")) > limits.max_file_bytes:
        raise DataError(f"The text has more than {limits.max_file_bytes:,} bytes. Upload a smaller part.")
    names = ["sentence1", "sentence2", "label"]
    table = _PastedTable(Path(PASTED), PASTED, limits, PASTED, names, is_plain=False, text=text)
    columns = Columns(*names)
    if not text.strip():
        raise DataError("There is no pair in it.")
    return _read(table, columns, FileReport(PASTED, kind=PASTED, columns=columns.named()), label_names)


@dataclass
class _PastedTable(Table):
    """Lines from a text box.

    Attributes:
        text: as it was pasted.
    """

    text: str = ""

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the parts of each line that is not blank."""
        lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            separator = next((mark for mark in SEPARATORS if mark in line), None)
            cells = [cell.strip() for cell in line.split(separator)] if separator else [line]
            if not 2 <= len(cells) <= 3:
                raise DataError(
                    f"Line {number} has {len(cells)} part{'s' * (len(cells) != 1)}; write two sentences "
                    "with a tab or ||| between them, and a label (0 or 1) after a second one if you have it."
                )
            yield f"line {number}", [*cells, ""][:3]


def _read(
    table: Table, columns: Columns, report: FileReport, label_names: tuple[str, str] | None
) -> tuple[list[SentencePair], FileReport]:
    with tempfile.TemporaryDirectory() as folder:
        checked = check_file(table, columns, "optional", report, Path(folder) / "rows")
        rule = rule_for([checked], label_names)
        pairs: list[SentencePair] = []
        for batch in numbered_batches([checked], rule):
            for row in batch.to_pylist():
                label = row["label"] if row["label"] >= 0 else None
                pairs.append(SentencePair(row["sentence1"], row["sentence2"], label, len(pairs)))
    if rule.said and checked.report.labels:
        checked.report.notes.append(rule.said)
    return pairs, checked.report


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
