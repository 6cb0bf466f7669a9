"""What sides answer: on a whole split, as stored or computed now, and to any pairs.

Models answer with their weights; baselines are fitted on the train split of a run's data, with its checkpoint
as the frozen encoder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.sides import Both, Side
from mrpc.core.data.pairs import LABEL_NAMES, SentencePair
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.progress import OnProgress, silent
from mrpc.publish.answers import find_answers, keep_answers
from mrpc.recent import Recent
from mrpc.runs.layout import DataRef

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.app.compare.loaded import LoadedSides
    from mrpc.core.analysis.baselines import Baseline, Sentences
    from mrpc.core.data.load import LoadedData

NEEDS_ENCODER = frozenset({"embedding", "logistic"})
"""Baselines that read sentences with the encoder."""

MAX_FITTED = 20
"""Fitted baselines that are kept in memory; of each also its answers to both splits."""


@dataclass(frozen=True)
class PairAnswer:
    """What one side says to one pair.

    Attributes:
        side: who answered.
        label: "equivalent" or "not_equivalent".
        prob_equivalent: in [0, 1].
        latency_ms: how long the answer took, tokenizing included.
    """

    side: Side
    label: str
    prob_equivalent: float
    latency_ms: float

    def as_dict(self) -> dict[str, object]:
        """Return a plain object for scripts."""
        return {
            "label": self.label,
            "prob_equivalent": self.prob_equivalent,
            "checkpoint": self.side.checkpoint,
            "step": self.side.step,
            "weights_sha256": self.side.weights_sha256,
        }


class DataShelf:
    """The data of runs: the app's own where it is the same, else loaded as the run names it."""

    def __init__(self, app_data: Callable[[], LoadedData]) -> None:
        self._app_data = app_data
        self._other: Recent[LoadedData] = Recent(1)

    def get(self, ref: DataRef | None) -> LoadedData:
        """Return the data of a run; the app's own for None.

        Raises:
            DataError: when the rows changed since the run.
            UnavailableError: when they are not available.
        """
        data = self._app_data()
        if ref is None or data.fingerprint == ref.fingerprint:
            return data
        from mrpc.core.data.load import load_again

        what = ref.kind, ref.data_dir, ref.columns, ref.fingerprint
        return self._other.once(ref.fingerprint, lambda: load_again(*what))

    def of(self, sides: Both[Side]) -> LoadedData:
        """Return the data that two sides are compared on: see :meth:`get`."""
        return self.get(sides.second.data or sides.first.data)

    def label(self, sides: Both[Side], pair: SentencePair) -> int | None:
        """Return what the corpus says of a pair; None for a pair that is not in the sides' data."""
        data = self.of(sides)
        found = data.find(pair.sentence1, pair.sentence2)
        label = UNLABELLED if found is None else data.split(found[0])[found[1]]["label"]
        return None if label == UNLABELLED else label


