"""What sides answer: on a whole split, as stored or computed now, and to any pairs; and the data of runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.baselines import Baselines, margins_to_logits
from mrpc.app.compare.sides import Both, Side
from mrpc.core.data.pairs import LABEL_NAMES, SentencePair
from mrpc.core.model.stored_predictions import (
    UNLABELLED,
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.recent import Recent
from mrpc.runs.layout import DataRef

if TYPE_CHECKING:
    from mrpc.app.compare.loaded import LoadedSides
    from mrpc.core.data.load import LoadedData


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
            UnavailableError: when they cannot be had now.
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

    def read(self, side: Side, split: str) -> PairPredictions | None:
        """Return what was computed before by these very weights; None if nothing was."""
        if side.kind == "baseline":
            return None
        for path in _stored_paths(side, split):
            try:
                if read_prediction_metadata(path).get("weights_sha256") == side.weights_sha256:
                    return read_predictions(path)
            except UnavailableError:
                continue
        return None

    def read_or_predict(self, side: Side, split: str, on_progress: OnProgress = silent) -> PairPredictions:
        """Return what was computed before, else predict the split and keep the answers.

        Raises:
            UnavailableError: when nothing was stored and the weights are not there.
        """
        if side.kind == "baseline":
            return self._baselines.answers(side, split, on_progress)
        stored = self.read(side, split)
        if stored is not None:
            return stored
        predictor, dataset = self._loaded().get(side), self._shelf.get(side.data).split(split)
        predictions = predictor.predict_dataset(
            dataset, lambda num: on_progress(f"{side.title} answers {split}", num, len(dataset))
        )
        told = {"weights_sha256": side.weights_sha256, "split": split}
        write_predictions(_derived_path(side, split), predictions, told)
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


def _stored_paths(side: Side, split: str) -> list[Path]:
    assert side.run is not None
    paths = side.run.paths
    candidates = [_derived_path(side, split)]
    if split == "validation":
        return [*([paths.validation_predictions(side.epoch)] if side.epoch is not None else []), *candidates]
    return [*(paths.test_predictions(model) for model in ("base", "best", "last")), *candidates]


def _derived_path(side: Side, split: str) -> Path:
    assert side.run is not None
    fingerprint = side.run.config.data.split_fingerprint(split)
    return side.run.paths.derived_predictions(split, side.weights_sha256, fingerprint)
