"""Check the rows of a file: what is no pair is left out and counted, or refused with its line.

Plain files are checked by whole columns. Where that finds anything that asks for more care, the file is
read once more by :mod:`mrpc.core.data.row_by_row`, which reads what can be read, and names the line of what
cannot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mrpc.core.data.columns import Columns, LabelProblem, LabelRule, understand_labels
from mrpc.core.data.pairs import LABEL_MUST, MAX_IDX, MAX_SENTENCE_CHARS
from mrpc.core.data.report import FileReport, count, listed
from mrpc.core.data.row_by_row import RAW_SCHEMA, Labels, row_by_row_batches
from mrpc.core.data.table import ARROW_FAULTS, UNPACKING_FAULTS, Table
from mrpc.errors import DataError

_ODD_TEXT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"

SHEET_ERRORS = pa.array(["#NAME?", "#REF!", "#VALUE!", "#N/A", "#DIV/0!", "#NULL!", "#NUM!"])
"""What a spreadsheet writes where a formula failed; a sentence that begins with = or - becomes one."""


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

    def write(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Keep rows, and count what is in them.

        Raises:
            DataError: they are none, or too many.
        """
        labels: Counter[str] = Counter()
        num_odd = num_errors = 0
        with pa.OSFile(str(self.path), "wb") as sink, pa.ipc.new_stream(sink, RAW_SCHEMA) as writer:
            for batch in batches:
                *sentences, label, idx = batch.columns
                has_idx = idx.null_count < len(batch)
                if self.report.num_rows and has_idx != self.has_idx:
                    raise _NotPlainError
                self.has_idx = has_idx
                self.num_unlabelled += label.null_count
                found = label.drop_null().value_counts()
                labels.update(dict(zip(*(part.to_pylist() for part in found.flatten()), strict=True)))
                for sentence in sentences:
                    if self.table.may_hold_odd or not self.report.is_plain:
                        num_odd += _num(pc.match_substring_regex(sentence, _ODD_TEXT))
                    if pc.any(pc.starts_with(sentence, "#")).as_py():
                        num_errors += _num(pc.is_in(sentence, value_set=SHEET_ERRORS))
                self.report.num_rows += len(batch)
                if self.report.num_rows > self.table.limits.max_rows:
                    raise DataError(
                        f"{self.table.shown} has more than {self.table.limits.max_rows:,} rows, the most "
                        "that are taken."
                    )
                writer.write_batch(batch)
        if not self.report.num_rows:
            raise DataError(f"{self.table.shown} has no rows.")
        self.report.labels = dict(sorted(labels.items())) if self.report.is_plain else dict(labels)
        if num_odd:
            texts = count(num_odd, "text")
            self.report.notes.append(f"control characters stand in {texts}, and stay there.")
        if num_errors:
            texts = count(num_errors, "text", "is an error", "are errors")
            self.report.notes.append(f"{texts} of a spreadsheet, such as #NAME?, and no sentence.")

    def label_problem(self, label: str, found: str) -> DataError | None:
        """Return the error about a label that means nothing, or None if it does not stand in this file."""
        place = self.label_places.get(label)
        if place is None:
            return None
        shown = label if re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", label) else repr(label[:40])
        return self.table.refuse(place, f"label is {shown}; {LABEL_MUST}{' ' * bool(found)}{found}")


Read = Callable[[CheckedFile, Labels], Iterator[pa.RecordBatch]]


def check_file(table: Table, columns: Columns, labels: Labels, report: FileReport, path: Path) -> CheckedFile:
    """Read a file to its end and write its checked rows to ``path``.

    Raises:
        DataError: with the file, the line and what is wrong there.
    """
    ways: list[Read] = [_plain_batches, row_by_row_batches] if table.is_plain else [row_by_row_batches]
    for read in ways:
        is_plain = read is _plain_batches
        trial = replace(report, left_out=[], notes=[*report.notes], labels={}, is_plain=is_plain)
        checked = CheckedFile(table, columns, trial, path)
        try:
            checked.write(read(checked, labels))
            return checked
        except (*ARROW_FAULTS, _NotPlainError):
            assert is_plain
        except UNPACKING_FAULTS as error:
            raise DataError(f"{table.shown} cannot be unpacked: {error}.") from None
    raise AssertionError("reading row by row ends with rows or an error")


