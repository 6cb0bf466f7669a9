"""What a side answered on a whole split: as its run wrote it, as computed before, or computed now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.core.stored_predictions import (
    UNLABELLED,
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.runs.layout import DataRef
from mrpc.services.comparison.ladder import Baselines, margins_to_logits
from mrpc.services.comparison.sides import Side
from mrpc.services.progress import Report, ShouldStop, never, silent

if TYPE_CHECKING:
    from mrpc.core.data import LoadedData
    from mrpc.services.comparison.loaded import LoadedSides

SPLITS = ("validation", "test")


class DataShelf:
    """The data of runs: the app's own where it is the same, else loaded as the run names it."""

    def __init__(self, app_data: Callable[[], LoadedData]) -> None:
        self._app_data = app_data
        self._other: tuple[str, LoadedData] | None = None
        self._lock = threading.Lock()

    def get(self, ref: DataRef | None) -> LoadedData:
        """Return the data of a run; the app's own for None.

        Raises:
            DataError: when the rows changed since the run.
            UnavailableError: when they cannot be had now.
        """
        data = self._app_data()
        if ref is None or data.fingerprint == ref.fingerprint:
            return data
        with self._lock:
            if self._other is None or self._other[0] != ref.fingerprint:
                from mrpc.core.data import load_data

                data = load_data(ref.kind, ref.data_dir)
                if data.fingerprint != ref.fingerprint:
                    raise DataError(
                        f"The data of this run ({ref.data_dir or ref.kind}) changed since: fingerprint "
                        f"{data.fingerprint}, then {ref.fingerprint}. Put the old rows back."
                    )
                self._other = (ref.fingerprint, data)
            return self._other[1]


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

    def read_or_predict(
        self, side: Side, split: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> PairPredictions:
        """Return what was computed before, else predict the split and keep the answers.

        Raises:
            UnavailableError: when nothing was stored and the weights are not there.
        """
        if side.kind == "baseline":
            return self._baselines.answers(side, split, report, should_stop)
        stored = self.read(side, split)
        if stored is not None:
            return stored
        loaded = self._loaded().get(side)
        from mrpc.core.prediction import predict_dataset

        dataset = self._shelf.get(side.data).dataset[split]
        with loaded.predictor.lock:
            predictions = predict_dataset(
                loaded.predictor.model,
                loaded.predictor.tokenizer,
                dataset,
                max_length=loaded.predictor.max_length,
                on_progress=lambda num: report(f"{side.title} answers {split}", num, len(dataset)),
                should_stop=should_stop,
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
        report: Report = silent,
        should_stop: ShouldStop = never,
    ) -> PairPredictions:
        """Answer any pairs now.

        Args:
            side: who is asked.
            sentence1: N first sentences.
            sentence2: N second sentences.
            labels: N right answers, None where nobody knows.
            report: told how far it is.
            should_stop: asked before every batch.

        Raises:
            UnavailableError: when the side's weights are not there.
        """
        num = len(sentence1)
        if side.kind == "baseline":
            logits = margins_to_logits(
                self._baselines.margins(side, sentence1, sentence2, report, should_stop)
            )
        else:
            loaded = self._loaded().get(side)
            from mrpc.core.prediction import predict_pairs

            with loaded.predictor.lock:
                logits = predict_pairs(
                    loaded.predictor.model,
                    loaded.predictor.tokenizer,
                    list(sentence1),
                    list(sentence2),
                    max_length=loaded.predictor.max_length,
                    on_progress=lambda done: report(f"{side.title} answers", done, num),
                    should_stop=should_stop,
                )
        known = [UNLABELLED if label is None else label for label in labels or [None] * num]
        return PairPredictions(np.arange(num), np.array(known, dtype=np.int64), logits)


def check_split(split: object) -> str:
    """Return the name of a split that can be compared.

    Raises:
        InputError: for any other name.
    """
    if split not in SPLITS:
        raise InputError(f"The split is {str(split)[:40]!r}; it must be {' or '.join(SPLITS)}.")
    assert isinstance(split, str)
    return split


def check_same_split(left: Side, right: Side, split: str) -> None:
    """Refuse two sides whose runs had different rows in this split.

    Raises:
        DataError: naming both fingerprints.
    """
    if left.data is None or right.data is None:
        return
    fingerprints = [split_fingerprint(data, split) for data in (left.data, right.data)]
    if fingerprints[0] != fingerprints[1]:
        raise DataError(
            f"{left.name} and {right.name} were trained on different data: their {split} splits differ "
            f"(fingerprints {fingerprints[0]} and {fingerprints[1]}), so their scores cannot be compared."
        )


def split_fingerprint(data: DataRef, split: str) -> str:
    """Return the fingerprint of a split's rows, or of all rows where a run recorded no other."""
    return data.split_fingerprints.get(split, data.fingerprint)


def _stored_paths(side: Side, split: str) -> list[Path]:
    assert side.run is not None
    paths = side.run.paths
    candidates = [_derived_path(side, split)]
    if split == "validation":
        return [*([paths.validation_predictions(side.epoch)] if side.epoch is not None else []), *candidates]
    return [*(paths.test_predictions(model) for model in ("base", "best", "last")), *candidates]


def _derived_path(side: Side, split: str) -> Path:
    assert side.run is not None
    fingerprint = split_fingerprint(side.run.config.data, split)[:16]
    return side.run.paths.derived / f"{split}-{side.weights_sha256[:16]}-{fingerprint}.parquet"
