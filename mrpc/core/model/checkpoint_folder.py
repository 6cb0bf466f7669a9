"""What lies in the folder of a checkpoint: its config, its weights, its tokenizer, how long a pair may be.

Reads small files and names alone, imports neither torch nor transformers, and says in words what is missing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mrpc.core.hub import WEIGHTS
from mrpc.errors import UnavailableError
from mrpc.files import hash_file

WEIGHTS_INDEX = WEIGHTS + ".index.json"
"""Names the file of every tensor where the weights are in several."""

TOKENIZER_FILES = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
"""The sets of files from which a fast tokenizer is made; one set is enough."""

MAX_HEADER_BYTES = 100_000_000
"""The longest head of a safetensors file, by its format."""

OTHER_WEIGHTS = frozenset({".bin", ".h5", ".msgpack", ".onnx", ".gguf", ".pt", ".pth", ".ckpt"})

LFS_POINTER = b"version https://git-lfs"

MAX_CONFIG_BYTES = 20_000_000
"""A config or an index that is larger is none."""

COUNTED_FROM_PADDING = frozenset(
    {
        *("roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "data2vec-text"),
        *("longformer", "mpnet", "ibert", "luke", "xmod", "esm", "lilt"),
    }
)
"""Models whose first token has the position ``pad_token_id + 1``: so many positions are never used."""


def read_config(directory: Path) -> dict[str, Any]:
    """Return ``config.json``, which names at least its ``model_type``.

    Raises:
        UnavailableError: when there is none, or the folder holds something else than an encoder.
    """
    if (directory / "adapter_config.json").exists() and not (directory / "config.json").exists():
        raise UnavailableError(
            f"{directory} holds an adapter (adapter_config.json), not a whole encoder. Merge it into its "
            "base model with merge_and_unload(), save that, and name the new folder."
        )
    config = _read_json(directory / "config.json")
    if config is None and not (directory / "config.json").exists():
        inside = sorted(path.parent.name for path in directory.glob("*/config.json"))
        hint = f" Name the folder inside that has one: {inside[0]}." if inside else ""
        raise UnavailableError(f"{directory} has no config.json.{hint}")
    if config is None:
        raise UnavailableError(f"{directory / 'config.json'} cannot be read: it is no JSON.")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise UnavailableError(f"{directory / 'config.json'} names no model_type.")
    return config


def weight_files(directory: Path) -> list[Path]:
    """Return the safetensors of a checkpoint: one file, or the parts that an index names.

    Raises:
        UnavailableError: when there are none, or a part is missing.
    """
    if (directory / WEIGHTS).is_file():
        _refuse_pointer(directory / WEIGHTS)
        return [directory / WEIGHTS]
    if not (directory / WEIGHTS_INDEX).is_file():
        others = sorted(path.name for path in directory.glob("*") if path.suffix in OTHER_WEIGHTS)
        found = f" It has {others[0]}, but" if others else ""
        raise UnavailableError(
            f"{directory} has no {WEIGHTS}.{found} {'w' if found else 'W'}eights in other formats are not "
            "read: unpickling runs code. Save the model again with save_pretrained(): it writes safetensors."
        )
    index = _read_json(directory / WEIGHTS_INDEX)
    parts = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(parts, dict) or not parts or not all(isinstance(name, str) for name in parts.values()):
        raise UnavailableError(f"{directory / WEIGHTS_INDEX} names no files of weights.")
    names = sorted(set(parts.values()))
    for name in names:
        if Path(name).name != name or not (directory / name).is_file():
            raise UnavailableError(f"{directory} lacks {name[:100]!r}, which its {WEIGHTS_INDEX} names.")
        _refuse_pointer(directory / name)
    return [directory / name for name in names]


def weights_id(directory: Path) -> str:
    """Return the sha256 in hex that names the weights of a folder, in one file or in several."""
    files = weight_files(directory)
    if files == [directory / WEIGHTS]:
        return file_sha256(files[0])
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()


def check_tokenizer_files(directory: Path) -> None:
    """Refuse a folder from which no tokenizer can be made.

    Raises:
        UnavailableError: when the files are not there.
    """
    for names in TOKENIZER_FILES:
        if all((directory / name).is_file() for name in names):
            for name in names:
                _refuse_pointer(directory / name)
            return
    other = next(iter(sorted(path.name for path in directory.glob("*.model"))), None)
    found = f" Save it again as a fast tokenizer: {other} alone is not read." if other else ""
    raise UnavailableError(
        f"{directory} has no tokenizer: neither tokenizer.json nor vocab.txt is there, nor vocab.json with "
        f"merges.txt.{found}"
    )


def _refuse_pointer(path: Path) -> None:
    """Refuse what git writes in the place of a large file that was not fetched."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise UnavailableError(
                f"{path} is a pointer of Git LFS, not the file itself. Fetch it with git lfs pull."
            )


def longest_input(config: dict[str, object]) -> int | None:
    """Return how many tokens an encoder can take by its ``config.json``; None where it does not say."""
    sizes = (config.get(key) for key in ("max_position_embeddings", "n_positions", "seq_length"))
    positions = next((size for size in sizes if isinstance(size, int) and size > 0), None)
    if positions is None:
        return None
    if config["model_type"] in COUNTED_FROM_PADDING:
        padding_id = config.get("pad_token_id", 1)
        positions -= padding_id + 1 if isinstance(padding_id, int) else 2
    return positions if positions > 0 else None


def count_parameters(directory: Path) -> int:
    """Add up the shapes in the heads of a folder's safetensors, without reading the weights.

    Raises:
        UnavailableError: when there are no weights.
        ValueError: when a file is not in this format.
    """
    return sum(map(_count_parameters, weight_files(directory)))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex; asked again for the same file, it is not read again."""
    stat = path.stat()
    return _file_sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)


def distinct_names(folders: Sequence[Path]) -> dict[Path, str]:
    """Name each folder by the end of its path, with as many parents as tell it from the others.

    Args:
        folders: absolute paths; one that is named twice counts once.
    """
    names = {}
    for folder in dict.fromkeys(folders):
        for length in range(1, len(folder.parts) + 1):
            end = folder.parts[-length:]
            if sum(other.parts[-length:] == end for other in set(folders)) == 1:
                break
        names[folder] = "/".join(part.strip("/\\") for part in end)
    return names


@cache
def _file_sha256(path: Path, num_bytes: int, mtime_ns: int) -> str:
    return hash_file(path)


def _count_parameters(path: Path) -> int:
    with path.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
        if num_bytes > MAX_HEADER_BYTES:
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(file.read(num_bytes))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _read_json(path: Path) -> object:
    try:
        if not path.is_file() or path.stat().st_size > MAX_CONFIG_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
