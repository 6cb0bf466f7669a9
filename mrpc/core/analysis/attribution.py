"""Why a model answers a pair as it does: word attributions, attention, and what a small change would do.

All numbers are about the margin, the logit of equivalent minus that of not equivalent, or about the
probability of equivalent. A function holds the model's lock while the model works.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from mrpc.core.data.pairs import SentencePair
from mrpc.core.model.prediction import MODEL_INPUTS, Predictor, evaluation_mode
from mrpc.core.text.tokenization import TokenRow, encode_pairs, token_rows
from mrpc.core.text.wording import WORD

FloatArray = npt.NDArray[np.float64]

MAX_ERROR = 0.01
"""Gauss-Legendre points are added until the attributions miss the difference by less than this share."""

POINTS_A_PANEL = 8
MAX_POINTS = 512

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
        max_error: what the sum may miss, as a share of the difference.
    """

    words: list[WordAttribution]
    difference: float
    num_points: int
    max_error: float = MAX_ERROR

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
        return self.error < self.max_error

    @property
    def is_last(self) -> bool:
        """Whether no points will be added: it is complete, or they are spent."""
        return self.is_complete or self.num_points >= MAX_POINTS


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
    """Attention between the two sentences in one layer, of one head or averaged over all of them.

    Attributes:
        tokens1: tokens of sentence 1, K of them.
        tokens2: tokens of sentence 2, M of them.
        forth: [K, M], from each token of sentence 1 to each of sentence 2.
        back: [M, K], from sentence 2 to sentence 1.
        forth_by_layer: [L], share of the attention of sentence 1 that goes to sentence 2, in each layer.
        back_by_layer: [L], the same from sentence 2 to sentence 1.
        layer: which layer ``forth`` and ``back`` are of, from 0.
        head: which head of the layer, from 0; None for the mean of all.
        forth_by_head: [L, A], share of the attention of sentence 1 that goes to sentence 2, in each of the A
            heads of each layer.
        back_by_head: [L, A], the same from sentence 2 to sentence 1.
    """

    tokens1: list[str]
    tokens2: list[str]
    forth: FloatArray
    back: FloatArray
    forth_by_layer: FloatArray
    back_by_layer: FloatArray
    layer: int
    head: int | None
    forth_by_head: FloatArray
    back_by_head: FloatArray


def integrated_gradients(
    predictor: Predictor, pair: SentencePair, max_error: float = MAX_ERROR
) -> Iterator[Attribution]:
    """Attribute the margin to the words (Sundararajan et al., ICML 2017), from a pair of padding tokens.

    The path goes from embeddings in which every token but the special ones is padding; positions and
    segments stay. It is cut into panels with a Gauss-Legendre rule each. What a panel should add up to is
    known, the margin at its end minus that at its start, so the worst ones are found and halved and the
    others kept: far fewer points than a finer rule for the whole path. Yields what there is after each
    round, the last when the sum is right to ``max_error`` or ``MAX_POINTS`` are spent. Between two rounds
    others may ask the model.
    """
    with predictor.lock:
        inputs, rows = _encode(predictor, pair)
        keep = torch.tensor([row.is_special for row in rows])
        path = _Path(predictor.model, inputs, keep, predictor.tokenizer.pad_token_id or 0)
        panels = path.measure([(0.0, 0.5), (0.5, 1.0)])
    while True:
        by_token = np.sum([panel.by_token for panel in panels], axis=0).tolist()
        words = _by_word(rows, by_token, (pair.sentence1, pair.sentence2))
        found = Attribution(words, path.margins[1.0] - path.margins[0.0], path.num_points, max_error)
        yield found
        if found.is_last:
            return
        panels.sort(key=lambda panel: panel.error, reverse=True)
        num_bad = _num_to_halve([panel.error for panel in panels], max_error * abs(found.difference))
        halves = []
        for panel in panels[:num_bad]:
            middle = (panel.low + panel.high) / 2
            halves += [(panel.low, middle), (middle, panel.high)]
        with predictor.lock:
            panels = panels[num_bad:] + path.measure(halves)


@dataclass(frozen=True)
class _Panel:
    """A part of the path.

    Attributes:
        low, high: from where to where, in [0, 1].
        by_token: float64 [T], what each token adds to the margin on this part.
        error: how far their sum misses what the margin rises by.
    """

    low: float
    high: float
    by_token: FloatArray
    error: float


