"""What was understood of a data set: how each file was read, what was left out, and what to look at.

Plain dataclasses, kept as ``report.json`` beside a stored data set. Holds no row, only counts and line
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mrpc.files import read_small, write_bytes


@dataclass
class LeftOut:
    """Rows of a file that are no pairs.

    Attributes:
        reason: why, as a noun phrase: "with an empty sentence".
        num_rows: how many.
        places: the first few: "line 7".
    """

    reason: str
    num_rows: int = 0
    places: list[str] = field(default_factory=list)


@dataclass
class FileReport:
    """How one file was read.

    Attributes:
        name: of the file.
        split: which split it went to; empty for pairs that belong to none.
        kind: "CSV", "JSON lines", "JSON", "Parquet", "Arrow" or "pasted lines".
        compression: "gzip" or "".
        encoding: "UTF-8", "UTF-8 with BOM", "UTF-16" or "Windows-1252"; "" where the format says it itself.
        delimiter: "comma", "tab", "semicolon", "bar", or "" where there is none.
        columns: what was taken from which column: ``{"sentence1": "question1", ...}``.
        unused: names of the columns that were not taken.
        num_lines: lines of the file, or None where it has no lines.
        num_rows: pairs that were taken.
        num_header_lines: lines before the first row.
        num_inner_lines: further lines of rows that go over several.
        labels: the labels as they stand in the file, and how many rows have each.
        left_out: rows that were not taken.
        notes: what else a person should know, one sentence each.
        is_plain: it was read by whole columns, as any library would read it.
    """

    name: str
    split: str = ""
    kind: str = ""
    compression: str = ""
    encoding: str = ""
    delimiter: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    num_lines: int | None = None
    num_rows: int = 0
    num_header_lines: int = 0
    num_inner_lines: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_plain: bool = False

    def leave_out(self, reason: str, place: str) -> None:
        """Count a row that is not taken."""
        known = next((some for some in self.left_out if some.reason == reason), None)
        if known is None:
            known = LeftOut(reason)
            self.left_out.append(known)
        known.num_rows += 1
        known.places = [*known.places, place][:5]

    def sentences(self) -> list[str]:
        """Say in words how the file was read."""
        shape = [self.kind if self.kind != self.name else "", self.compression, self.encoding]
        shape.append(f"delimiter: {self.delimiter}" if self.delimiter else "")
        form = ", ".join(part for part in shape if part)
        taken = ", ".join(f"{role} from {name!r}" for role, name in self.columns.items() if role != name)
        pairs = f"{count(self.num_rows, 'pair')}{self.of_lines()}."
        said = [f"{self.name}: {form}{'; ' * bool(form)}{pairs}"]
        if taken:
            said.append(f"{self.name}: {taken}.")
        for some in self.left_out:
            more = ", ..." if some.num_rows > len(some.places) else ""
            said.append(
                f"{self.name}: {count(some.num_rows, 'row')} {some.reason} left out "
                f"({', '.join(some.places)}{more})."
            )
        return said + [f"{self.name}: {note}" for note in self.notes]

    def of_lines(self) -> str:
        """Set the rows against the lines of the file, behind their number: " in 7 lines (1 of names)"."""
        if self.num_lines is None:
            return ""
        num_rows = self.num_rows + sum(some.num_rows for some in self.left_out)
        num_empty = self.num_lines - num_rows - self.num_header_lines - self.num_inner_lines
        parts = [f"{self.num_header_lines:,} of names"] if self.num_header_lines else []
        parts += [f"{self.num_inner_lines:,} inside of rows"] if self.num_inner_lines else []
        parts += [f"{num_empty:,} empty"] if num_empty else []
        return f" in {count(self.num_lines, 'line')}" + (f" ({', '.join(parts)})" if parts else "")


@dataclass
class SplitReport:
    """What is in one split.

    Attributes:
        num_pairs: pairs in it.
        num_labels: how many have label 0 and label 1; None where labels are not known.
        num_repeated: rows whose pair stands in the split already.
        num_conflicting: different pairs that stand there with both labels.
        origin: how the split came about where it is not a file of its own; else "".
        fingerprint: of its rows.
    """

    num_pairs: int
    num_labels: tuple[int, int] | None
    fingerprint: str
    num_repeated: int = 0
    num_conflicting: int = 0
    origin: str = ""


@dataclass
class DataReport:
    """What was understood of a data set.

    Attributes:
        name: what texts call the data.
        fingerprint: of all rows.
        label_names: names of the classes 0 and 1.
        label_rule: how the labels of the files became 0 and 1, in words.
        files: how each file was read.
        splits: what is in each split.
        leaks: different pairs of one split that stand in another too: ``{"train and test": 3}``.
        not_read: files of the folder that belong to no split.
    """

    name: str
    fingerprint: str = ""
    label_names: tuple[str, str] = ("not_equivalent", "equivalent")
    label_rule: str = ""
    files: list[FileReport] = field(default_factory=list)
    splits: dict[str, SplitReport] = field(default_factory=dict)
    leaks: dict[str, int] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Say in words how the data was read: files, splits, labels."""
        said = [sentence for file in self.files for sentence in file.sentences()]
        if self.label_rule:
            said.append(self.label_rule)
        return said + self.split_sentences()

    def as_text(self) -> str:
        """Say all of it in lines for a terminal."""
        return "\n".join([*self.sentences(), *(f"Look at this: {warning}" for warning in self.warnings())])

    def split_sentences(self) -> list[str]:
        """Say what is in each split."""
        said = []
        for split, found in self.splits.items():
            names = zip(self.label_names, found.num_labels or (), strict=False)
            labels = ", ".join(f"{num:,} {name}" for name, num in names) or "no labels"
            said.append(
                f"{split}: {count(found.num_pairs, 'pair')}, "
                f"{labels}.{' ' * bool(found.origin)}{found.origin}"
            )
        if self.not_read:
            said.append(f"Not read: {', '.join(self.not_read)}.")
        return said

    def warnings(self) -> list[str]:
        """Say what a person should look at before anything is trained on this."""
        said = []
        for split, found in self.splits.items():
            if found.num_labels is None:
                said.append(f"{split} has no labels: its pairs can be predicted, not scored.")
            elif 0 in found.num_labels:
                only = self.label_names[int(found.num_labels[0] == 0)]
                said.append(f"All pairs of {split} are {only}: with one class alone no score means anything.")
            if found.num_repeated:
                rows = count(found.num_repeated, "row")
                said.append(f"{split} holds {rows} whose pair stands in it already.")
            if found.num_conflicting:
                stand = count(found.num_conflicting, "pair", "stands", "stand")
                said.append(f"{split} holds conflicting labels: {stand} there with both.")
        for splits, num in self.leaks.items():
            stand = count(num, "pair", "stands", "stand")
            said.append(f"{stand} in {splits}: scores will look better than they are.")
        return said


