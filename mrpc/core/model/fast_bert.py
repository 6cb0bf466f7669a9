"""A cheaper forward pass for a plain ``BertForSequenceClassification`` on a CPU.

:func:`use_fast_forward` replaces a model's own with it. The parameters stay where they are: the
``state_dict`` is that of transformers, gradients land in the model's own tensors, and ``save_pretrained``
writes a plain folder. The result is exact: the same sums in another order. What makes it cheaper:

* linear layers, norms and dropout work on the N real tokens of a batch; only attention sees its padding;
* the head reads nothing but [CLS], so the last layer computes queries, output and feed-forward for it alone,
  unless a second task asks about all tokens;
* dropout masks come from a :class:`DropoutStream`;
* of the word embeddings only the rows that the data uses are trained, see :class:`UsedRows`.

In bfloat16 the products of the encoder take and give it in training: each weight is converted once a forward
pass. Sums over layers, norms, softmax, dropout, head and loss stay in float32, and so does all of evaluation.

Shapes: B pairs, T padded length, N real tokens, N <= B T, H heads, D width of a head, W = H D, C classes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from mrpc.core.model.recipe import SharedWords

LANES = 1 << 16
"""What a 16-bit lane of the dropout's random stream can be."""

USED_ROWS = "used_rows"
"""The name of the trained rows among the parameters of the table."""


def why_not_fast(model: PreTrainedModel) -> str:
    """Return why :class:`FastForward` does not fit a model, or "" when it does."""
    config = model.config
    if type(model).__name__ != "BertForSequenceClassification":
        return f"it is made for BERT, and this is a {type(model).__name__}"
    if (
        config.hidden_act != "gelu"
        or config.is_decoder
        or config.problem_type not in (None, "single_label_classification")
    ):
        return "this BERT is built in an unusual way"
    if model.device.type != "cpu":
        return f"it is made for a CPU, and this model is on {model.device.type}"
    return ""


