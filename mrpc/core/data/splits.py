"""Which file belongs to which split, and the validation split that is drawn where there is none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mrpc.core.data.pairs import SPLITS, SUFFIXES
from mrpc.core.data.report import listed
from mrpc.core.data.table import split_suffix
from mrpc.errors import DataError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "trainset", "trn"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev", "development", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("devset", "valset", "validset", "evalset"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "tst"), "test"),
}
"""Usual names of the splits; also as a part of a longer name: ``msr_paraphrase_train.txt``."""

PACKED = frozenset(
    {*(".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"), ".xlsx", ".xls", ".ods"}
)
"""Archives and workbooks, by the end of their names."""

VALIDATION_SHARE = 0.1
MAX_DRAWN_PAIRS = 5_000
VALIDATION_SALT = b"42"

_SHARD = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<num>\d{5})(-[0-9a-f]+)?")
_MAX_FILES = 10_000


@dataclass
class SplitFiles:
    """The files of a data set.

    Attributes:
        files: the files of each split, in order; ``train`` is always there.
        not_read: names of further files that hold data by their name, but belong to no split.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    not_read: list[str] = field(default_factory=list)


def find_split_files(data_dir: Path) -> SplitFiles:
    """Return the files of each split in a folder, or in the one folder inside that has some.

    Raises:
        DataError: there is no train split, or two files say that they are one split; says what was found.
    """
    try:
        found = _splits_of(data_dir)
        if "train" not in found.files:
            inner = {
                path: _splits_of(path) for path in _folders(data_dir) if path.name.lower() not in SPLIT_NAMES
            }
            with_train = [path for path, some in inner.items() if "train" in some.files]
            if len(with_train) > 1:
                raise DataError(
                    f"{data_dir} holds several data sets: "
                    f"{listed([path.name for path in with_train])}. Name one of them."
                )
            if with_train:
                chosen = inner.pop(with_train[0])
                others = [path.name for paths in found.files.values() for path in paths] + found.not_read
                chosen.not_read += [f"../{name}" for name in others]
                chosen.not_read += [f"../{path.name}/" for path, some in inner.items() if some.files]
                return chosen
    except OSError as error:
        raise DataError(f"{data_dir} cannot be read: {error.strerror or error}.") from None
    if not found.files and len(found.not_read) == 1:  # one file of any name
        found = SplitFiles({"train": [data_dir / found.not_read[0]]})
    if "train" not in found.files:
        names = [path.name for paths in found.files.values() for path in paths] + found.not_read
        names += [f"{path.name}/" for path in _folders(data_dir)]
        packed = [path.name for path in sorted(data_dir.iterdir())[:50] if path.suffix.lower() in PACKED]
        hint = f" {packed[0]} is not opened: unpack it, or save its sheet as CSV." if packed else ""
        names = names or [path.name for path in sorted(data_dir.iterdir())[:50]]
        raise DataError(
            f"{data_dir} has no train split: {f'found {listed(names)}' if names else 'it is empty'}. "
            "Name the files "
            "train, validation (or val, valid, dev, eval) and test, each with one of "
            f"{', '.join(SUFFIXES[:-1])}.{hint}"
        )
    return found


def _splits_of(folder: Path) -> SplitFiles:
    found = SplitFiles()
    exact: dict[str, list[Path]] = {}
    similar: dict[str, list[Path]] = {}
    for path in _data_files(folder):
        name = split_suffix(path.name)[0].lower()
        shard = _SHARD.fullmatch(name)
        name = shard["name"] if shard else name
        parts = {SPLIT_NAMES[part] for part in re.split(r"[\W_]+", name) if part in SPLIT_NAMES}
        if name in SPLIT_NAMES:
            exact.setdefault(SPLIT_NAMES[name], []).append(path)
        elif len(parts) == 1:
            similar.setdefault(parts.pop(), []).append(path)
        elif split_suffix(path.name)[1] != ".txt":
            found.not_read.append(path.name)
    for inner in _folders(folder):
        if inner.name.lower() in SPLIT_NAMES and (paths := _data_files(inner)):
            exact.setdefault(SPLIT_NAMES[inner.name.lower()], []).extend(paths)
    for split in SPLITS:
        chosen = exact.get(split) or similar.get(split, [])
        if chosen:
            found.files[split] = _one_split(folder, split, chosen)
        found.not_read += [path.name for path in similar.get(split, []) if path not in chosen]
    if not found.files and (folder / "state.json").is_file() and (paths := _data_files(folder)):
        return SplitFiles({"train": paths})  # one split, as save_to_disk keeps it
    return found


