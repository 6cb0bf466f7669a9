"""The folder of a checkpoint: what lies in it, how much of it a model took, and what names the weights.

Imports neither torch nor transformers before it is given a model, and says in words what is missing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrpc.core.hub import WEIGHTS
from mrpc.errors import UnavailableError
from mrpc.files import hash_file

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

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

MIN_SHARE = 0.9
"""Of the encoder's tensors so many have to come from the checkpoint, or it trains on random numbers."""

MAX_NAMES = 4
"""So many names of tensors are told, and how many more there are."""

EXTRA_MODULE = "shared_words"
"""What a model has besides its own weights while it learns a second task; no folder and no hash has it."""


# ---------------------------------------------------------------- its files


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


# ---------------------------------------------------------------- what a model took of it


@dataclass(frozen=True)
class EncoderReport:
    """What was loaded of an encoder, its head aside.

    Attributes:
        num_tensors: that the encoder has.
        num_loaded: of them that the checkpoint had, in the right shape.
        missing: names of the others.
        misshapen: those of them that the checkpoint has in another shape, with both shapes in words.
        has_words: whether the embeddings of the tokens were loaded.
        left_over: names in the checkpoint of parts that the encoder has too, but not as many.
        unexpected: names in the checkpoint that the model has no place for.
        notes: what was changed to make it a classifier of pairs, a sentence each.
    """

    num_tensors: int
    num_loaded: int
    missing: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    has_words: bool = True
    left_over: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the encoder's tensors that were loaded, in [0, 1]."""
        return self.num_loaded / self.num_tensors if self.num_tensors else 0.0

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        new = f"; new and random: {_some(self.missing)}" if self.missing else ""
        return f"{self.num_loaded} of {self.num_tensors} tensors of the encoder are loaded{new}."

    def require_enough(self, where: str) -> None:
        """Refuse an encoder most of whose numbers, or whose words, would be random.

        Raises:
            UnavailableError: names the tensors that are missing or of another shape, and what stands there
                instead.
        """
        if len(self.left_over) > (1 - MIN_SHARE) * self.num_tensors and self.share >= MIN_SHARE:
            raise UnavailableError(
                f"{where}: its config.json does not fit its weights, which have {len(self.left_over)} more "
                f"tensors of the encoder: {_some(self.left_over)}. Correct the config.json, or save the "
                "model again with save_pretrained()."
            )
        if self.misshapen and self.share >= 1 - MIN_SHARE:
            raise UnavailableError(
                f"{where}: its config.json does not fit its weights: {_some(self.misshapen)}. Correct the "
                "config.json, or save the model again with save_pretrained()."
            )
        if self.share >= MIN_SHARE and self.has_words:
            return
        instead = f" It has {_some(self.unexpected)} instead." if self.unexpected else ""
        raise UnavailableError(
            f"{where} is not this encoder: {self.num_loaded} of its {self.num_tensors} tensors are there, "
            f"the others would be random. Missing: {_some(self.missing)}.{instead} Save the model itself "
            "with save_pretrained(), not a wrapper around it."
        )


def report_loading(model: Any, loading: Mapping[str, Any], notes: Sequence[str]) -> EncoderReport:
    """Sum up what ``from_pretrained(output_loading_info=True)`` tells.

    Args:
        model: the classifier; everything under its ``base_model_prefix`` is the encoder, the rest the head.
        loading: missing_keys, unexpected_keys, mismatched_keys.
        notes: what was changed in its config.
    """
    shapes = {name: (tuple(old), tuple(new)) for name, old, new in loading["mismatched_keys"]}
    words = next(model.get_input_embeddings().parameters())
    prefix = f"{model.base_model_prefix}."
    names = [name for name in model.state_dict() if name.startswith(prefix)] or list(model.state_dict())
    absent = new_tensors(loading)
    missing = [name for name in names if name in absent]
    misshapen = [name for name in missing if name in shapes]
    parts = {name.removeprefix(prefix).partition(".")[0] for name in names}
    left_over = [
        name
        for name in sorted(loading["unexpected_keys"])
        if name.removeprefix(prefix).partition(".")[0] in parts
    ]
    return EncoderReport(
        num_tensors=len(names),
        num_loaded=len(names) - len(missing),
        missing=tuple(sorted(missing)),
        misshapen=tuple(f"{name} is {shapes[name][0]}, not {shapes[name][1]}" for name in sorted(misshapen)),
        has_words=not any(name in absent for name, tensor in model.named_parameters() if tensor is words),
        left_over=tuple(left_over),
        unexpected=tuple(sorted(loading["unexpected_keys"])),
        notes=tuple(notes),
    )


def new_tensors(loading: Mapping[str, Any]) -> set[str]:
    """Return the names of the tensors that were drawn: absent in the checkpoint, or in another shape."""
    return {*loading["missing_keys"], *(entry[0] for entry in loading["mismatched_keys"])}


def _some(names: Collection[str]) -> str:
    shown = ", ".join(name[:100] for name in list(names)[:MAX_NAMES])
    return shown + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


# ---------------------------------------------------------------- what names the weights of a model


def own_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the state dict of a model as transformers knows it."""
    state = model.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(f"{EXTRA_MODULE}.")}


def weights_sha256(source: PreTrainedModel | Mapping[str, torch.Tensor]) -> str:
    """Return a hash over all weights: name, dtype, shape and bytes, in the order of the names.

    The same for a model, its state dict and the tensors of the folder it was saved to.
    """
    import torch

    safetensors_names = {
        **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
        **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"},
        **{torch.uint8: "U8", torch.bool: "BOOL"},
    }
    state = source if isinstance(source, Mapping) else own_weights(source)
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {safetensors_names[tensor.dtype]} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
