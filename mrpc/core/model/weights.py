"""What names the weights of a model: a hash over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
