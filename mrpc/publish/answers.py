"""What the models of a run answered, kept beside it: to validation, to test, to the behavioural tests.

Compare and the card of a run find the same answers here, without torch or datasets. Those to validation are
the training's own; test may have been predicted by the run, by somebody who looked at it in Compare, or by
:func:`predict_test`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.core.analysis.behavioral_tests import BehavioralCase, make_behavioral_tests
from mrpc.core.model.stored_predictions import (
    UNLABELLED,
    PairPredictions,
    kept_predictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import DataError, RunStateError, UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.runs.events import FinishedEvent
from mrpc.runs.log import read_events
from mrpc.runs.run import Run

if TYPE_CHECKING:
    from mrpc.core.data.load import LoadedData
    from mrpc.core.model.prediction import Predictor

PASS_SHARE = 0.9
"""A behavioural test that fewer of its cases pass is named among what the model cannot do."""


@dataclass(frozen=True)
class TestedBehavior:
    """How a model did on one behavioural test: ``num_passed`` of ``num_cases``."""

    __test__ = False  # its name begins as pytest's own do

    name: str
    rule: str
    num_passed: int
    num_cases: int

    @property
    def fails(self) -> bool:
        """Whether it belongs to what the model cannot do."""
        return self.num_passed < PASS_SHARE * self.num_cases


def last_end(run: Run) -> FinishedEvent:
    """Return how a run ended.

    Raises:
        RunStateError: it has not finished.
    """
    ends = [event for event in read_events(run.paths.events) if isinstance(event, FinishedEvent)]
    if not ends or not ends[-1].best_epoch or "best" not in ends[-1].weights_sha256:
        raise RunStateError(f"Run {run.run_id} has not finished: there is nothing final to publish yet.")
    return ends[-1]


def find_answers(
    run: Run, split: str, weights_sha256: str, epoch: int | None = None
) -> PairPredictions | None:
    """Return what these very weights of a run answered to a split before; None if nothing was kept.

    Args:
        run: the run.
        split: validation or test.
        weights_sha256: of the model.
        epoch: that it was evaluated after, if it was.
    """
    paths = run.paths
    files = [_derived_answers(run, split, weights_sha256)]
    if split == "test":
        files = [*(paths.test_predictions(model) for model in ("base", "best", "last")), *files]
    elif epoch is not None:
        files = [paths.validation_predictions(epoch), *files]
    for file in files:
        try:
            if read_prediction_metadata(file).get("weights_sha256") == weights_sha256:
                return read_predictions(file)
        except UnavailableError:
            continue
    return None


def keep_answers(run: Run, split: str, weights_sha256: str, predictions: PairPredictions) -> None:
    """Keep what somebody had a model of a run answer to a split, where :func:`find_answers` finds it."""
    told = {"weights_sha256": weights_sha256, "split": split}
    write_predictions(_derived_answers(run, split, weights_sha256), predictions, told)


def _derived_answers(run: Run, split: str, weights_sha256: str) -> Path:
    return run.paths.derived_predictions(split, weights_sha256, run.config.data.split_fingerprint(split))


def read_validation(run: Run) -> PairPredictions | None:
    """Return what the best model of a finished run answered to validation; None where it was not kept."""
    end = last_end(run)
    return find_answers(run, "validation", end.weights_sha256["best"], end.best_epoch)


def read_test(run: Run) -> PairPredictions | None:
    """Return what the best model of a finished run answered to test; None without answers, or labels."""
    found = find_answers(run, "test", last_end(run).weights_sha256["best"])
    return None if found is None or UNLABELLED in found.label else found


def predict_test(run: Run, on_progress: OnProgress = silent) -> None:
    """Predict test with the best model of a finished run, if that was not done yet.

    Raises:
        DataError: there is no test split, nobody knows its labels, or the data changed since.
        RunStateError: the run has not finished.
        UnavailableError: the data or the weights are not available.
    """
    if read_test(run) is not None:
        return
    data = _data_of(run)
    test = data.split("test")
    if not data.has_labels("test"):
        raise DataError(f"Test of {data.name} has no labels, so there is no score on it.")
    predictions = _best_model(run).predict_dataset(
        test, lambda num: on_progress("Predicting test, pair", num, len(test))
    )
    keep_answers(run, "test", last_end(run).weights_sha256["best"], predictions)


def run_behavioral_tests(run: Run, on_progress: OnProgress = silent) -> list[TestedBehavior]:
    """Ask the best model pairs made from validation whose answer is known.

    Raises:
        DataError: the data of the run changed since.
        RunStateError: the run has not finished, or did not keep its answers to validation.
        UnavailableError: the data or the weights are not available.
    """
    validation = _data_of(run).dataset["validation"]
    tests = make_behavioral_tests(validation["sentence1"][:], validation["sentence2"][:])
    cases = [case for test in tests for case in test.cases]
    stored = read_validation(run)
    said = {} if stored is None else dict(zip(stored.idx.tolist(), _yes(stored), strict=True))
    if not said.keys() >= set(validation["idx"]):
        raise RunStateError(f"Run {run.run_id} has no stored predictions on validation to report.")
    known = {(row["sentence1"], row["sentence2"]): said[row["idx"]] for row in validation}

    def ask() -> PairPredictions:
        logits = _best_model(run).predict(
            [case.sentence1 for case in cases],
            [case.sentence2 for case in cases],
            lambda num: on_progress("Running behavioural tests for the card, pair", num, len(cases)),
        )
        unknown = np.full(len(cases), UNLABELLED)
        return PairPredictions(np.arange(len(cases)), unknown, logits)

    answers = iter(_yes(answers_to_cases(run, last_end(run).weights_sha256["best"], cases, ask)))
    found = []
    for test in tests:
        num_passed = sum(
            test.passes(next(answers), known[case.before] if case.before else None) for case in test.cases
        )
        found.append(TestedBehavior(test.name, test.rule, num_passed, len(test.cases)))
    return found


def answers_to_cases(
    run: Run, weights_sha256: str, cases: Sequence[BehavioralCase], ask: Callable[[], PairPredictions]
) -> PairPredictions:
    """Return what a model of a run says to cases of behavioural tests, asked once: the run keeps it."""
    text = "\n".join(f"{case.sentence1}\t{case.sentence2}" for case in cases)
    fingerprint = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    file = run.paths.derived / f"behavioral-{weights_sha256[:16]}-{fingerprint}.parquet"
    return kept_predictions(file, {"weights_sha256": weights_sha256, "cases": fingerprint}, ask)


def _yes(answers: PairPredictions) -> list[bool]:
    """Tell of each pair whether it was called equivalent."""
    return [label == 1 for label in answers.predicted.tolist()]


def _data_of(run: Run) -> LoadedData:
    from mrpc.core.data.load import load_again  # brings datasets along

    ref = run.config.data
    return load_again(ref.kind, ref.data_dir, ref.columns, ref.fingerprint)


def _best_model(run: Run) -> Predictor:
    """Return the best model of a finished run.

    Raises:
        RunStateError: the folder has other weights than the run recorded.
        UnavailableError: the weights are not available.
    """
    from mrpc.core.model.checkpoint_folder import weights_sha256
    from mrpc.core.model.classifier import load_finetuned
    from mrpc.core.model.prediction import Predictor

    model, tokenizer = load_finetuned(run.paths.best_model)
    if weights_sha256(model) != last_end(run).weights_sha256["best"]:
        raise RunStateError(
            f"The best weights of run {run.run_id} are not those that it recorded. The folder was changed; "
            "nothing is published in its name."
        )
    return Predictor(model, tokenizer, run.config.hyperparameters.max_length)