def _data_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold rows by their name."""
    state = folder / "state.json"
    if state.is_file() and state.stat().st_size < 1_000_000:
        try:
            names = [str(file["filename"]) for file in json.loads(state.read_bytes())["_data_files"]]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{state} is not what save_to_disk writes.") from None
        return [folder / Path(name).name for name in names]
    order = {suffix: number for number, suffix in enumerate(SUFFIXES)}
    paths = [path for path in _bounded(folder) if split_suffix(path.name)[1] in order]
    paths = [path for path in paths if not path.name.startswith((".", "~$"))]  # Excel's locks are "~$..."
    paths = [
        path for path in paths if path.is_file() and path.suffix != ".arrow" and not _is_about_data(path)
    ]
    return sorted(paths, key=lambda path: (order[split_suffix(path.name)[1]], path.name))


def _is_about_data(path: Path) -> bool:
    return path.name in ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "report.json")


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _bounded(folder) if path.is_dir() and path.name[0] != ".")


def _bounded(folder: Path) -> Iterator[Path]:
    for number, path in enumerate(folder.iterdir()):
        if number == _MAX_FILES:
            raise DataError(
                f"{folder} has more than {_MAX_FILES:,} files. Name the folder of the data alone."
            )
        yield path


def _one_split(folder: Path, split: str, paths: list[Path]) -> list[Path]:
    """Return the files of a split if they are one file, or all parts of one."""
    shards = [_SHARD.fullmatch(split_suffix(path.name)[0].lower()) for path in paths]
    whole = [shard for shard in shards if shard is not None]
    if len(whole) == len(paths) and len({(shard["name"], shard["num"]) for shard in whole}) == 1:
        num = int(whole[0]["num"])
        numbers = [int(shard["number"]) for shard in whole]
        if sorted(numbers) != list(range(num)):
            missing = next((n for n in range(num) if n not in numbers), num)
            raise DataError(
                f"{folder} has {len(paths)} of {num} parts of the {split} split: part {missing:05d} is "
                "missing."
            )
        return [path for _, path in sorted(zip(numbers, paths, strict=True))]
    if len(paths) > 1 and not all(path.parent != folder and path.suffix == ".parquet" for path in paths):
        raise DataError(
            f"{folder} has more than one {split} split: {', '.join(path.name for path in paths)}."
        )
    return paths


def pair_keys(sentence1: pa.StringArray, sentence2: pa.StringArray) -> npt.NDArray[np.int64]:
    """Return a number of 63 bits for each pair, which depends on its sentences alone, in either order.

    Args:
        sentence1: N first sentences.
        sentence2: N second sentences.

    Returns:
        int64 [N].
    """
    first, second = pc.min_element_wise(sentence1, sentence2), pc.max_element_wise(sentence1, sentence2)
    joined = pc.binary_join_element_wise(first, second, "\0").cast(pa.binary())
    digests = (
        hashlib.blake2b(text, digest_size=8, salt=VALIDATION_SALT).digest()
        for text in joined.to_numpy(zero_copy_only=False)
    )
    return (np.frombuffer(b"".join(digests), "<u8") >> np.uint64(1)).astype(np.int64)


def draw_validation(keys: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Choose the rows that become validation: a tenth of the different pairs of each label, at most 5,000.

    Which pair is chosen depends on its sentences, so it does not change with the order of the rows, and a
    pair that stands twice goes to one side as a whole.

    Args:
        keys: int64 [N], :func:`pair_keys`.
        labels: int64 [N].

    Returns:
        bool [N], true for the rows of validation.

    Raises:
        DataError: there are not two different pairs.
    """
    different, first = np.unique(keys, return_index=True)  # sorted
    if len(different) < 2:
        raise DataError(
            "There is no validation split, and train has not two different pairs to draw one from."
        )
    share = min(VALIDATION_SHARE, MAX_DRAWN_PAIRS / len(different))
    chosen: list[np.ndarray] = []
    for label in (0, 1):
        of_label = different[labels[first] == label]
        if len(of_label) > 1:
            chosen.append(of_label[: max(1, round(share * len(of_label)))])
    return np.isin(keys, np.concatenate(chosen) if chosen else different[:1])
