"""What names the weights of a model: a hash over all of them, in memory or in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

EXTRA_MODULE = "shared_words"
"""What a model has besides its own weights while it learns a second task; no folder and no hash has it."""


def own_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the state dict of a model as transformers knows it."""
    state = model.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(f"{EXTRA_MODULE}.")}


def weights_sha256(source: PreTrainedModel | Mapping[str, torch.Tensor] | Path) -> str:
    """Return a hash over all weights: name, dtype, shape and bytes, in the order of the names.

    The same for a model, its state dict and the folder it was saved to.
    """
    digest = hashlib.sha256()
    tensors = _folder_tensors(source) if isinstance(source, Path) else _memory_tensors(source)
    for name, dtype, shape, content in tensors:
        digest.update(f"{name} {dtype} {shape}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _memory_tensors(
    source: PreTrainedModel | Mapping[str, torch.Tensor],
) -> Iterator[tuple[str, str, list[int], memoryview]]:
    import torch

    safetensors_names = {
        **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
        **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"},
        **{torch.uint8: "U8", torch.bool: "BOOL"},
    }
    state = source if isinstance(source, Mapping) else own_weights(source)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        content = tensor.reshape(-1).view(torch.uint8).numpy().data
        yield name, safetensors_names[tensor.dtype], list(tensor.shape), content


def _folder_tensors(directory: Path) -> Iterator[tuple[str, str, list[int], bytes]]:
    # The file itself is read, not through torch: a header of JSON, then the bytes of all tensors.
    with (directory / "model.safetensors").open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
        for name in sorted(header.keys() - {"__metadata__"}):
            start, end = header[name]["data_offsets"]
            file.seek(8 + header_bytes + start)
            yield name, header[name]["dtype"], header[name]["shape"], file.read(end - start)