class Answers:
    """Finds or computes what sides answer. May be used from many threads."""

    def __init__(self, shelf: DataShelf, baselines: Baselines, loaded: Callable[[], LoadedSides]) -> None:
        self._shelf = shelf
        self._baselines = baselines
        self._loaded = loaded

    def read_or_predict(self, side: Side, split: str, on_progress: OnProgress = silent) -> PairPredictions:
        """Return what was computed before, else predict the split and keep the answers.

        Raises:
            UnavailableError: when nothing was stored and the weights are not there.
        """
        if side.run is None:
            return self._baselines.answers(side, split, on_progress)
        stored = find_answers(side.run, split, side.weights_sha256, side.epoch)
        if stored is not None:
            return stored
        predictor, dataset = self._loaded().get(side), self._shelf.get(side.data).split(split)
        predictions = predictor.predict_dataset(
            dataset, lambda num: on_progress(f"{side.title} answers {split}", num, len(dataset))
        )
        keep_answers(side.run, split, side.weights_sha256, predictions)
        return predictions

    def ask_one(self, side: Side, pair: SentencePair) -> PairAnswer:
        """Answer one pair now, and say how long that took, without loading the model.

        Raises:
            UnavailableError: when the side's weights are not there.
        """
        if side.kind != "baseline":
            self._loaded().get(side)
        started_at = time.perf_counter()
        answer = self.ask(side, [pair.sentence1], [pair.sentence2])
        latency_ms = (time.perf_counter() - started_at) * 1000
        label = LABEL_NAMES[int(answer.predicted[0])]
        return PairAnswer(side, label, float(answer.prob_equivalent[0]), latency_ms)

    def ask(
        self,
        side: Side,
        sentence1: Sequence[str],
        sentence2: Sequence[str],
        labels: Sequence[int | None] | None = None,
        on_progress: OnProgress = silent,
    ) -> PairPredictions:
        """Answer any pairs now.

        Args:
            side: who is asked.
            sentence1: N first sentences.
            sentence2: N second sentences.
            labels: N right answers, None where nobody knows.
            on_progress: told how far it is.

        Raises:
            UnavailableError: when the side's weights are not there.
        """
        if side.kind == "baseline":
            logits = margins_to_logits(self._baselines.margins(side, sentence1, sentence2, on_progress))
        else:
            predictor, what = self._loaded().get(side), f"{side.title} answers"
            logits = predictor.predict(
                sentence1, sentence2, lambda done: on_progress(what, done, len(sentence1))
            )
        known = [UNLABELLED if label is None else label for label in labels or [None] * len(sentence1)]
        return PairPredictions(np.arange(len(known)), np.array(known, dtype=np.int64), logits)


class Baselines:
    """Fits baselines when they are first asked for. May be used from many threads."""

    def __init__(self, shelf: DataShelf, derived_dir: Path) -> None:
        """Bind to the data.

        Args:
            shelf: gives the data of runs.
            derived_dir: where vectors of sentences are kept; may be deleted.
        """
        self._shelf = shelf
        self._derived_dir = derived_dir
        self._fitted: Recent[Baseline] = Recent(MAX_FITTED)
        self._answered: Recent[PairPredictions] = Recent(2 * MAX_FITTED)
        self._vectors: Recent[_VectorCache] = Recent(1)
        self._lock = threading.RLock()

    def answers(self, side: Side, split: str, on_progress: OnProgress = silent) -> PairPredictions:
        """Return what a baseline answers on a split."""
        data = self._shelf.get(side.data)

        def answer() -> PairPredictions:
            with self._lock:
                baseline = self._fit(side, data, on_progress)
                dataset = data.split(split)
                if _baseline_name(side) in NEEDS_ENCODER:
                    self._open_vectors(side).read(split, data, on_progress)
                margins = baseline.margins(list(dataset["sentence1"]), list(dataset["sentence2"]))
                return _as_predictions(margins, dataset)

        return self._answered.once((*self._key(side, data), split), answer)

    def margins(
        self,
        side: Side,
        sentence1: Sentences,
        sentence2: Sentences,
        on_progress: OnProgress = silent,
    ) -> np.ndarray:
        """Return a baseline's margins on any pairs, float64 [N]."""
        with self._lock:
            baseline = self._fit(side, self._shelf.get(side.data), on_progress)
            return baseline.margins(sentence1, sentence2)

    def is_quick(self, side: Side) -> bool:
        """Tell whether a baseline answers without reading sentences with the encoder first."""
        if _baseline_name(side) not in NEEDS_ENCODER:
            return True
        return self._fitted.get(self._key(side, self._shelf.get(side.data))) is not None

    def _key(self, side: Side, data: LoadedData) -> tuple[str, ...]:
        name = _baseline_name(side)
        encoder = _checkpoint_name(side) if name in NEEDS_ENCODER else ""
        return name, data.fingerprint, encoder

    def _fit(self, side: Side, data: LoadedData, on_progress: OnProgress) -> Baseline:
        return self._fitted.once(self._key(side, data), lambda: self._fit_anew(side, data, on_progress))

    def _fit_anew(self, side: Side, data: LoadedData, on_progress: OnProgress) -> Baseline:
        from mrpc.core.analysis import baselines

        train = data.dataset["train"]
        labels = np.asarray(train["label"], dtype=np.int64)
        pairs = list(train["sentence1"]), list(train["sentence2"])
        name = _baseline_name(side)
        if name in NEEDS_ENCODER:
            vectors = self._open_vectors(side)
            vectors.read("train", data, on_progress)
        match name:
            case "majority":
                return baselines.Majority.fit(labels)
            case "overlap":
                return baselines.Threshold.fit(baselines.overlap_scores, *pairs, labels)
            case "tfidf":
                score = baselines.TfidfCosine([*pairs[0], *pairs[1]])
                return baselines.Threshold.fit(score, *pairs, labels)
            case "embedding":
                return baselines.Threshold.fit(baselines.embedding_cosine(vectors), *pairs, labels)
            case _:
                return baselines.LogisticOnVectors(vectors, *pairs, labels)

    def _open_vectors(self, side: Side) -> _VectorCache:
        name = _checkpoint_name(side)
        directory = side.context.config.checkpoint_dir if side.context else None
        return self._vectors.once(name, lambda: _VectorCache(name, directory, self._derived_dir))


