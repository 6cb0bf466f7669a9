"""Why both sides answer one pair as they do. Imports torch."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.shelf import DataShelf, split_fingerprint
from mrpc.app.compare.sides import Side
from mrpc.app.compare.vectors import read_vectors, write_vectors
from mrpc.app.progress import Report, ShouldStop, never, silent
from mrpc.core.analysis import attribution as att
from mrpc.core.analysis.embeddings import embed_pairs, nearest
from mrpc.core.data.pairs import SentencePair
from mrpc.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from mrpc.app.compare.loaded import LoadedSide, LoadedSides

NUM_LATENCY_CALLS = 5
NUM_NEAREST = 8
AS_TYPED = "as typed"


@dataclass(frozen=True)
class Variation:
    """What one change to the pair does.

    Attributes:
        name: the change, in words.
        left: probability of "equivalent" on the left; None where the model cannot be changed so.
        right: the same on the right.
    """

    name: str
    left: float | None
    right: float | None


@dataclass(frozen=True)
class SideAttribution:
    """What one side's answer rests on, by integrated gradients.

    Attributes:
        side: who answered.
        attribution: its words; None for baselines, which have no gradients.
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
        self._vectors: tuple[Path, np.ndarray] | None = None
        self._lock = threading.Lock()

    def vary(self, left: Side, right: Side, pair: SentencePair) -> list[Variation]:
        """Return what swapping the sentences and changing the token types does to both sides."""
        first, second = pair.sentence1, pair.sentence2
        both = [self._answers.ask(side, [first, second], [second, first]) for side in (left, right)]
        probabilities = [answer.prob_equivalent.tolist() for answer in both]
        variations = [
            Variation(name, probabilities[0][at], probabilities[1][at])
            for at, name in enumerate((AS_TYPED, "sentences swapped"))
        ]
        for change in ("zeroed", "swapped"):
            changed = [self._with_token_types(side, pair, change) for side in (left, right)]
            variations.append(Variation(f"token_type_ids {change}", *changed))
        return variations

    def attribute(self, side: Side, pair: SentencePair) -> Iterator[SideAttribution]:
        """Share out a side's answer among the words; yield it each time that it has become more exact."""
        if side.kind == "baseline":
            yield SideAttribution(side, None, 0.0)
            return
        predictor = self._loaded.get(side).predictor
        rounds = att.integrated_gradients(
            predictor.model, predictor.tokenizer, pair.sentence1, pair.sentence2, predictor.max_length
        )
        duration_s = 0.0
        while True:
            with predictor.lock:  # between two rounds others may ask
                started_at = time.perf_counter()
                attribution = next(rounds, None)
                duration_s += time.perf_counter() - started_at
            if attribution is None:
                return
            yield SideAttribution(side, attribution, duration_s)

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

    def attend(self, side: Side, pair: SentencePair, layer: object) -> att.Attention:
        """Return the attention between the sentences in one layer, counted from 1.

        Raises:
            InputError: when there is no such layer.
            UnavailableError: for a baseline.
        """
        loaded = self._model(side)
        model, tokenizer = loaded.predictor.model, loaded.predictor.tokenizer
        most = att.num_layers(model)
        if (
            isinstance(layer, bool)
            or not isinstance(layer, int | float)
            or layer % 1
            or not 1 <= layer <= most
        ):
            raise InputError(f"The layer is {str(layer)[:40]!r}; {side.title} has layers 1 to {most}.")
        with loaded.predictor.lock:
            return att.attention_between(
                model,
                tokenizer,
                pair.sentence1,
                pair.sentence2,
                int(layer) - 1,
                loaded.predictor.max_length,
            )

    def num_layers(self, side: Side) -> int:
        """Return how many layers a side has; 0 for a baseline."""
        return 0 if side.kind == "baseline" else att.num_layers(self._loaded.get(side).predictor.model)

    def find_nearest(
        self, side: Side, pair: SentencePair, report: Report = silent, should_stop: ShouldStop = never
    ) -> list[Neighbour]:
        """Return the training pairs that lie nearest in a model's space.

        The vectors of all training pairs are computed once for each weights, and kept.

        Raises:
            UnavailableError: for a baseline, or when the weights are not there.
        """
        loaded = self._model(side)
        train = self._shelf.get(side.data).dataset["train"]
        vectors = self._train_vectors(side, loaded, report, should_stop)
        with loaded.predictor.lock:
            query = embed_pairs(
                loaded.predictor.model,
                loaded.predictor.tokenizer,
                [pair.sentence1],
                [pair.sentence2],
                loaded.predictor.max_length,
            )[0]
        found = []
        for row, cosine in nearest(query, vectors, NUM_NEAREST):
            of_train = train[row]
            found.append(
                Neighbour(row, of_train["sentence1"], of_train["sentence2"], of_train["label"], cosine)
            )
        return found

    def _train_vectors(
        self, side: Side, loaded: LoadedSide, report: Report, should_stop: ShouldStop
    ) -> np.ndarray:
        assert side.run is not None
        data = self._shelf.get(side.data)
        fingerprint = split_fingerprint(side.run.config.data, "train")[:16]
        path = side.run.paths.derived / f"vectors-train-{side.weights_sha256[:16]}-{fingerprint}.npy"
        with self._lock:
            if self._vectors is not None and self._vectors[0] == path:
                return self._vectors[1]
            train = data.dataset["train"]
            vectors = read_vectors(path, len(train))
            if vectors is None:
                with loaded.predictor.lock:
                    vectors = embed_pairs(
                        loaded.predictor.model,
                        loaded.predictor.tokenizer,
                        list(train["sentence1"]),
                        list(train["sentence2"]),
                        loaded.predictor.max_length,
                        on_progress=lambda num: report("Placing the training pairs", num, len(train)),
                        should_stop=should_stop,
                    )
                write_vectors(path, vectors)
            self._vectors = path, vectors
            return vectors

    def _with_token_types(self, side: Side, pair: SentencePair, change: str) -> float | None:
        if side.kind == "baseline":
            return None
        predictor = self._loaded.get(side).predictor
        with predictor.lock:
            margin = att.margin_with_token_types(
                predictor.model,
                predictor.tokenizer,
                pair.sentence1,
                pair.sentence2,
                change,
                predictor.max_length,
            )
        return None if margin is None else float(np.exp(-np.logaddexp(0.0, -margin)))

    def _model(self, side: Side) -> LoadedSide:
        if side.kind == "baseline":
            raise UnavailableError(f"A {side.title} has no layers and no space to look into.")
        return self._loaded.get(side)