def _plain_batches(checked: CheckedFile, labels: Labels) -> Iterator[pa.RecordBatch]:
    """Yield the rows as Arrow reads them; end where anything in them asks for more care."""
    texts = [checked.columns.sentence1, checked.columns.sentence2]
    label_name, idx_name = checked.columns.label, checked.columns.idx
    for batch in checked.table.batches(texts, [n for n in (label_name, idx_name) if n is not None]):
        if not len(batch):
            continue
        if checked.table.kind != "CSV":  # whose text was decoded before
            batch.validate(full=True)  # UTF-8 too
        nothing = pa.nulls(len(batch), pa.int64())
        sentences = [batch.column(name) for name in texts]
        label = nothing if label_name is None else batch.column(label_name)
        idx = nothing if idx_name is None else batch.column(idx_name)
        if not (
            all(map(_is_plain_text, sentences))
            and (label_name is None or _is_within(label, 1))
            and (idx.null_count == len(idx) or _is_within(idx, MAX_IDX))
        ):
            raise _NotPlainError
        yield pa.RecordBatch.from_arrays([*sentences, label.cast(pa.string()), idx], schema=RAW_SCHEMA)


def _is_plain_text(column: pa.Array) -> bool:
    """Tell whether no text is missing, empty, too long, or bytes of Python."""
    if column.null_count:
        return False
    shortest, longest = pc.min_max(pc.binary_length(column)).as_py().values()
    if shortest == 0 or pc.any(pc.utf8_is_space(column)).as_py():
        return False
    if longest > MAX_SENTENCE_CHARS and pc.max(pc.utf8_length(column)).as_py() > MAX_SENTENCE_CHARS:
        return False
    return not any(pc.any(pc.starts_with(column, start)).as_py() for start in ("b'", 'b"'))


def _is_within(numbers: pa.Array, highest: int) -> bool:
    """Tell whether all numbers are there, from 0 to the highest."""
    if numbers.null_count:
        return False
    low, high = pc.min_max(numbers).as_py().values()
    return bool(low >= 0 and high <= highest)


def _num(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py())


def rule_for(files: Sequence[CheckedFile], known: tuple[str, str] | None = None) -> LabelRule:
    """Find the rule by which the labels of files that belong together become 0 and 1.

    Args:
        files: the files.
        known: what the data of a run calls 0 and 1, where the pairs are for its models.

    Raises:
        DataError: they are not of two classes; names the first line that shows it.
    """
    counts: Counter[str] = Counter()
    for file in files:
        counts.update(file.report.labels)
    named = {tuple(file.table.label_names.get(file.columns.label or "", [])): file for file in files}
    named.pop((), None)
    if len(named) > 1:
        (first, one), (second, other) = list(named.items())[:2]
        raise DataError(
            f"{one.table.shown} calls its classes {listed(first)}, and {other.table.shown} {listed(second)}. "
            "Give them the same names in the same order."
        )
    names = next(iter(named), ())
    is_used = len(names) == 2 or (len(names) > 2 and set(counts) <= {"0", "1"})
    try:
        return understand_labels(counts, (names[0], names[1]) if is_used else known)
    except LabelProblem as problem:
        found = problem.found
        if len(names) > 2:
            found = f"The file calls its classes {listed(names)}. {found}"
        problems = (file.label_problem(problem.value, found) for file in files)
        error = next((error for error in problems if error is not None), None)
        raise error or DataError(f"label is {problem.value!r}; {LABEL_MUST} {found}") from None
