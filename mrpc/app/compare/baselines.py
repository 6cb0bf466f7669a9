"""Baselines fitted on the train split of a run's data, with its checkpoint as the frozen encoder."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrpc.app.compare.sides import Side
from mrpc.core.model.stored_predictions import PairPredictions
from mrpc.progress import OnProgress, silent
from mrpc.recent import Recent

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.app.compare.answers import DataShelf
    from mrpc.core.analysis.baselines import Baseline, Sentences
    from mrpc.core.data.load import LoadedData

NEEDS_ENCODER = frozenset({"embedding", "logistic"})


class Baselines:
    """Fits baselines when they are first asked for. May be used from many threads."""

    def __init__(self, shelf: DataShelf, held: Recent[Any], derived_dir: Path) -> None:
        """Bind to the data.

        Args:
            shelf: gives the data of runs.
            held: where what was fitted is kept in memory.
            derived_dir: where vectors of sentences are kept; may be deleted.
        """
        self._shelf = shelf
        self._derived_dir = derived_dir
        self._held = held
        self._books: Recent[_VectorBook] = Recent(1)
        self._lock = threading.RLock()

    def answers(self, side: Side, split: str, on_progress: OnProgress = silent) -> PairPredictions:
        """Return what a baseline answers on a split."""
        data = self._shelf.get(side.data)

        def answer() -> PairPredictions:
            with self._lock:
                baseline = self._fit(side, data, on_progress)
                dataset = data.split(split)
                if _baseline_name(side) in NEEDS_ENCODER:
                    self._open_book(side).read(split, data, on_progress)
                margins = baseline.margins(list(dataset["sentence1"]), list(dataset["sentence2"]))
                return _as_predictions(margins, dataset)

        return self._held.once(("baseline answers", *self._key(side, data), split), answer)

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
        return self._held.get(("baseline", *self._key(side, self._shelf.get(side.data)))) is not None

    def _key(self, side: Side, data: LoadedData) -> tuple[str, ...]:
        name = _baseline_name(side)
        encoder = _checkpoint_name(side) if name in NEEDS_ENCODER else ""
        return name, data.fingerprint, encoder

    def _fit(self, side: Side, data: LoadedData, on_progress: OnProgress) -> Baseline:
        return self._held.once(
            ("baseline", *self._key(side, data)), lambda: self._fit_anew(side, data, on_progress)
        )

    def _fit_anew(self, side: Side, data: LoadedData, on_progress: OnProgress) -> Baseline:
        from mrpc.core.analysis import baselines

        train = data.dataset["train"]
        labels = np.asarray(train["label"], dtype=np.int64)
        pairs = list(train["sentence1"]), list(train["sentence2"])
        name = _baseline_name(side)
        if name in NEEDS_ENCODER:
            book = self._open_book(side)
            book.read("train", data, on_progress)
        match name:
            case "majority":
                return baselines.Majority.fit(labels)
            case "overlap":
                return baselines.Threshold.fit(baselines.overlap_scores, *pairs, labels)
            case "tfidf":
                score = baselines.TfidfCosine([*pairs[0], *pairs[1]])
                return baselines.Threshold.fit(score, *pairs, labels)
            case "embedding":
                return baselines.Threshold.fit(baselines.embedding_cosine(book), *pairs, labels)
            case _:
                return baselines.LogisticOnVectors(book, *pairs, labels)

    def _open_book(self, side: Side) -> _VectorBook:
        name = _checkpoint_name(side)
        directory = side.context.config.checkpoint_dir if side.context else None
        return self._books.once(name, lambda: _VectorBook(name, directory, self._derived_dir))


class _VectorBook:
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