def count(number: int, noun: str, one: str = "", many: str = "") -> str:
    """Return "1 pair", "1,200 pairs"; with a verb for one and for many, "1 pair stands"."""
    verb = one if number == 1 else many
    return f"{number:,} {noun}{'s' * (number != 1)}{' ' * bool(verb)}{verb}"


def shown_value(value: object) -> str:
    """Return a value for a message, shortened."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def shown_name(name: str) -> str:
    """Return the name of a file or a column as text that can be written down, whatever its bytes are."""
    return name.encode(errors="replace").decode()


def listed(names: Sequence[object], limit: int = 12) -> str:
    """Return names for a message: in quotes, each shortened, not too many."""
    shown = [repr(str(name)[:40]) for name in names[:limit]]
    return ", ".join(shown) + (f" and {len(names) - limit} more" if len(names) > limit else "")


_REPORT = TypeAdapter(DataReport)


def write_report(path: Path, report: DataReport) -> None:
    """Write a report as JSON.

    Raises:
        OSError: it cannot be written there.
    """
    write_bytes(path, _REPORT.dump_json(report, indent=1))


def read_report(path: Path) -> DataReport | None:
    """Read a report, or return None where there is none that can be read."""
    try:
        return _REPORT.validate_json(read_small(path) or b"")
    except ValidationError:
        return None
