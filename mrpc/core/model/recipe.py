"""What a recipe does to a model before its first step: which weights stay, the pooler's start, a second task.

The second task says of each token whether the other sentence has it, too. An encoder of single sentences
never saw two at once, and 3,668 labels teach it little about looking from one to the other. The pairs
themselves teach it: which words they share is known without any label. A linear layer over the last hidden
states learns it beside the classification, through the same encoder, and is left out of every folder that is
saved. What is shared is a token of the vocabulary, whole or not; [CLS] and [SEP] do not count.

Shapes: B pairs, T padded length, N tokens, W hidden width.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from mrpc.core.model.checkpoint_folder import EXTRA_MODULE
from mrpc.errors import ConfigError

NO_LABEL = -100


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


class SharedWords(nn.Module):
    """The layer that learns the task, and its loss.

    Args of the constructor are the hidden width W, how much the loss counts, and the ids of the tokens that
    are no words.
    """

    def __init__(self, width: int, weight: float, special_ids: list[int]) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 2)
        self._weight = weight
        self._special_ids = special_ids

    def labels(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        """Return 1 for tokens that the other sentence of their pair has, 0 for others, and -100 for no words.

        Args:
            input_ids: int64 [B, T], as the result.
            attention_mask: int64 [B, T], 1 at real tokens.
            token_type_ids: int64 [B, T], which sentence a token is of.
        """
        is_word = attention_mask == 1
        for token_id in self._special_ids:
            is_word &= input_ids != token_id
        is_same = input_ids[:, :, None] == input_ids[:, None, :]
        is_other = token_type_ids[:, :, None] != token_type_ids[:, None, :]
        is_shared = (is_same & is_other & is_word[:, None, :]).any(-1)
        return is_shared.long().masked_fill(~is_word, NO_LABEL)

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss: [N, W] and int64 [N] to the mean cross-entropy of words, in nats."""
        total = F.cross_entropy(self.dense(hidden).float(), labels, ignore_index=NO_LABEL, reduction="sum")
        return self._weight * total / (labels != NO_LABEL).sum().clamp(min=1)


def add_shared_words(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, weight: float
) -> SharedWords:
    """Give a model the layer of the second task, where checkpoints and optimizers find it.

    Raises:
        ConfigError: the model is not told which sentence a token is of.
    """
    if "token_type_ids" not in tokenizer.model_input_names:
        raise ConfigError(
            f"shared_words_weight is {weight:g}, but a {type(model).__name__} is not told which sentence a "
            "token is of; use 0."
        )
    special_ids = [int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)]
    task = SharedWords(model.config.hidden_size, weight, special_ids).to(model.device)
    model.add_module(EXTRA_MODULE, task)
    return task


def learn_shared_words(model: PreTrainedModel, task: SharedWords) -> None:
    """Make the ``loss`` of ``model(...)`` the sum of both tasks in training; evaluation stays as it is."""
    classify: Any = model.forward

    @functools.wraps(classify)
    def forward(**inputs: Any) -> SequenceClassifierOutput:
        if not model.training:
            return cast("SequenceClassifierOutput", classify(**inputs))
        outputs = classify(**inputs, output_hidden_states=True)
        labels = task.labels(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
        loss = outputs.loss + task(outputs.hidden_states[-1].flatten(0, 1), labels.flatten())
        return SequenceClassifierOutput(loss=loss, logits=outputs.logits)

    model.forward = forward
