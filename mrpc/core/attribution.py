"""Why a model answers a pair as it does: word attributions, attention, and what a small change would do.

All numbers are about the margin, the logit of equivalent minus that of not equivalent, or about the
probability of equivalent. Every function expects the model's lock to be held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import IntegratedGradients
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mrpc.core.prediction import MODEL_INPUTS, evaluation_mode
from mrpc.core.tokenization import TokenRow, encode_pairs, token_rows
from mrpc.core.wording import WORD

FloatArray = npt.NDArray[np.float64]

START_POINTS = 16
MAX_POINTS = 512
MAX_ERROR = 0.01
"""Gauss-Legendre points are doubled until the attributions miss the difference by less than this share."""

POINTS_AT_ONCE = 32
MAX_WORDS = 60
"""Words of a sentence that are left out one by one; longer sentences are cut by the model anyway."""


@dataclass(frozen=True)
class WordAttribution:
    """A word of a pair and what it adds to the margin.

    Attributes:
        sentence: 0 for sentence 1, 1 for sentence 2, None for what the tokenizer added.
        text: the word as it is written, or the special token.
        value: its share of the difference between the margin and that of the empty pair.
    """

    sentence: int | None
    text: str
    value: float


@dataclass(frozen=True)
class Attribution:
    """Integrated gradients of one pair.

    Attributes:
        words: in their order.
        difference: margin of the pair minus margin with every word replaced by padding.
        num_points: Gauss-Legendre points on the way between the two.
    """

    words: list[WordAttribution]
    difference: float
    num_points: int

    @property
    def total(self) -> float:
        """The sum over all words; it should be the difference."""
        return math.fsum(word.value for word in self.words)

    @property
    def error(self) -> float:
        """How far the sum misses the difference, as a share of the difference."""
        return abs(self.total - self.difference) / max(abs(self.difference), 1e-12)

    @property
    def is_complete(self) -> bool:
        """Whether the error is small enough to trust."""
        return self.error < MAX_ERROR


@dataclass(frozen=True)
class WordEffect:
    """What leaving one word out does.

    Attributes:
        sentence: 0 or 1.
        text: the word.
        change: probability of equivalent without the word minus with it.
    """

    sentence: int
    text: str
    change: float


@dataclass(frozen=True)
class Attention:
    """Attention between the two sentences in one layer, averaged over its heads.

    Attributes:
        tokens1: tokens of sentence 1, K of them.
        tokens2: tokens of sentence 2, M of them.
        forth: [K, M], from each token of sentence 1 to each of sentence 2.
        back: [M, K], from sentence 2 to sentence 1.
        forth_by_layer: [L], share of the attention of sentence 1 that goes to sentence 2, in each layer.
        back_by_layer: [L], the same from sentence 2 to sentence 1.
        layer: which layer ``forth`` and ``back`` are of, from 0.
    """

    tokens1: list[str]
    tokens2: list[str]
    forth: FloatArray
    back: FloatArray
    forth_by_layer: FloatArray
    back_by_layer: FloatArray
    layer: int


def integrated_gradients(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: str,
    sentence2: str,
    max_length: int = 128,
    max_error: float = MAX_ERROR,
) -> Attribution:
    """Attribute the margin to the words (Sundararajan et al., ICML 2017), from a pair of padding tokens.

    The path goes from embeddings in which every token but the special ones is padding; positions and
    segments stay. Points are doubled until the sum is right to ``max_error``.
    """
    inputs, rows = _encode(model, tokenizer, sentence1, sentence2, max_length)
    embed = model.get_input_embeddings()
    rest = {name: tensor for name, tensor in inputs.items() if name != "input_ids"}
    keep = torch.tensor([row.is_special for row in rows], device=model.device)
    empty_ids = torch.where(keep, inputs["input_ids"], tokenizer.pad_token_id or 0)

    def margin(embeddings: torch.Tensor) -> torch.Tensor:
        repeated = {name: tensor.expand(len(embeddings), -1) for name, tensor in rest.items()}
        logits = model(inputs_embeds=embeddings, **repeated).logits
        return logits[:, 1] - logits[:, 0]

    with evaluation_mode(model), _frozen(model):
        with torch.no_grad():
            full, empty = embed(inputs["input_ids"]), embed(empty_ids)
            difference = float(margin(full) - margin(empty))
        method = IntegratedGradients(margin)
        num_points = START_POINTS
        while True:
            values = method.attribute(
                full,
                empty,
                n_steps=num_points,
                method="gausslegendre",
                internal_batch_size=POINTS_AT_ONCE,
            )
            by_token = values.detach().double().sum(-1)[0].tolist()
            result = Attribution(_by_word(rows, by_token, (sentence1, sentence2)), difference, num_points)
            if result.error < max_error or num_points >= MAX_POINTS:
                return result
            num_points *= 2


def shortened_pairs(sentence1: str, sentence2: str) -> tuple[list[tuple[int, str]], list[str], list[str]]:
    """Return each word with its sentence (0 or 1), and the pairs in which it is left out."""
    found, first, second = [], [], []
    for number, sentence in enumerate((sentence1, sentence2)):
        for match in list(WORD.finditer(sentence))[:MAX_WORDS]:
            without = (sentence[: match.start()].rstrip() + sentence[match.end() :]).strip()
            found.append((number, match.group()))
            first.append(without if number == 0 else sentence1)
            second.append(without if number == 1 else sentence2)
    return found, first, second


def word_effects(found: list[tuple[int, str]], margins: FloatArray) -> list[WordEffect]:
    """Return the effects of words from the margins of the whole pair and of each shortened one."""
    probabilities = np.exp(-np.logaddexp(0.0, -margins))
    return [
        WordEffect(number, text, float(probability - probabilities[0]))
        for (number, text), probability in zip(found, probabilities[1:], strict=True)
    ]


def attention_between(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: str,
    sentence2: str,
    layer: int,
    max_length: int = 128,
) -> Attention:
    """Return the attention between the sentences; ``layer`` counts from 0, or from the end if negative."""
    inputs, rows = _encode(model, tokenizer, sentence1, sentence2, max_length)
    places = [[row.position for row in rows if row.sequence_id == number] for number in (0, 1)]
    with evaluation_mode(model), _eager_attention(model), torch.no_grad():
        layers = model(**inputs, output_attentions=True).attentions
    heads = torch.stack([attention[0].mean(0) for attention in layers]).double().cpu().numpy()  # [L, T, T]
    layer = range(len(heads))[layer]
    forth, back = (heads[:, places[a]][:, :, places[b]] for a, b in ((0, 1), (1, 0)))
    return Attention(
        tokens1=[rows[place].token for place in places[0]],
        tokens2=[rows[place].token for place in places[1]],
        forth=forth[layer],
        back=back[layer],
        forth_by_layer=_mean_share(forth),
        back_by_layer=_mean_share(back),
        layer=layer,
    )


def num_layers(model: PreTrainedModel) -> int:
    """Return how many layers with attention a model has."""
    return int(model.config.num_hidden_layers)


def margin_with_token_types(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: str,
    sentence2: str,
    change: str,
    max_length: int = 128,
) -> float | None:
    """Return the margin with other ``token_type_ids``; None for models that have none.

    Args:
        model: the classifier.
        tokenizer: the one that belongs to it.
        sentence1: the first sentence.
        sentence2: the second sentence.
        change: "zeroed", as if all were sentence 1, or "swapped", 0 for 1 and 1 for 0.
        max_length: longer pairs are cut to this many tokens.
    """
    assert change in ("zeroed", "swapped"), change
    inputs, _ = _encode(model, tokenizer, sentence1, sentence2, max_length)
    if "token_type_ids" not in inputs:
        return None
    types = inputs["token_type_ids"]
    inputs["token_type_ids"] = torch.zeros_like(types) if change == "zeroed" else 1 - types
    with evaluation_mode(model), torch.inference_mode():
        logits = model(**inputs).logits[0]
    return float(logits[1] - logits[0])


def _encode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: str,
    sentence2: str,
    max_length: int,
) -> tuple[dict[str, torch.Tensor], list[TokenRow]]:
    encoded = encode_pairs(tokenizer, [sentence1], [sentence2], max_length)
    names = [name for name in MODEL_INPUTS if name in encoded]
    inputs = {name: torch.tensor(encoded[name], device=model.device) for name in names}
    return inputs, token_rows(tokenizer, encoded)


def _by_word(rows: list[TokenRow], values: list[float], sentences: tuple[str, str]) -> list[WordAttribution]:
    """Add up the values of the tokens that make up a word."""
    words: list[WordAttribution] = []
    last: tuple[Any, Any] | None = None
    start = 0
    for row, value in zip(rows, values, strict=True):
        if row.sequence_id is None:
            words.append(WordAttribution(None, row.token, value))
            last = None
            continue
        here = (row.sequence_id, row.word)
        if here == last and row.word is not None:
            text = sentences[row.sequence_id][start : row.end]
            words[-1] = WordAttribution(row.sequence_id, text, words[-1].value + value)
        else:
            start = row.start
            words.append(WordAttribution(row.sequence_id, sentences[row.sequence_id][start : row.end], value))
        last = here
    return words


def _mean_share(attention: FloatArray) -> FloatArray:
    """Return the mean over the tokens of what each gives to the other sentence, [L]."""
    return np.asarray(attention.sum(axis=2).mean(axis=1))


@contextmanager
def _eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Compute attention in the open, which alone gives the maps; the fused kernel comes back afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _frozen(model: PreTrainedModel) -> Iterator[None]:
    """Ask for no gradients of the weights: only those of the embeddings are wanted."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
