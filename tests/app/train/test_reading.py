"""Each rule of reading the curves, on curves that were written for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mrpc.app.train.curves import take_series
from mrpc.app.train.reading import Curves, Reading, read, read_curves
from mrpc.runs.events import EvaluationEvent, NonFiniteEvent
from mrpc.runs.record import RunRecord
from tests.written_run import evaluation_event, started_event, step_event

REAL_CURVES = Path(__file__).parent / "real_curves"


def evaluations(
    losses: Sequence[float], accuracies: Sequence[float], equivalent: int = 300
) -> list[EvaluationEvent]:
    """Write evaluations by epoch, the untrained model first."""
    return [
        evaluation_event(
            epoch, 90, loss=loss, accuracy=accuracy, f1=accuracy + 0.05, num_pairs=408,
            num_predicted_equivalent=equivalent,
        )
        for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
    ]  # fmt: skip


def curves(
    validation: Sequence[EvaluationEvent], train: Sequence[float] = (0.62, 0.5, 0.4), **others: Any
) -> Curves:
    values = {
        "losses": (0.69, 0.6, 0.5),
        "not_finite_at": None,
        "num_pairs": 3_668,
        "majority": 0.684,
        "is_over": True,
    }
    return Curves(**{**values, "train": train, "validation": validation, **others})


GOOD = evaluations([0.69, 0.55, 0.46, 0.42], [0.4, 0.74, 0.79, 0.83])


def test_a_good_run():
    reading = read(curves(GOOD, train=(0.62, 0.5, 0.42)))
    assert (reading.kind, reading.tone) == ("learning", "good")


def test_over_fitting_names_since_when_and_the_best_epoch():
    reading = read(
        curves(
            evaluations([0.69, 0.5, 0.42, 0.47, 0.58], [0.4, 0.77, 0.83, 0.82, 0.81]), (0.6, 0.4, 0.2, 0.1)
        )
    )
    assert reading.kind == "over-fitting"
    assert "since epoch 2 (0.42 to 0.58) while training loss falls" in reading.seen
    assert "The best epoch by F1 was 2" in reading.seen
    assert "fewer epochs" in reading.advice


def test_a_rise_of_both_losses_is_no_over_fitting():
    validation = evaluations([0.69, 0.5, 0.6], [0.4, 0.78, 0.73])
    assert read(curves(validation, (0.5, 0.7))).kind != "over-fitting"


@pytest.mark.parametrize("is_over", [True, False])
def test_under_fitting_is_said_at_the_end_alone(is_over):
    validation = evaluations([0.69, 0.66, 0.61], [0.5, 0.75, 0.76])
    reading = read(curves(validation, (0.68, 0.65), is_over=is_over))
    assert (reading.kind == "under-fitting") is is_over


def test_no_better_than_the_majority_after_all_is_under_fitting():
    reading = read(curves(evaluations([0.69, 0.64, 0.63], [0.5, 0.684, 0.69]), (0.65, 0.64)))
    assert reading.kind == "under-fitting"
    assert "more epochs" in reading.advice


def test_a_plateau():
    validation = evaluations([0.69, 0.503, 0.501, 0.502], [0.4, 0.78, 0.78, 0.78])
    assert read(curves(validation, (0.505, 0.504, 0.503))).kind == "plateau"


def test_noise_only_says_how_much_chance_moves_a_score():
    reading = read(curves(evaluations([0.69, 0.43, 0.44], [0.4, 0.83, 0.84]), (0.5, 0.4)))
    assert reading.kind == "noise only"
    assert "on 408 pairs chance alone gives 1.8 points (one standard error)" in reading.seen
    assert "other seeds" in reading.advice


@pytest.mark.parametrize("losses", [(0.69, 0.5, 1.4), (0.69, 2.0, 6.0)])
def test_divergence_by_the_training_loss(losses):
    reading = read(curves(GOOD, losses=losses))
    assert (reading.kind, reading.tone) == ("diverged", "bad")
    assert "learning rate" in reading.advice


def test_a_single_high_start_is_no_divergence():
    assert read(curves(GOOD, losses=(1.5, 0.7, 0.5))).kind == "learning"


def test_divergence_by_a_number_that_is_not_finite():
    assert "step 12" in read(curves(GOOD, not_finite_at=12)).seen


@pytest.mark.parametrize(("equivalent", "answer"), [(408, "“equivalent”"), (0, "“not equivalent”")])
def test_a_model_that_answers_one_thing_is_told_so_in_amber(equivalent, answer):
    reading = read(curves(evaluations([0.69, 0.63, 0.62], [0.5, 0.684, 0.684], equivalent)))
    assert (reading.kind, reading.tone) == ("one answer", "warn")
    assert answer in reading.seen


def test_a_model_that_once_gave_both_answers_has_collapsed():
    last = evaluation_event(2, 90, loss=0.63, accuracy=0.684, num_pairs=408, num_predicted_equivalent=408)
    reading = read(curves([*evaluations([0.69, 0.5], [0.4, 0.77]), last]))
    assert reading.kind == "collapsed"
    assert "After epoch 1 it still gave both" in reading.seen


def test_one_answer_after_losses_above_guessing_has_collapsed():
    validation = evaluations([0.69, 0.63, 0.62], [0.5, 0.684, 0.684], 408)
    reading = read(curves(validation, (0.74, 0.64), peak_rate=2e-3))
    assert (reading.kind, reading.tone) == ("collapsed", "warn")
    assert "0.74 in the first epoch, above the 0.69 of guessing" in reading.seen
    assert "Lower the learning rate (it reached 0.002; 1e-5 to 2e-4 are usual)" in reading.advice


def test_over_fitting_on_few_pairs_is_over_fitting():
    validation = evaluations([0.69, 0.62, 0.8, 1.3], [0.5, 0.68, 0.69, 0.684])
    reading = read(curves(validation, (0.66, 0.4, 0.1), num_pairs=300))
    assert reading.kind == "over-fitting"
    assert reading.advice.startswith("Use more pairs (300 are few), fewer epochs")


def test_too_few_pairs():
    validation = evaluations([0.69, 0.66, 0.65], [0.5, 0.684, 0.686])
    reading = read(curves(validation, num_pairs=160))
    assert reading.kind == "too few pairs"
    assert "accuracy 68.6 is no better than always answering the majority, 68.4" in reading.seen


def test_before_the_first_epoch_the_loss_of_guessing_is_explained():
    reading = read(curves(evaluations([0.71], [0.4]), ()))
    assert reading.kind == "start"
    assert "near ln 2 = 0.69: with two classes that is guessing" in reading.seen


class TestRealRuns:
    """Trainings on the real corpus, by their numbers alone: bundled checkpoint, seed 42; the good one 101."""

    def reading(self, name: str, epochs: int | None = None) -> Reading:
        """Read what a run showed after some of its epochs; None is its end."""
        kept = json.loads((REAL_CURVES / f"{name}.json").read_text())
        history = RunRecord(Path("nowhere"))
        num_steps, facts = len(kept["losses"]), kept["started"]
        history.fold([started_event(num_steps).model_copy(update=facts)])
        for step, (loss, rate) in enumerate(zip(kept["losses"], kept["learning_rates"], strict=True), 1):
            history.fold([step_event(step, num_steps, loss).model_copy(update={"learning_rate": rate})])
        ends = kept["evaluations"][: None if epochs is None else epochs + 1]
        history.fold([evaluation_event(num_steps=num_steps, **one) for one in ends])
        reading = read_curves(take_series(history), is_over=epochs is None)
        assert reading is not None
        return reading

    def test_a_good_one(self):
        assert self.reading("good", 0).kind == "start"
        assert self.reading("good", 1).tone != "warn"
        reading = self.reading("good")
        assert (reading.kind, reading.tone) == ("learning", "good")

    def test_one_that_ended_too_soon(self):
        assert self.reading("under_fitted", 0).kind == "start"
        reading = self.reading("under_fitted")
        assert (reading.kind, reading.tone) == ("under-fitting", "warn")
        assert reading.advice == "Train for more epochs, or raise the learning rate."

    def test_an_over_fitted_one(self):
        assert self.reading("over_fitted", 2).kind in {"too few pairs", "learning"}
        reading = self.reading("over_fitted")
        assert (reading.kind, reading.tone) == ("over-fitting", "warn")
        assert "since epoch 2 (0.59 to 1.29) while training loss falls" in reading.seen
        assert "more pairs (300 are few), fewer epochs" in reading.advice

    def test_a_collapsed_one(self):
        reading = self.reading("collapsed")
        assert (reading.kind, reading.tone) == ("collapsed", "warn")
        assert "“equivalent” to every validation pair" in reading.seen
        assert "Lower the learning rate (it reached 0.002" in reading.advice


class TestFromARun:
    def history(self, **losses: float) -> RunRecord:
        history = RunRecord(Path("nowhere"))
        history.fold([started_event(90), evaluation_event(0, 90)])
        history.fold([step_event(step, 90) for step in range(1, 91)])
        history.fold([evaluation_event(epoch, 90) for epoch in (1, 2, 3)])
        return history

    def reading(self, history: RunRecord) -> Reading | None:
        return read_curves(take_series(history), is_over=True)

    def test_nothing_before_the_first_step(self):
        assert self.reading(RunRecord(Path("nowhere"))) is None

    def test_a_run_that_learns(self):
        reading = self.reading(self.history())
        assert reading is not None
        assert reading.kind == "learning"

    def test_a_number_that_is_not_finite(self):
        history = self.history()
        history.fold([NonFiniteEvent(step=7, what="loss", value="nan")])
        reading = self.reading(history)
        assert reading is not None
        assert reading.kind == "diverged"
