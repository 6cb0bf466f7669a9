"""One reader for all pairs: files in, a ``DatasetDict`` and a report of what was understood out.

Rows are checked and hashed once while they are streamed into Arrow files in the cache of datasets, which
are then mapped into memory: 400,000 rows cost no more memory than 4,000.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path

import datasets
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, NamedSplit, Value

from mrpc.core.data.check import (
    LABEL_MUST,
    NEEDED_COLUMNS,
    CheckedFile,
    Labels,
    check_file,
    find_repeated,
    repeated_idx,
)
from mrpc.core.data.columns import Columns, LabelProblem, LabelRule, find_columns, understand_labels
from mrpc.core.data.csv_rows import DELIMITERS, header_doubt
from mrpc.core.data.encoding import ENCODING_NAMES
from mrpc.core.data.fingerprint import RowHash, fingerprint_splits
from mrpc.core.data.pairs import LABEL_NAMES, MAX_SENTENCE_CHARS, SPLITS
from mrpc.core.data.report import (
    DataReport,
    FileReport,
    SplitReport,
    count,
    listed,
    read_report,
    shown_name,
    write_report,
)
from mrpc.core.data.splits import SplitFiles, draw_validation, find_split_files, keys_of
from mrpc.core.data.table import Limits, Table, open_table
from mrpc.errors import DataError, UnavailableError
from mrpc.files import replacing_folder, scratch_dir
from mrpc.settings import full_path

DATA_LIMITS = Limits()
"""For what a person names on the command line."""

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
    """Read the files of each split; see :func:`read_pairs`."""
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


def look_at(
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


def features(label_names: tuple[str, str] = LABEL_NAMES) -> Features:
    """Return what the columns of a split hold."""
    return Features(
        {
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=list(label_names)),
            "idx": Value("int32"),
        }
    )


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
    if "validation" in checked:
        _need_labels_in(checked["validation"])
    labelled = {
        split: files for split, files in checked.items() if not any(file.num_unlabelled for file in files)
    }
    rule = rule_for([file for files in labelled.values() for file in files])
    report = DataReport("", label_names=rule.names, label_rule=rule.said)
    report.files = [file.report for files in checked.values() for file in files]
    contents: dict[str, _SplitRows] = {}
    drawn = None if "validation" in checked else _draw(checked["train"], rule)
    for split in SPLITS:
        if split in checked or split == "validation":
            files = checked.get(split) or checked["train"]
            keep = None if drawn is None or split == "test" else drawn if split == "validation" else ~drawn
            contents[split] = _write_split(files, rule, keep, folder / f"{split}.arrow")
            report.splits[split] = contents[split].describe(_origin(split, drawn))
    report.leaks = _find_leaks(contents)
    report.fingerprint = fingerprint_splits({split: rows.fingerprint for split, rows in contents.items()})
    for raw_path in folder.glob("*.raw"):
        raw_path.unlink()
    write_report(folder / "report.json", report)


def _check(
    path: Path, split: str, columns: Sequence[str] | None, limits: Limits, raw_path: Path
) -> CheckedFile:
    may_lack = split != "train"
    if may_lack and columns is not None and len(columns) > 2:
        try:
            table, found, report = look_at(path, str(path), columns, limits)
        except DataError:
            table, found, report = look_at(path, str(path), columns[:2], limits)
            found = replace(found, label=None)
    else:
        table, found, report = look_at(path, str(path), columns, limits)
    if found.label is None and split == "train":
        raise DataError(
            f"{path}: the column label is missing; every pair needs {', '.join(NEEDED_COLUMNS)}. Found "
            "the columns "
            f"{listed(table.columns)}. Say which they are: --columns first,second,label."
        )
    report.split = split
    labels: Labels = "all or none" if may_lack else "required"
    return check_file(table, found, labels, report, raw_path)


def _need_labels_in(files: Sequence[CheckedFile]) -> None:
    for file in files:
        if file.num_unlabelled:
            raise DataError(
                f"{file.table.shown} has no labels, and a validation split is there to be scored. "
                "Found the columns "
                f"{listed(file.table.columns)}. Give it labels, or leave it out: validation is then "
                "drawn from train."
            )


def _origin(split: str, drawn: npt.NDArray[np.bool_] | None) -> str:
    if drawn is None or split == "test":
        return ""
    rest = "Drawn from train, which has no validation beside it: always the same pairs, chosen by their text."
    return (
        rest
        if split == "validation"
        else f"Without the {count(int(drawn.sum()), 'row')} that became validation."
    )


# The rows of one split


def numbered_batches(files: Sequence[CheckedFile], rule: LabelRule) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a split: strings sentence1, sentence2, int64 label (-1 for none), int64 idx."""
    values = pa.array(rule.numbers.keys(), pa.string())
    numbers = pa.array([*rule.numbers.values()], pa.int64())
    has_idx = all(file.has_idx for file in files)
    num_rows = 0
    for file in files:
        for batch in file.batches():
            label = pc.fill_null(numbers.take(pc.index_in(batch.column("label"), value_set=values)), -1)
            idx = batch.column("idx") if has_idx else pa.array(np.arange(num_rows, num_rows + len(batch)))
            columns = [batch.column("sentence1"), batch.column("sentence2"), label, idx]
            yield pa.RecordBatch.from_arrays(columns, names=["sentence1", "sentence2", "label", "idx"])
            num_rows += len(batch)


