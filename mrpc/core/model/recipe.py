"""What a recipe does to a model before its first step: which weights stay, and how the pooler begins."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from mrpc.errors import ConfigError


def freeze(model: PreTrainedModel, word_embeddings: bool, num_layers: int) -> None:
    """Keep weights as they are: no gradient is computed for them, and no optimizer moves them.

    Args:
        model: a classifier of any of the checkpoints.
        word_embeddings: whether the table of word embeddings stays.
        num_layers: how many of the lowest encoder layers stay; then all embeddings below them do, too.

    Raises:
        ConfigError: the encoder has no more than ``num_layers`` layers.
    """
    if word_embeddings:
        model.get_input_embeddings().requires_grad_(False)
    if num_layers == 0:
        return
    encoder: Any = model.base_model
    layers = next(module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    if num_layers >= len(layers):
        raise ConfigError(
            f"freeze_layers is {num_layers}, but this encoder has {len(layers)} layers; "
            f"at most {len(layers) - 1} can be frozen."
        )
    for module in (encoder.embeddings, *layers[:num_layers]):
        module.requires_grad_(False)


def start_pooler_as_identity(model: PreTrainedModel) -> list[str]:
    """Let a BERT's pooler begin as ``tanh(x)`` of [CLS]; return the names of the tensors that this sets.

    Raises:
        ConfigError: the model has no such pooler.
    """
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is None or not isinstance(getattr(pooler, "dense", None), nn.Linear):
        raise ConfigError(
            f"pooler_start is identity, but a {type(model).__name__} has no pooler; use checkpoint."
        )
    with torch.no_grad():
        nn.init.eye_(pooler.dense.weight)
        nn.init.zeros_(pooler.dense.bias)
    prefix = f"{model.base_model_prefix}.pooler.dense"
    return [f"{prefix}.bias", f"{prefix}.weight"]
