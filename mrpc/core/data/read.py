"""One reader for all pairs: files in, pairs and a report of what was understood out.

A data set becomes a ``DatasetDict``: its rows are checked and hashed once while they are streamed into Arrow
files in the cache of datasets, which are then mapped into memory: 400,000 rows cost no more memory than
4,000. Pairs without splits, with or without labels, come from a browser as a file or as pasted lines: they
become a list, by the same rules and with smaller limits.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import datasets
import numpy as np
import numpy.typing as npt
from datasets import Dataset, DatasetDict, DatasetInfo, NamedSplit

from mrpc.core.data.check import CheckedFile, check_file, rule_for
from mrpc.core.data.columns import Columns, find_columns
from mrpc.core.data.csv_rows import DELIMITERS, header_doubt
from mrpc.core.data.encoding import ENCODING_NAMES
from mrpc.core.data.pairs import MAX_SENTENCE_CHARS, NEEDED_COLUMNS, SPLITS, SentencePair
from mrpc.core.data.report import (
    DataReport,
    FileReport,
    count,
    listed,
    read_report,
    shown_name,
    write_report,
)
from mrpc.core.data.row_by_row import Labels
from mrpc.core.data.split_rows import (
    SplitRows,
    draw_rows,
    features,
    find_leaks,
    fingerprint_splits,
    numbered_batches,
    write_split,
)
from mrpc.core.data.splits import SplitFiles, find_split_files
from mrpc.core.data.table import Limits, Row, Table, open_table
from mrpc.errors import DataError, UnavailableError
from mrpc.files import replacing_folder, scratch_dir
from mrpc.settings import full_path

DATA_LIMITS = Limits()
"""For what a person names on the command line."""

UPLOAD_LIMITS = Limits(max_file_bytes=10_000_000, max_rows=20_000)
"""For what comes from a browser."""

SEPARATORS = ("\t", "|||")
"""Between the parts of a pasted line."""

PASTED = "pasted lines"

_CACHE_VERSION = 4


def read_pairs(
    path: Path, columns: Sequence[str] | None = None, limits: Limits = DATA_LIMITS
) -> tuple[DatasetDict, DataReport]:
    """Read pairs with labels from a folder with one file a split, or from one file.

    Args:
        path: the folder or file.
        columns: the names of the columns of sentence 1, sentence 2 and the label; None for the usual names.
        limits: how much is taken.

    Returns:
        The splits ``train``, ``validation`` and, if there is one, ``test``, each with sentence1, sentence2,
        label (-1 throughout a test split without labels), idx; and what was understood.

    Raises:
        DataError: the pairs cannot be used; names the file and the line, and what was found there.
    """
    path = full_path(path)
    if path.is_dir():
        return read_split_files(find_split_files(path), path.name or str(path), columns, limits)
    if not path.exists():
        raise DataError(
            f"{path} is not a folder or a file. Name a folder that holds one file a split, or one file."
        )
    return read_split_files(SplitFiles({"train": [path]}), path.name, columns, limits)


def read_split_files(
    found: SplitFiles, name: str, columns: Sequence[str] | None = None, limits: Limits = DATA_LIMITS
) -> tuple[DatasetDict, DataReport]:
    """Read the files of each split; see :func:`read_pairs`.

    Raises:
        DataError: the pairs cannot be used.
        UnavailableError: what was kept of them cannot be read, or their rows cannot be kept.
    """
    folder = _cached_rows(found, columns, limits)
    report = read_report(folder / "report.json")
    if report is None:
        raise UnavailableError(f"What is kept in {folder} is broken. Delete that folder.")
    info = partial(DatasetInfo, features=features(report.label_names))
    splits = {
        split: Dataset.from_file(str(folder / f"{split}.arrow"), info=info(), split=NamedSplit(split))
        for split in report.splits
    }
    not_read = [shown_name(name) for name in found.not_read]
    return DatasetDict(splits), replace(report, name=name, not_read=not_read)


def read_pair_file(
    path: Path,
    columns: Sequence[str] | None = None,
    limits: Limits = UPLOAD_LIMITS,
    label_names: tuple[str, str] | None = None,
) -> tuple[list[SentencePair], FileReport]:
    """Read one file of pairs; each has a label or None. The report's notes say how labels became 0 and 1.

    Args:
        path: the file.
        columns: as for :func:`read_pairs`.
        limits: how much is taken.
        label_names: what 0 and 1 are called in the data of the models that are asked, if they are.

    Raises:
        DataError: naming the line or row, and what is wrong there.
    """
    return _read_list(*_look_at(path, path.name[:60], columns, limits), label_names)


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
    return _read_list(table, columns, FileReport(PASTED, kind=PASTED, columns=columns.named()), label_names)


def _look_at(
    path: Path, shown: str, columns: Sequence[str] | None, limits: Limits
) -> tuple[Table, Columns, FileReport]:
    """Find out how a file is written and which of its columns hold what, before its rows are read.

    Raises:
        DataError: it is not readable, or lacks a column.
    """

    def recognizes(names: Sequence[str]) -> bool:
        try:
            return bool(find_columns(names, columns))
        except DataError:
            return False

    table = open_table(path, shown, limits, recognizes)
    place = f", line {1 + table.num_skipped}" if table.kind == "CSV" else ""
    try:
        found = find_columns(table.columns, columns)
    except DataError as error:
        delimiter = (
            f" The delimiter looks like a {DELIMITERS.get(table.delimiter, table.delimiter)}."
            if place and len(table.columns) > 1
            else ""
        )
        doubt = header_doubt(table, recognizes) if place else ""
        raise DataError(f"{shown}{place}: {error}{delimiter}{doubt}") from None
    report = FileReport(
        name=shown_name(path.name),
        kind=table.kind,
        compression="gzip" if table.is_gzip else "",
        encoding="" if table.kind in ("Parquet", "Arrow") else ENCODING_NAMES[table.encoding],
        delimiter=DELIMITERS.get(table.delimiter, table.delimiter),
        columns=found.named(),
        unused=[name for name in table.columns if name and name not in found.named().values()],
        num_lines=table.num_lines,
        num_header_lines=table.num_header_lines,
        notes=list(table.notes),
    )
    return table, found, report


def _cached_rows(found: SplitFiles, columns: Sequence[str] | None, limits: Limits) -> Path:
    """Return a folder with ``SPLIT.arrow``, the checked rows, and ``report.json``, made if need be."""
    paths = [path for split in found.files.values() for path in split]
    try:
        stats = [path.stat() for path in paths]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}.") from None
    identity: list[object] = [
        _CACHE_VERSION,
        MAX_SENTENCE_CHARS,
        columns and tuple(columns),
        limits,
        list(found.files),
    ]
    for path, stat in zip(paths, stats, strict=True):
        identity += [path.resolve(), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    cache_dir = _cache_dir()
    folder = cache_dir / hashlib.sha256(repr(identity).encode()).hexdigest()[:24]
    if (folder / "report.json").is_file():
        return folder
    try:
        with replacing_folder(folder) as writing:
            _write_rows(found, columns, limits, writing)
    except OSError as error:
        raise UnavailableError(
            f"The rows of {paths[0]} cannot be kept in {cache_dir}: {error.strerror or error}. "
            "Make room there, or set HF_HOME to another folder."
        ) from None
    return folder


@cache
def _cache_dir() -> Path:
    """Return where Arrow files are kept: the cache of datasets, or a folder of this process alone."""
    directory = Path(datasets.config.HF_DATASETS_CACHE) / "mrpc-lab"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError:
        return scratch_dir()


def _write_rows(found: SplitFiles, columns: Sequence[str] | None, limits: Limits, folder: Path) -> None:
    """Read all files of a data set and write its splits and its report."""
    checked: dict[str, list[CheckedFile]] = {}
    for split, paths in found.files.items():
        for number, path in enumerate(paths):
            raw_path = folder / f"{split}-{number}.raw"
            checked.setdefault(split, []).append(_check(path, split, columns, limits, raw_path))
    for file in checked.get("validation", []):
        if file.num_unlabelled:
            raise DataError(
                f"{file.table.shown} has no labels, and a validation split is there to be scored. "
                f"Found the columns {listed(file.table.columns)}. Give it labels, or leave it out: "
                "validation is then drawn from train."
            )
    labelled = {
        split: files for split, files in checked.items() if not any(file.num_unlabelled for file in files)
    }
    rule = rule_for([file for files in labelled.values() for file in files])
    report = DataReport("", label_names=rule.names, label_rule=rule.said)
    report.files = [file.report for files in checked.values() for file in files]
    contents: dict[str, SplitRows] = {}
    drawn = None if "validation" in checked else draw_rows(checked["train"], rule)
    for split in SPLITS:
        if split in checked or split == "validation":
            files = checked.get(split) or checked["train"]
            keep = None if drawn is None or split == "test" else drawn if split == "validation" else ~drawn
            contents[split] = write_split(files, rule, keep, folder / f"{split}.arrow")
            report.splits[split] = contents[split].describe(_origin(split, drawn))
    report.leaks = find_leaks(contents)
    report.fingerprint = fingerprint_splits({split: rows.fingerprint for split, rows in contents.items()})
    for raw_path in folder.glob("*.raw"):
        raw_path.unlink()
    write_report(folder / "report.json", report)


def _check(
    path: Path, split: str, columns: Sequence[str] | None, limits: Limits, raw_path: Path
) -> CheckedFile:
    """Read one file of a split; train needs a label in every row, the others need not have any."""
    may_lack = split != "train"
    try:
        table, found, report = _look_at(path, str(path), columns, limits)
    except DataError:
        if not may_lack or columns is None or len(columns) < 3:
            raise
        table, found, report = _look_at(path, str(path), columns[:2], limits)
        found = replace(found, label=None)
    if found.label is None and not may_lack:
        raise DataError(
            f"{path}: the column label is missing; every pair needs {', '.join(NEEDED_COLUMNS)}. Found the "
            f"columns {listed(table.columns)}. Say which they are: --columns first,second,label."
        )
    report.split = split
    labels: Labels = "all or none" if may_lack else "required"
    return check_file(table, found, labels, report, raw_path)


def _origin(split: str, drawn: npt.NDArray[np.bool_] | None) -> str:
    if drawn is None or split == "test":
        return ""
    if split == "validation":
        rest = "always the same pairs, chosen by their text."
        return f"Drawn from train, which has no validation beside it: {rest}"
    return f"Without the {count(int(drawn.sum()), 'row')} that became validation."


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


def _read_list(
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
