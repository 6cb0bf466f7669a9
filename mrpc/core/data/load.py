"""The sentence pairs: from the Hub, a folder or the bundled sample, always as the same ``DatasetDict``.

:func:`load_data` is the one way in. Rows are checked and hashed once while they are streamed into Arrow
files in the cache of datasets, which are then mapped into memory: 400,000 rows cost no more memory than
4,000. How a file is read is in :mod:`mrpc.core.data.readers`, what is asked of the Hub in
:mod:`mrpc.core.hub`. No tokens here.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import datasets
import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, NamedSplit, Value

from mrpc.core import hub
from mrpc.core.data.faults import repeated_idx
from mrpc.core.data.pairs import LABEL_NAMES, MAX_SENTENCE_CHARS, SPLITS
from mrpc.core.data.readers import find_split_files, read_batches
from mrpc.core.scratch import scratch_dir
from mrpc.errors import DataError, UnavailableError

DataKind = Literal["hub", "folder", "sample"]

FEATURES = Features(
    {
        "sentence1": Value("string"),
        "sentence2": Value("string"),
        "label": ClassLabel(names=list(LABEL_NAMES)),
        "idx": Value("int32"),
    }
)

SAMPLE_DIR = Path(__file__).resolve().parents[3] / "assets" / "sample_pairs"

SAMPLE_WARNING = "The sample is too small for a figure to mean much."

_CACHE_VERSION = 1


@dataclass(frozen=True)
class LoadedData:
    """The three splits, and where they came from.

    Attributes:
        dataset: ``train``, ``validation``, ``test``, each with sentence1, sentence2, label, idx.
        kind: which source was taken.
        data_dir: the folder, for ``folder``; else None.
        reason: which source was taken and why, in words for people.
        fingerprint: 16 hex digits over all rows; equal rows give equal fingerprints, whatever the source.
        split_fingerprints: the same for each split.
    """

    dataset: DatasetDict
    kind: DataKind
    data_dir: Path | None
    reason: str
    fingerprint: str
    split_fingerprints: Mapping[str, str]


def load_data(kind: str = "auto", data_dir: Path | None = None) -> LoadedData:
    """Load train, validation and test from one source.

    Args:
        kind: ``hub``, ``folder``, ``sample``, or ``auto``: the folder if one is named, else the Hub if it
            answers in time, else the sample.
        data_dir: a folder with one file a split (.jsonl, .csv or .parquet).

    Raises:
        DataError: the rows cannot be used; names the file and the line.
        UnavailableError: ``hub`` was asked for and does not answer.
    """
    if kind not in ("auto", *get_args(DataKind)):
        raise DataError(f"The data source is {kind!r}; it must be auto, {', '.join(get_args(DataKind))}.")
    if kind == "folder" or (kind == "auto" and data_dir is not None):
        if data_dir is None:
            raise DataError("The data source is a folder, but none is named. Name one with --data-dir.")
        return _load_folder(data_dir)
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


def select_train_pairs(dataset: Dataset, num: int, seed: int) -> Dataset:
    """Draw ``num`` rows with a seed, in the order of the corpus; 0 means all.

    With one seed, a smaller draw is part of a larger one.
    """
    if num <= 0 or num >= len(dataset):
        return dataset
    drawn = np.random.default_rng(seed).permutation(len(dataset))[:num]
    return dataset.select(np.sort(drawn))


def _load_folder(data_dir: Path) -> LoadedData:
    data_dir = data_dir.expanduser().resolve()
    if not data_dir.is_dir():
        raise DataError(f"{data_dir} is not a folder. Name a folder that holds one file a split.")
    reason = f"The folder {data_dir}, because it is named."
    return _load_files(find_split_files(data_dir), "folder", data_dir, reason)


def _load_sample(reason: str) -> LoadedData:
    return _load_files(find_split_files(SAMPLE_DIR), "sample", None, reason)


def _load_hub() -> LoadedData:
    download = hub.download_dataset()
    return _load_files(download.files, "hub", None, download.reason)


def _load_files(files: Mapping[str, Path], kind: DataKind, data_dir: Path | None, reason: str) -> LoadedData:
    splits: dict[str, Dataset] = {}
    fingerprints: dict[str, str] = {}
    for split in SPLITS:
        arrow_path = _arrow_file(files[split])
        info = DatasetInfo(features=FEATURES)
        splits[split] = Dataset.from_file(str(arrow_path), info=info, split=NamedSplit(split))
        fingerprints[split] = arrow_path.stem.rpartition("-")[2]
    whole = hashlib.sha256("\n".join(f"{split} {fingerprints[split]}" for split in SPLITS).encode())
    return LoadedData(DatasetDict(splits), kind, data_dir, reason, whole.hexdigest()[:16], {**fingerprints})


def _arrow_file(source: Path) -> Path:
    """Return the checked rows of a file as an Arrow file named ``KEY-FINGERPRINT.arrow``, made if need be."""
    stat = source.stat()
    identity = (
        *(_CACHE_VERSION, MAX_SENTENCE_CHARS, source.resolve()),
        *(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns),
    )
    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:24]
    cache_dir = _cache_dir()
    for known in cache_dir.glob(f"{key}-*.arrow"):
        return known
    try:
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".writing-") as writing_dir:
            temporary = Path(writing_dir) / "rows.arrow"
            fingerprint = _write_arrow(source, temporary)
            path = cache_dir / f"{key}-{fingerprint}.arrow"
            os.replace(temporary, path)
    except OSError as error:
        raise UnavailableError(
            f"The rows of {source} cannot be kept in {cache_dir}: {error.strerror or error}. "
            "Make room there, or set HF_HOME to another folder."
        ) from None
    return path


def _write_arrow(source: Path, target: Path) -> str:
    """Stream the rows of a file into an Arrow file and return their fingerprint."""
    rows = _RowHash()
    all_idx: list[np.ndarray] = []
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, FEATURES.arrow_schema) as writer:
        for batch in read_batches(source):
            rows.update(batch)
            all_idx.append(batch.column("idx").to_numpy())
            writer.write_batch(batch.cast(FEATURES.arrow_schema))
    _sync(target)
    idx = np.concatenate(all_idx)
    if len(np.unique(idx)) != len(idx):
        raise repeated_idx(source, idx)
    return rows.hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


class _RowHash:
    """A hash over rows that does not depend on how they are cut into batches."""

    def __init__(self) -> None:
        self._parts = {
            name: hashlib.sha256() for name in ("length1", "text1", "length2", "text2", "label", "idx")
        }
        self._num_rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take the rows of one batch: string columns sentence1 and sentence2, int64 label, int32 idx."""
        for number in ("1", "2"):
            column = batch.column(f"sentence{number}")
            _, offsets, text = column.buffers()
            ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
            self._parts[f"length{number}"].update(np.diff(ends).data)
            self._parts[f"text{number}"].update(memoryview(text)[ends[0] : ends[-1]])
        self._parts["label"].update(batch.column("label").to_numpy())
        self._parts["idx"].update(batch.column("idx").to_numpy())
        self._num_rows += len(batch)

    def hexdigest(self) -> str:
        """Return 16 hex digits."""
        parts = b"".join(part.digest() for part in self._parts.values())
        return hashlib.sha256(self._num_rows.to_bytes(8, "little") + parts).hexdigest()[:16]


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
