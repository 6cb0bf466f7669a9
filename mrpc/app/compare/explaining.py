"""Why both sides answer one pair as they do. Imports torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.answers import Answers, DataShelf
from mrpc.app.compare.sides import Both, Side
from mrpc.app.inputs import check_whole
from mrpc.core.analysis import attribution as att
from mrpc.core.data.pairs import SentencePair
from mrpc.core.model.prediction import FloatArray, Predictor, kept_vectors, nearest
from mrpc.errors import UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.recent import Recent

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.app.compare.loaded import LoadedSides

NUM_LATENCY_CALLS = 5
NUM_NEAREST = 8
AS_TYPED = "as typed"


@dataclass(frozen=True)
class Variation:
    """What one change to the pair does.

    Attributes:
        name: the change, in words.
        probs: of "equivalent", of both sides; None where a model cannot be changed so.
    """

    name: str
    probs: Both[float | None]


@dataclass(frozen=True)
class SideAttribution:
    """What one side's answer rests on, by integrated gradients.

    Attributes:
        side: who answered.
        attribution: its words; None for baselines and exported models, which have no gradients.
        duration_s: how long it took so far.
    """

    side: Side
    attribution: att.Attribution | None
    duration_s: float


@dataclass(frozen=True)
class Neighbour:
    """A training pair near the pair that is looked at.

    Attributes:
        row: its place in train, from 0.
        label: 1 if equivalent.
        cosine: of the two vectors, at most 1.
    """

    row: int
    sentence1: str
    sentence2: str
    label: int
    cosine: float


class Explanations:
    """Looks into answers. May be used from many threads."""

    def __init__(self, answers: Answers, shelf: DataShelf, loaded: LoadedSides) -> None:
        self._answers = answers
        self._shelf = shelf
        self._loaded = loaded
        self._vectors: Recent[FloatArray] = Recent(1)

    def vary(self, sides: Both[Side], pair: SentencePair) -> list[Variation]:
        """Return what swapping the sentences and changing the token types does to both sides."""
        first, second = pair.sentence1, pair.sentence2
        swapped = [first, second], [second, first]
        probs = sides.map(lambda side: self._answers.ask(side, *swapped).prob_equivalent.tolist())
        variations = [
            Variation(name, Both(probs.first[at], probs.second[at]))
            for at, name in enumerate((AS_TYPED, "sentences swapped"))
        ]
        for change in ("zeroed", "swapped"):
            changed = Both(*(self._with_token_types(side, pair, change) for side in sides))
            variations.append(Variation(f"token_type_ids {change}", changed))
        return variations

    def attribute(
        self, side: Side, pair: SentencePair, max_error: float = att.MAX_ERROR
    ) -> Iterator[SideAttribution]:
        """Share out a side's answer among the words; yield it each time that it has become more exact."""
        if not side.is_transparent:
            yield SideAttribution(side, None, 0.0)
            return
        predictor = self._loaded.get(side)
        duration_s, started_at = 0.0, time.perf_counter()
        for attribution in att.integrated_gradients(predictor, pair, max_error):
            duration_s += time.perf_counter() - started_at
            yield SideAttribution(side, attribution, duration_s)
            started_at = time.perf_counter()

    def leave_out(self, side: Side, pair: SentencePair) -> list[att.WordEffect]:
        """Return what leaving out each word does to a side's answer."""
        found, first, second = att.shortened_pairs(pair.sentence1, pair.sentence2)
        answers = self._answers.ask(side, [pair.sentence1, *first], [pair.sentence2, *second])
        return att.word_effects(found, answers.margin)

    def measure_latency(self, side: Side, pair: SentencePair) -> float:
        """Return how long a side takes for this pair, in ms: the middle one of five answers."""
        latencies = []
        for _ in range(NUM_LATENCY_CALLS):
            started_at = time.perf_counter()
            self._answers.ask(side, [pair.sentence1], [pair.sentence2])
            latencies.append((time.perf_counter() - started_at) * 1000)
        return statistics.median(latencies)

    def attend(self, side: Side, pair: SentencePair, layer: object, head: object = None) -> att.Attention:
        """Return the attention between the sentences in one layer.

        Args:
            side: who answers.
            pair: what is answered.
            layer: counted from 1.
            head: of the layer, counted from 1; None for the mean of all.

        Raises:
            InputError: when there is no such layer or head.
            UnavailableError: for a baseline.
        """
        predictor = self._model(side)
        num_layers, num_heads = att.layers_and_heads(predictor.model)
        layer = check_whole(layer, f"The layer of {side.title}", 1, num_layers)
        if head is not None:
            head = check_whole(head, f"The head of {side.title}", 1, num_heads) - 1
        return att.attention_between(predictor, pair, layer - 1, head)

    def layers_and_heads(self, side: Side) -> tuple[int, int]:
        """Return how many layers a side has, and how many heads each; (0, 0) for a baseline."""
        if not side.is_transparent:
            return 0, 0
        return att.layers_and_heads(self._loaded.get(side).model)

    def find_nearest(
        self, side: Side, pair: SentencePair, on_progress: OnProgress = silent
    ) -> list[Neighbour]:
        """Return the training pairs that lie nearest in a model's space.

        The vectors of all training pairs are computed once for each weights, and kept.

        Raises:
            UnavailableError: for a baseline, or when the weights are not there.
        """
        predictor = self._model(side)
        train = self._shelf.get(side.data).dataset["train"]
        vectors = self._train_vectors(side, predictor, train, on_progress)
        query = predictor.embed_pairs([pair.sentence1], [pair.sentence2])[0]
        found = []
        for row, cosine in nearest(query, vectors, NUM_NEAREST):
            of_train = train[row]
            found.append(
                Neighbour(row, of_train["sentence1"], of_train["sentence2"], of_train["label"], cosine)
            )
        return found

    def _train_vectors(
        self, side: Side, predictor: Predictor, train: Dataset, on_progress: OnProgress
    ) -> FloatArray:
        assert side.run is not None
        fingerprint = side.run.config.data.split_fingerprint("train")[:16]
        path = side.run.paths.derived / f"vectors-train-{side.weights_sha256[:16]}-{fingerprint}.npy"

        def embed() -> FloatArray:
            return predictor.embed_pairs(
                list(train["sentence1"]),
                list(train["sentence2"]),
                lambda num: on_progress("Reading the training pairs", num, len(train)),
            )

        return self._vectors.once(path, lambda: kept_vectors(path, len(train), embed))

    def _with_token_types(self, side: Side, pair: SentencePair, change: str) -> float | None:
        if not side.is_transparent:
            return None
        margin = att.margin_with_token_types(self._loaded.get(side), pair, change)
        return None if margin is None else float(np.exp(-np.logaddexp(0.0, -margin)))

    def _model(self, side: Side) -> Predictor:
        if not side.is_transparent:
            raise UnavailableError(f"{side.title} has no layers and no vectors to look into.")
        return self._loaded.get(side)
