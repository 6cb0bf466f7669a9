"""The sentence pairs: from the Hub, a folder, a file or the sample, always as the same ``DatasetDict``.

:func:`load_data` chooses the source; :func:`mrpc.core.data.read.read_pairs` reads it. What is asked of the
Hub is in
:mod:`mrpc.core.hub`. No tokens here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from mrpc.core import hub
from mrpc.core.data.pairs import LABEL_NAMES
from mrpc.core.data.read import DATA_LIMITS, read_pairs, read_split_files
from mrpc.core.data.report import DataReport, read_report, write_report
from mrpc.core.data.splits import SplitFiles, find_split_files
from mrpc.core.data.table import Limits
from mrpc.errors import DataError, UnavailableError
from mrpc.files import replacing_folder
from mrpc.settings import full_path

DataKind = Literal["hub", "folder", "sample"]

SAMPLE_DIR = Path(__file__).resolve().parents[3] / "assets" / "sample_pairs"

SAMPLE_WARNING = "The sample is too small for a figure to mean much."

MRPC_FINGERPRINT = "240173169f4b49ac"
"""Of the corpus itself, wherever it comes from."""

REPORT_FILE = "report.json"


@dataclass(frozen=True)
class LoadedData:
    """The splits, and where they came from.

    Attributes:
        dataset: ``train``, ``validation`` and, if there is one, ``test``, each with sentence1, sentence2,
            label, idx. The labels of a test split that has none are -1.
        kind: which source was taken.
        data_dir: the folder or file, for ``folder``; else None.
        reason: which source was taken and why, in words for people.
        report: what was understood of the files.
        columns: the columns that were asked for by name; None where the usual names were looked for.
    """

    dataset: DatasetDict
    kind: DataKind
    data_dir: Path | None
    reason: str
    report: DataReport
    columns: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What texts call the data: "MRPC", or the name of the folder or file."""
        return self.report.name

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all rows; equal rows give equal fingerprints, whatever the source."""
        return self.report.fingerprint

    @property
    def split_fingerprints(self) -> dict[str, str]:
        """The same for each split."""
        return {split: found.fingerprint for split, found in self.report.splits.items()}

    @property
    def label_names(self) -> tuple[str, str]:
        """Names of the classes 0 and 1."""
        return self.report.label_names

    def split(self, split: str) -> Dataset:
        """Return the rows of a split.

        Raises:
            DataError: the data has no such split.
        """
        if split not in self.dataset:
            found = ", ".join(map(str, self.dataset))
            raise DataError(f"{self.name} has no {split} split; it has {found}.")
        return self.dataset[split]

    def find(self, sentence1: str, sentence2: str) -> tuple[str, int] | None:
        """Return the split and the row of a pair, or None where the data does not hold it."""
        try:
            first, second = (pa.scalar(sentence, pa.string()) for sentence in (sentence1, sentence2))
        except UnicodeEncodeError:  # half of a surrogate pair
            return None
        for split, dataset in self.dataset.items():
            table = dataset.with_format("arrow")[:]
            is_same = pc.and_(
                pc.equal(table.column("sentence1"), first), pc.equal(table.column("sentence2"), second)
            )
            row = pc.index(is_same, True).as_py()
            if row >= 0:
                return str(split), row
        return None

    def has_labels(self, split: str) -> bool:
        """Tell whether a split can be scored, and not only predicted."""
        found = self.report.splits.get(split)
        return found is None or found.num_labels is not None


def load_data(
    kind: str = "auto", data_dir: Path | None = None, columns: Sequence[str] | None = None
) -> LoadedData:
    """Load the splits from one source.

    Args:
        kind: ``hub``, ``folder``, ``sample``, or ``auto``: the folder if one is named, else the Hub if it
            answers in time, else the sample.
        data_dir: a folder with one file a split, or one file.
        columns: the columns of both sentences and of the label in that folder; None for the usual names.

    Raises:
        DataError: the rows cannot be used; names the file and the line.
        UnavailableError: ``hub`` was asked for and does not answer.
    """
    if kind not in ("auto", *get_args(DataKind)):
        raise DataError(f"The data source is {kind!r}; it must be auto, {', '.join(get_args(DataKind))}.")
    if kind == "folder" or (kind == "auto" and data_dir is not None):
        if data_dir is None:
            raise DataError("The data source is a folder, but none is named. Name one with --data-dir.")
        return _load_folder(data_dir, columns)
    if kind == "sample":
        return _load_sample(f"The bundled sample, as asked for. {SAMPLE_WARNING}")
    try:
        return _load_hub()
    except (UnavailableError, DataError) as error:
        if kind == "hub":
            raise
        why = str(error)
        return _load_sample(
            f"The bundled sample: no folder is named, and {why[0].lower()}{why[1:]} {SAMPLE_WARNING}"
        )


def load_again(
    kind: str, data_dir: Path | None, columns: Sequence[str] | None, fingerprint: str
) -> LoadedData:
    """Load what was loaded before, as a run names it.

    Args:
        kind: see :func:`load_data`, as the next two.
        data_dir: a folder or file.
        columns: in it.
        fingerprint: of the rows then.

    Raises:
        DataError: the rows are not the same any more, or cannot be used.
        UnavailableError: they are not available now.
    """
    data = load_data(kind, data_dir, columns)
    if data.fingerprint != fingerprint:
        raise DataError(
            f"The data in {data_dir or kind} changed since this run was created (fingerprint "
            f"{data.fingerprint}, then {fingerprint}). Put the old rows back, or start a new run."
        )
    return data


def select_train_pairs(dataset: Dataset, num: int, seed: int) -> Dataset:
    """Draw ``num`` rows with a seed, in the order of the corpus; 0 means all.

    With one seed, a smaller draw is part of a larger one.
    """
    if num <= 0 or num >= len(dataset):
        return dataset
    drawn = np.random.default_rng(seed).permutation(len(dataset))[:num]
    return dataset.select(np.sort(drawn))


def preview(dataset: DatasetDict, num: int = 5) -> list[dict[str, str | int]]:
    """Return the first rows of each split: split, sentence1, sentence2, label (its name, or ""), idx."""
    rows: list[dict[str, str | int]] = []
    for split, part in dataset.items():
        names = part.features["label"].names
        for row in part.select(range(min(num, len(part)))):
            label = names[row["label"]] if row["label"] >= 0 else ""
            rows.append({"split": str(split), **row, "label": label})
    return rows


def store_dataset(
    source: Path,
    folder: Path,
    columns: Sequence[str] | None = None,
    limits: Limits = DATA_LIMITS,
    name: str = "",
) -> LoadedData:
    """Keep a data set so that a run can be resumed from it alone: one Parquet file a split, and the report.

    Args:
        source: what a person brought: a file, or a folder.
        folder: where data sets are kept, such as ``RUNS_DIR/.data``; this one goes to a folder inside,
            named by its fingerprint. Rows that are there already are not written again.
        columns: as for :func:`load_data`.
        limits: how much is taken.
        name: what texts call the data; by default the name of the file.

    Returns:
        The data as it is loaded from there, with ``data_dir`` inside ``folder``.

    Raises:
        DataError: the rows cannot be used.
        UnavailableError: they cannot be written there.
    """
    dataset, report = read_pairs(source, columns, limits)
    report = replace(report, name=name[:80] or report.name)
    return store_loaded(dataset, report, folder)


def store_loaded(dataset: DatasetDict, report: DataReport, folder: Path) -> LoadedData:
    """Keep rows that were read already; see :func:`store_dataset`.

    Raises:
        UnavailableError: they cannot be written there.
    """
    target = folder.resolve() / _stored_name(report)
    try:
        if (target / REPORT_FILE).is_file():
            write_report(target / REPORT_FILE, report)  # the same rows, perhaps of another file
            os.utime(target)
        else:
            with replacing_folder(target) as writing:
                for split, rows in dataset.items():
                    rows.to_parquet(writing / f"{split}.parquet")
                write_report(writing / REPORT_FILE, report)
    except OSError as error:
        raise UnavailableError(f"The data cannot be kept in {folder}: {error.strerror or error}.") from None
    return _load_folder(target, None)


def keep_odd(data: LoadedData, folder: Path) -> LoadedData:
    """Keep a plain copy of what plain libraries would not read as it was read here.

    The code that a run is exported as opens the files with the datasets library alone, and a run can be
    resumed when the files are gone.

    Raises:
        UnavailableError: it cannot be written there.
    """
    is_odd = data.kind == "folder" and not _is_plain(data)
    return store_loaded(data.dataset, data.report, folder) if is_odd else data


def _is_plain(data: LoadedData) -> bool:
    """Tell whether the datasets library reads the same rows: one plain file of the usual name a split."""
    report = data.report
    if data.data_dir is None or not data.data_dir.is_dir() or report.not_read or report.label_rule:
        return False
    return [file.split for file in report.files] == list(report.splits) and all(
        file.is_plain
        and not file.compression
        and file.encoding in ("", "UTF-8")
        and file.delimiter in ("", "comma")
        and file.name in (f"{file.split}.jsonl", f"{file.split}.csv", f"{file.split}.parquet")
        and all(role == name for role, name in file.columns.items())
        and (data.data_dir / file.name).is_file()
        for file in report.files
    )


def _stored_name(report: DataReport) -> str:
    """Return the fingerprint, and a hash of the names of the classes if they are the data's own."""
    if report.label_names == LABEL_NAMES:
        return report.fingerprint
    return f"{report.fingerprint}-{hashlib.sha256(repr(report.label_names).encode()).hexdigest()[:8]}"