class _Path:
    """The straight line from an empty pair to a pair, in the space of the embeddings."""

    def __init__(
        self, model: PreTrainedModel, inputs: dict[str, torch.Tensor], keep: torch.Tensor, pad_id: int
    ) -> None:
        """Bind to a pair.

        Args:
            model: in evaluation mode.
            inputs: of one pair, int64 [1, T] each.
            keep: bool [T], the tokens that the empty pair has as well.
            pad_id: what stands in place of the others.
        """
        ids = inputs["input_ids"]
        with torch.no_grad():
            embed = model.get_input_embeddings()
            self._start = embed(torch.where(keep.to(ids.device), ids, pad_id))
            self._change = embed(ids) - self._start
        self._model = model
        self._rest = {name: tensor for name, tensor in inputs.items() if name != "input_ids"}
        self.margins: dict[float, float] = {}
        self.num_points = 0

    def measure(self, parts: list[tuple[float, float]]) -> list[_Panel]:
        """Integrate over parts of the path, all in one pass through the model."""
        nodes, weights = np.polynomial.legendre.leggauss(POINTS_A_PANEL)
        points = [low + (high - low) * (nodes + 1) / 2 for low, high in parts]
        edges = [
            edge for edge in sorted({edge for part in parts for edge in part}) if edge not in self.margins
        ]
        with evaluation_mode(self._model), _frozen(self._model):
            margins, gradients = self._ask(np.concatenate([*points, edges]))
        num = POINTS_A_PANEL * len(parts)
        self.num_points += num
        self.margins |= zip(edges, margins[num:].tolist(), strict=True)
        panels = []
        for number, (low, high) in enumerate(parts):
            inside = gradients[number * POINTS_A_PANEL : (number + 1) * POINTS_A_PANEL]
            by_token = (high - low) / 2 * weights @ inside
            rise = self.margins[high] - self.margins[low]
            panels.append(_Panel(low, high, by_token, abs(float(by_token.sum()) - rise)))
        return panels

    def _ask(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the margins at K places, float64 [K], and how each token moves them there, [K, T]."""
        margins, slopes = [], []
        for first in range(0, len(places), POINTS_AT_ONCE):
            shares = torch.tensor(places[first : first + POINTS_AT_ONCE]).to(self._start)
            embeddings = (self._start + shares[:, None, None] * self._change).requires_grad_(True)
            repeated = {name: tensor.expand(len(shares), -1) for name, tensor in self._rest.items()}
            logits = self._model(inputs_embeds=embeddings, **repeated).logits
            margin = logits[:, 1] - logits[:, 0]
            (gradient,) = torch.autograd.grad(margin.sum(), embeddings)
            margins.append(margin.detach().double().cpu().numpy())
            slopes.append((gradient * self._change).double().sum(-1).cpu().numpy())
        return np.concatenate(margins), np.concatenate(slopes)


def _num_to_halve(errors: list[float], allowed: float) -> int:
    """Return how many of the errors, the largest first, must go so that half of what is allowed is left."""
    for num in range(1, len(errors)):
        if math.fsum(errors[num:]) <= allowed / 2:
            return num
    return len(errors)


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
    predictor: Predictor, pair: SentencePair, layer: int, head: int | None = None
) -> Attention:
    """Return the attention between the sentences; ``layer`` counts from 0, or from the end if negative.

    ``head`` counts from 0; None is the mean of all heads.
    """
    model = predictor.model
    with predictor.lock, evaluation_mode(model), _eager_attention(model), torch.no_grad():
        inputs, rows = _encode(predictor, pair)
        layers = model(**inputs, output_attentions=True).attentions
    places = [[row.position for row in rows if row.sequence_id == number] for number in (0, 1)]
    heads = torch.stack([attention[0] for attention in layers]).double().cpu().numpy()  # [L, A, T, T]
    layer = range(len(heads))[layer]
    forth, back = (heads[:, :, places[a]][:, :, :, places[b]] for a, b in ((0, 1), (1, 0)))
    shown = slice(None) if head is None else slice(head, head + 1)
    return Attention(
        tokens1=[rows[place].token for place in places[0]],
        tokens2=[rows[place].token for place in places[1]],
        forth=forth[layer, shown].mean(axis=0),
        back=back[layer, shown].mean(axis=0),
        forth_by_layer=_mean_share(forth).mean(axis=1),
        back_by_layer=_mean_share(back).mean(axis=1),
        layer=layer,
        head=head,
        forth_by_head=_mean_share(forth),
        back_by_head=_mean_share(back),
    )


def layers_and_heads(model: PreTrainedModel) -> tuple[int, int]:
    """Return how many layers with attention a model has, and how many heads each of them."""
    return int(model.config.num_hidden_layers), int(model.config.num_attention_heads)


def margin_with_token_types(predictor: Predictor, pair: SentencePair, change: str) -> float | None:
    """Return the margin with other ``token_type_ids``; None for models that have none.

    Args:
        predictor: the classifier.
        pair: what is asked.
        change: "zeroed", as if all were sentence 1, or "swapped", 0 for 1 and 1 for 0.
    """
    assert change in ("zeroed", "swapped"), change
    with predictor.lock, evaluation_mode(predictor.model), torch.inference_mode():
        inputs, _ = _encode(predictor, pair)
        if "token_type_ids" not in inputs:
            return None
        types = inputs["token_type_ids"]
        inputs["token_type_ids"] = torch.zeros_like(types) if change == "zeroed" else 1 - types
        logits = predictor.model(**inputs).logits[0]
    return float(logits[1] - logits[0])


def _encode(predictor: Predictor, pair: SentencePair) -> tuple[dict[str, torch.Tensor], list[TokenRow]]:
    encoded = encode_pairs(predictor.tokenizer, [pair.sentence1], [pair.sentence2], predictor.max_length)
    names = [name for name in MODEL_INPUTS if name in encoded]
    inputs = {name: torch.tensor(encoded[name], device=predictor.model.device) for name in names}
    return inputs, token_rows(predictor.tokenizer, encoded)


def _by_word(rows: list[TokenRow], values: list[float], sentences: tuple[str, str]) -> list[WordAttribution]:
    """Add up the values of the tokens that make up a word."""
    words: list[WordAttribution] = []
    last: tuple[int, int | None] | None = None
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
    """Return the mean over the tokens of what each gives to the other sentence, [L, A]."""
    return np.asarray(attention.sum(axis=3).mean(axis=2))


@contextmanager
def _eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Use eager attention, which alone returns the weights, and go back to the fused kernel afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _frozen(model: PreTrainedModel) -> Iterator[None]:
    """Compute no gradients of the weights: only those of the embeddings are needed."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