def _draw(files: Sequence[CheckedFile], rule: LabelRule) -> npt.NDArray[np.bool_]:
    keys, labels = [], []
    for batch in numbered_batches(files, rule):
        texts = (batch.column(name).to_pylist() for name in NEEDED_COLUMNS[:2])
        keys.append(keys_of(zip(*texts, strict=True)))
        labels.append(batch.column("label").to_numpy())
    return draw_validation(np.concatenate(keys), np.concatenate(labels))


@dataclass
class _SplitRows:
    """What the rows of a split are, in numbers.

    Attributes:
        fingerprint: of all rows.
        pairs: uint64 [N], a hash of both sentences of each row, whichever comes first.
        labels: int64 [N], -1 for none.
    """

    fingerprint: str
    pairs: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]

    @cached_property
    def different(self) -> npt.NDArray[np.uint64]:
        """The hashes of the different pairs, in order."""
        ordered = np.sort(self.pairs)  # np.unique takes ten times as long
        return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]

    def describe(self, origin: str) -> SplitReport:
        num_ones, num_zeros = int((self.labels == 1).sum()), int((self.labels == 0).sum())
        num_repeated = len(self.pairs) - len(self.different)
        both = (
            np.intersect1d(self.pairs[self.labels == 0], self.pairs[self.labels == 1]) if num_repeated else ()
        )
        return SplitReport(
            num_pairs=len(self.pairs),
            num_labels=(num_zeros, num_ones) if num_zeros + num_ones else None,
            fingerprint=self.fingerprint,
            num_repeated=num_repeated,
            num_conflicting=len(both),
            origin=origin,
        )


def _write_split(
    files: Sequence[CheckedFile], rule: LabelRule, keep: npt.NDArray[np.bool_] | None, target: Path
) -> _SplitRows:
    """Stream the rows of a split into an Arrow file, and return what they are."""
    schema = features(rule.names).arrow_schema
    rows = RowHash()
    idx, labels, pairs = [], [], []
    num_read = 0
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for numbered in numbered_batches(files, rule):
            batch, num_read = numbered, num_read + len(numbered)
            if keep is not None:
                batch = numbered.filter(pa.array(keep[num_read - len(numbered) : num_read]))
            batch = batch.cast(schema)
            rows.update(batch)
            writer.write_batch(batch)
            idx.append(batch.column("idx").to_numpy())
            labels.append(batch.column("label").to_numpy())
            pairs.append(_pair_hashes(batch))
    repeated = find_repeated(np.concatenate(idx))
    if repeated is not None:
        raise repeated_idx(files, repeated)
    return _SplitRows(rows.hexdigest(), np.concatenate(pairs), np.concatenate(labels))


def _pair_hashes(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    texts = (batch.column(name).to_numpy(zero_copy_only=False) for name in NEEDED_COLUMNS[:2])
    first, second = (pd.util.hash_array(text, categorize=False) for text in texts)
    return np.asarray(first + second, np.uint64)  # wraps around, and does not depend on the order


def _find_leaks(contents: dict[str, _SplitRows]) -> dict[str, int]:
    names = list(contents)
    leaks = {
        f"{first} and {second}": len(
            np.intersect1d(contents[first].different, contents[second].different, assume_unique=True)
        )
        for at, first in enumerate(names)
        for second in names[at + 1 :]
    }
    return {splits: num for splits, num in leaks.items() if num}