def _load_folder(data_dir: Path, columns: Sequence[str] | None) -> LoadedData:
    data_dir = full_path(data_dir)
    dataset, report = read_pairs(data_dir, columns)
    kept = read_report(data_dir / REPORT_FILE) if data_dir.is_dir() else None
    if kept is not None and kept.fingerprint == report.fingerprint:
        report = kept  # what was understood of the files that these were made from
    what = "folder" if data_dir.is_dir() else "file"
    reason = f"The {what} {data_dir.name}."  # without its path: visitors read this
    return _loaded(dataset, report, "folder", data_dir, reason, None if columns is None else tuple(columns))


def _load_sample(reason: str) -> LoadedData:
    dataset, report = read_split_files(find_split_files(SAMPLE_DIR), "the sample")
    return _loaded(dataset, report, "sample", None, reason)


def _load_hub() -> LoadedData:
    files, reason = hub.download_dataset()
    found = SplitFiles({split: [path] for split, path in files.items()})
    dataset, report = read_split_files(found, "MRPC")
    return _loaded(dataset, report, "hub", None, reason)


def _loaded(
    dataset: DatasetDict,
    report: DataReport,
    kind: DataKind,
    data_dir: Path | None,
    reason: str,
    columns: tuple[str, ...] | None = None,
) -> LoadedData:
    if report.fingerprint == MRPC_FINGERPRINT:
        report = replace(report, name="MRPC")
    return LoadedData(dataset, kind, data_dir, reason, report, columns)