def use_fast_forward(
    model: PreTrainedModel,
    dropout: DropoutStream,
    token_ids: torch.Tensor | None = None,
    task: SharedWords | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Make ``model(...)`` compute the same by :class:`FastForward`.

    Args:
        model: one for which :func:`why_not_fast` returns "".
        dropout: draws the masks.
        token_ids: the ids in the training data, each once, where only their embeddings are to be trained.
        task: a second one that the model learns.
        dtype: of the encoder's matrix products in training, float32 or bfloat16.
    """
    table: Any = model.get_input_embeddings()
    words = None if token_ids is None else UsedRows(table, token_ids)
    model.forward = FastForward(model, dropout, words, task, dtype)


class FastForward:
    """The forward pass of a ``BertForSequenceClassification``, called in its place.

    Attributes:
        dropout: draws the masks while the model is in training mode.
        words: looks word embeddings up where only some rows are trained; None takes the table.
        task: a second one that is learned beside the classification.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        dropout: DropoutStream,
        words: UsedRows | None = None,
        task: SharedWords | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        assert not why_not_fast(model), why_not_fast(model)
        self._model: Any = model
        self.dropout = dropout
        self.words = words
        self.task = task
        self._dtype = dtype

    def __call__(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            input_ids: int64 [B, T], padded on the right.
            attention_mask: int64 [B, T], 1 at real tokens.
            token_type_ids: int64 [B, T].
            labels: int64 [B].

        Returns:
            ``logits`` [B, C] and, with labels, ``loss``: the mean cross-entropy in nats; in training that
            of the second task is added.
        """
        num_pairs, length = input_ids.shape
        rows = self._rows(attention_mask)  # [N]
        hidden = self._embed(input_ids.reshape(-1)[rows], token_type_ids.reshape(-1)[rows], rows % length)
        padding = self._padding(attention_mask, hidden.dtype)
        *blocks, last = self._model.bert.encoder.layer
        first = torch.searchsorted(rows, torch.arange(num_pairs) * length)  # [B] the places of [CLS] in N
        for block in blocks:
            hidden = self._layer(block, hidden, rows, (num_pairs, length), padding)
        task = self.task if self._model.training else None
        hidden = self._layer(  # [B, W], or [N, W] where all tokens are asked about
            last, hidden, rows, (num_pairs, length), padding, None if task else first
        )
        pooled = torch.tanh(self._model.bert.pooler.dense(hidden[first] if task else hidden))
        logits = self._model.classifier(self._drop(pooled, self._model.dropout.p))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        if task is not None and loss is not None:
            shared = task.labels(input_ids, attention_mask, token_type_ids)
            loss = loss + task(hidden, shared.reshape(-1)[rows])
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _drop(self, x: torch.Tensor, p: float) -> torch.Tensor:
        return self.dropout.apply(x, p) if self._model.training else x

    def _linear(self, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        if self._dtype is torch.float32 or not self._model.training:
            return layer(x)
        return F.linear(x.to(self._dtype), layer.weight.to(self._dtype), layer.bias.to(self._dtype))

    def _rows(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the places of the N real tokens in B T, ascending."""
        return attention_mask.reshape(-1).nonzero().squeeze(1)

    def _padding(self, attention_mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
        """Return what to add to the attention scores, [B, 1, 1, T]: the lowest number at padding."""
        padded = attention_mask[:, None, None, :] == 0
        if not padded.any():
            return None
        return torch.zeros(padded.shape, dtype=dtype).masked_fill_(padded, torch.finfo(dtype).min)

    def _embed(self, ids: torch.Tensor, types: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Three times [N] -> [N, W]."""
        layer = self._model.bert.embeddings
        words = layer.word_embeddings(ids) if self.words is None else self.words(ids, self._model.training)
        hidden = words + layer.token_type_embeddings(types)
        hidden = layer.LayerNorm(hidden + layer.position_embeddings(positions))
        return self._drop(hidden, layer.dropout.p)

    def _layer(
        self,
        block: nn.Module,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        shape: tuple[int, int],
        padding: torch.Tensor | None,
        first: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One encoder layer, [N, W] -> [N, W]; with ``first`` (where [CLS] is) for those alone -> [B, W]."""
        layer: Any = block
        attention, output = layer.attention, layer.output
        source = hidden if first is None else hidden[first]
        context = self._attend(attention.self, source, hidden, rows, shape, padding)
        context = self._linear(attention.output.dense, context).to(source.dtype)
        source = attention.output.LayerNorm(source + self._drop(context, attention.output.dropout.p))
        inner = F.gelu(self._linear(layer.intermediate.dense, source))
        inner = self._linear(output.dense, inner).to(source.dtype)
        return output.LayerNorm(source + self._drop(inner, output.dropout.p))

    def _attend(
        self,
        attention: Any,
        source: torch.Tensor,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        shape: tuple[int, int],
        padding: torch.Tensor | None,
    ) -> torch.Tensor:
        """Let ``source`` ([N, W], or [B, W] of [CLS]) look at all tokens of its pair -> like ``source``."""
        num_pairs, length = shape
        heads, width = attention.num_attention_heads, attention.attention_head_size

        def split(x: torch.Tensor) -> torch.Tensor:  # [N or B, W] -> [B, H, T or 1, D]
            if len(x) == len(rows) < num_pairs * length:
                x = x.new_zeros(num_pairs * length, heads * width).index_copy(0, rows, x)
            return x.view(num_pairs, -1, heads, width).transpose(1, 2)

        query = split(self._linear(attention.query, source) * (1.0 / math.sqrt(width)))
        scores = (query @ split(self._linear(attention.key, hidden)).transpose(2, 3)).to(source.dtype)
        scores = scores if padding is None else scores + padding
        weights = self._drop(scores.softmax(-1), attention.dropout.p)  # [B, H, T or 1, T]
        context = weights.to(query.dtype) @ split(self._linear(attention.value, hidden))
        context = context.transpose(1, 2).reshape(-1, heads * width)  # [B T or B, W]
        return context if len(context) == len(source) else context.index_select(0, rows)


class DropoutStream:
    """Draws dropout masks from a fast random stream that a checkpoint can hold.

    No global random state is touched: an evaluation between two steps cannot shift later masks, and a resumed
    run that puts the state back draws the very same ones.

    torch's ``bernoulli_``, the heart of ``F.dropout``, takes 5 to 8 ns an element on one AMD core and does
    not use a second one. Here 64 raw bits of numpy's SFC64 decide on four elements: each 16-bit lane is
    compared with a threshold, about 0.6 ns an element. The draws are independent as before; the probability
    is rounded to a multiple of 1/65536 (0.1 becomes 0.100006), and the kept elements are scaled by what was
    really drawn, so that the expectation stays exact.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.SFC64(seed)

    def apply(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Return ``x`` with each element zeroed with probability ``p``, the others scaled by 1 / (1 - p).

        Args:
            x: float tensor of any shape, on the CPU.
            p: in [0, 1).
        """
        if p == 0.0:
            return x
        num_dropped = min(round(p * LANES), LANES - 1)
        num = x.numel()
        lanes = self._bits.random_raw(math.ceil(num / 4)).view(np.int16)[:num]
        mask = torch.empty(num, dtype=x.dtype)
        torch.ge(torch.from_numpy(lanes), num_dropped - LANES // 2, out=mask)  # 1.0 where kept
        return x * mask.mul_(LANES / (LANES - num_dropped)).view(x.shape)

    def state_dict(self) -> dict[str, object]:
        """Return the state as plain integers."""
        state = self._bits.state
        words = [int(word) for word in state["state"]["state"]]
        return {"words": words, "has_uint32": int(state["has_uint32"]), "uinteger": int(state["uinteger"])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._bits.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["words"], dtype=np.uint64)},
            "has_uint32": state["has_uint32"],
            "uinteger": state["uinteger"],
        }


class UsedRows:
    """Trains only those word embeddings that the training data can touch.

    MRPC uses two fifths of BERT's 30,522 words. The others never get a gradient, so AdamW without weight
    decay leaves them as they are; a dense table still costs their gradient, their part of the norm and their
    step. Here the used rows are a parameter of their own, and the table is brought up to date when somebody
    looks at it: in evaluation, in a ``state_dict`` or in a saved folder. What is computed is the same.

    Args of the constructor are the table, which keeps its name and shape in every ``state_dict``, and the
    token ids of the training data, int64 [R], each once.
    """

    def __init__(self, table: nn.Embedding, token_ids: torch.Tensor) -> None:
        self._table = table
        self._ids = token_ids
        self._places = torch.full((table.num_embeddings,), -1).index_copy(
            0, token_ids, torch.arange(len(token_ids))
        )
        self._is_ahead = False
        table.weight.requires_grad_(False)
        self._rows = nn.Parameter(table.weight.detach()[token_ids].clone())  # [R, W]
        table.register_parameter(USED_ROWS, self._rows)
        table.register_state_dict_post_hook(partial(self._leave_out))  # torch marks it, a method it cannot
        table.register_load_state_dict_pre_hook(self._take_over)

    def __call__(self, input_ids: torch.Tensor, training: bool) -> torch.Tensor:
        """Look words up: [N] -> [N, W]; in training all of them must be in the training data."""
        if training:
            self._is_ahead = True
            return F.embedding(self._places[input_ids], self._rows)
        self._bring_up_to_date()
        return F.embedding(input_ids, self._table.weight)

    def _bring_up_to_date(self) -> None:
        if self._is_ahead:
            with torch.no_grad():
                self._table.weight[self._ids] = self._rows
            self._is_ahead = False

    def _leave_out(self, table: nn.Module, state: dict[str, object], prefix: str, metadata: object) -> None:
        self._bring_up_to_date()
        del state[prefix + USED_ROWS]

    def _take_over(self, table: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        state[prefix + USED_ROWS] = state[prefix + "weight"][self._ids]
        self._is_ahead = False
