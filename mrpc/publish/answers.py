"""What the best model of a run answers, as far as its card tells of it: behavioural tests, validation, test.

Answers to validation are those that the training stored. Test may have been predicted by the run, or by
somebody who looked at it in Compare; else :func:`predict_test` does it, and Compare finds its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.core.analysis.behavioral_tests import BehavioralTest, make_behavioral_tests
from mrpc.core.data.load import LoadedData, load_again
from mrpc.core.model.stored_predictions import (
    UNLABELLED,
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import DataError, RunStateError
from mrpc.progress import OnProgress, silent
from mrpc.runs.events import FinishedEvent
from mrpc.runs.log import read_events
from mrpc.runs.run import Run

if TYPE_CHECKING:
    from mrpc.core.model.prediction import Predictor

SaysEquivalent = Callable[[Sequence[tuple[str, str]]], list[bool]]

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


def read_validation(run: Run) -> PairPredictions | None:
    """Return what the best model of a finished run answered to validation; None where it was not kept."""
    file = run.paths.validation_predictions(last_end(run).best_epoch)
    return read_predictions(file) if file.is_file() else None


def read_test(run: Run) -> PairPredictions | None:
    """Return what the best model of a finished run answered to test; None without answers, or labels."""
    weights = last_end(run).weights_sha256["best"]
    fingerprint = run.config.data.split_fingerprint("test")
    files = [run.paths.test_predictions("best"), run.paths.derived_predictions("test", weights, fingerprint)]
    for file in files:
        if file.is_file() and read_prediction_metadata(file).get("weights_sha256") == weights:
            found = read_predictions(file)
            return None if UNLABELLED in found.label else found
    return None


def predict_test(run: Run, on_progress: OnProgress = silent) -> None:
    """Predict test with the best model of a finished run, if that was not done yet.

    Raises:
        DataError: there is no test split, nobody knows its labels, or the data changed since.
        RunStateError: the run has not finished.
        UnavailableError: the data or the weights cannot be had now.
    """
    if read_test(run) is not None:
        return
    data = _data_of(run)
    test = data.split("test")
    if not data.has_labels("test"):
        raise DataError(f"Test of {data.name} has no labels, so there is no score on it.")
    from mrpc.core.model.checkpoint_folder import weights_sha256

    predictor = _best_model(run)
    predictions = predictor.predict_dataset(
        test, lambda num: on_progress("Predicting test, pair", num, len(test))
    )
    weights = weights_sha256(predictor.model)
    file = run.paths.derived_predictions("test", weights, run.config.data.split_fingerprint("test"))
    write_predictions(file, predictions, {"weights_sha256": weights, "split": "test"})


def run_behavioral_tests(run: Run, on_progress: OnProgress = silent) -> list[TestedBehavior]:
    """Ask the best model pairs made from validation whose answer is known.

    Raises:
        DataError: the data of the run changed since.
        UnavailableError: they cannot be had now.
    """
    validation = _data_of(run).dataset["validation"]
    tests = make_behavioral_tests(validation["sentence1"][:], validation["sentence2"][:])
    predictor = _best_model(run)
    num_total = sum(len(test.cases) * (2 if test.expects == "same" else 1) for test in tests)
    num_before = 0

    def says_equivalent(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        nonlocal num_before
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))
        what = "Running behavioural tests for the card, pair"
        logits = predictor.predict(first, second, lambda num: on_progress(what, num_before + num, num_total))
        num_before += len(first)
        return [bool(row[1] > row[0]) for row in logits]

    return [_judge(test, says_equivalent) for test in tests]


def _judge(test: BehavioralTest, says_equivalent: SaysEquivalent) -> TestedBehavior:
    answers = says_equivalent([(case.sentence1, case.sentence2) for case in test.cases])
    if test.expects == "same":
        expected = says_equivalent([case.before for case in test.cases if case.before is not None])
    else:
        expected = [test.expects == "equivalent"] * len(answers)
    num_passed = sum(answer == wanted for answer, wanted in zip(answers, expected, strict=True))
    return TestedBehavior(test.name, test.rule, num_passed, len(answers))


def _data_of(run: Run) -> LoadedData:
    ref = run.config.data
    return load_again(ref.kind, ref.data_dir, ref.columns, ref.fingerprint)


def _best_model(run: Run) -> Predictor:
    from mrpc.core.model.classifier import load_finetuned
    from mrpc.core.model.prediction import Predictor

    return Predictor(*load_finetuned(run.paths.best_model), run.config.hyperparameters.max_length)
