"""What a side answered on a whole split: as its run wrote it, as computed before, or computed now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.baselines import Baselines, margins_to_logits
from mrpc.app.compare.shelf import DataShelf
from mrpc.app.compare.sides import Side
from mrpc.app.task import OnProgress, silent
from mrpc.core.model.stored_predictions import (
    UNLABELLED,
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import UnavailableError

if TYPE_CHECKING:
    from mrpc.app.compare.loaded import LoadedSides


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
        loaded = self._loaded().get(side)
        from mrpc.core.model.prediction import predict_dataset

        dataset = self._shelf.get(side.data).split(split)
        predictions = predict_dataset(
            loaded.predictor.model,
            loaded.predictor.tokenizer,
            dataset,
            max_length=loaded.predictor.max_length,
            on_progress=lambda num: on_progress(f"{side.title} answers {split}", num, len(dataset)),
            lock=loaded.predictor.lock,
        )
        write_predictions(
            _derived_path(side, split), predictions, {"weights_sha256": loaded.weights_sha256, "split": split}
        )
        return predictions

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
        num = len(sentence1)
        if side.kind == "baseline":
            logits = margins_to_logits(self._baselines.margins(side, sentence1, sentence2, on_progress))
        else:
            loaded = self._loaded().get(side)
            logits = loaded.predictor.predict(
                list(sentence1),
                list(sentence2),
                lambda done: on_progress(f"{side.title} answers", done, num),
            )
        known = [UNLABELLED if label is None else label for label in labels or [None] * num]
        return PairPredictions(np.arange(num), np.array(known, dtype=np.int64), logits)


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