class _VectorCache:
    """Vectors of sentences by a frozen encoder; those of whole splits are kept on disk."""

    def __init__(self, checkpoint_name: str, checkpoint_dir: Path | None, derived_dir: Path) -> None:
        from mrpc.core.model.classifier import load_classifier
        from mrpc.core.model.prediction import Predictor
        from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained

        self._checkpoint = resolve_pretrained(checkpoint_name, checkpoint_dir)
        model = load_classifier(self._checkpoint, seed=0).model
        self._encoder = Predictor(model, load_tokenizer(self._checkpoint))
        self._derived_dir = derived_dir
        self._rows: dict[str, np.ndarray] = {}
        self._splits: set[str] = set()

    def read(self, split: str, data: LoadedData, on_progress: OnProgress) -> None:
        """Have the vectors of all sentences of a split, from disk or computed and kept there."""
        from mrpc.core.model.prediction import kept_vectors

        fingerprint = data.split_fingerprints.get(split, "")
        if fingerprint in self._splits:
            return
        dataset = data.split(split)
        sentences = [*dataset["sentence1"], *dataset["sentence2"]]
        path = self._derived_dir / f"vectors-{self._checkpoint.sha256[:16]}-{fingerprint}.npy"
        what = f"Reading the sentences of {split}"
        vectors = kept_vectors(path, len(sentences), lambda: self._embed(sentences, what, on_progress))
        self._rows.update(zip(sentences, vectors, strict=True))
        self._splits.add(fingerprint)

    def __call__(self, sentences: Sentences) -> np.ndarray:
        """Return vectors of length 1, float32 [N, H]."""
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._rows]
        found = self._rows
        if new:
            vectors = self._embed(new, "", silent)
            known = {sentence: self._rows[sentence] for sentence in sentences if sentence in self._rows}
            found = known | dict(zip(new, vectors, strict=True))
        return np.stack([found[sentence] for sentence in sentences])

    def _embed(self, sentences: Sentences, what: str, on_progress: OnProgress) -> np.ndarray:
        return self._encoder.embed_sentences(sentences, lambda num: on_progress(what, num, len(sentences)))


def _as_predictions(margins: np.ndarray, dataset: Dataset) -> PairPredictions:
    return PairPredictions(
        idx=np.asarray(dataset["idx"], dtype=np.int64),
        label=np.asarray(dataset["label"], dtype=np.int64),
        logits=margins_to_logits(margins),
    )


def margins_to_logits(margins: np.ndarray) -> np.ndarray:
    """Return logits, float32 [N, 2], whose difference are the margins."""
    return np.stack([-margins / 2, margins / 2], axis=1).astype(np.float32)


def _baseline_name(side: Side) -> str:
    assert side.kind == "baseline", side.name
    return side.name.removeprefix("baseline:")


def _checkpoint_name(side: Side) -> str:
    return side.context.config.hyperparameters.checkpoint if side.context else ""
