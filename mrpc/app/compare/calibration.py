"""What is chosen on validation (a temperature, a threshold) and how it does on the split that is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrpc.app.compare.scores import Scores, SideScores
from mrpc.app.compare.sides import Both
from mrpc.core.analysis import calibration as cal
from mrpc.core.analysis import statistics as st
from mrpc.core.model.stored_predictions import PairPredictions


@dataclass(frozen=True)
class Calibration:
    """One side with what validation chose for it, judged on the split that is shown.

    Attributes:
        temperature: divides the logits; below 1 the side was under-confident, above 1 over-confident.
        log_loss: in nats, after the temperature.
        ece: after the temperature, in [0, 1].
        threshold: the probability above which "equivalent" gives the best F1 on validation.
        at_threshold: counts with that threshold on the split that is shown.
    """

    temperature: float
    log_loss: float
    ece: float
    threshold: float
    at_threshold: st.Confusion

    @property
    def is_at_limit(self) -> bool:
        """Whether no temperature is high enough: its probabilities tell less than none."""
        return self.temperature > 0.99 * cal.TEMPERATURE_RANGE[1]


@dataclass(frozen=True)
class Calibrations:
    """Both sides calibrated; ``chosen_on`` and ``judged_on`` are the splits."""

    sides: Both[Calibration]
    chosen_on: str
    judged_on: str


def calibrate(shown: Scores, validation: Scores) -> Calibrations:
    """Choose on validation, judge on the split that is shown."""
    sides = Both(
        _calibrate(shown.sides.first, validation.sides.first),
        _calibrate(shown.sides.second, validation.sides.second),
    )
    return Calibrations(sides, chosen_on=validation.split, judged_on=shown.split)


def confusion_at(answers: PairPredictions, threshold: float) -> st.Confusion:
    """Count the outcomes when every probability above a threshold is called equivalent."""
    return st.confusion(answers.label, (answers.prob_equivalent > threshold).astype(np.int64))


def _calibrate(shown: SideScores, validation: SideScores) -> Calibration:
    chosen, judged = validation.answers, shown.answers
    temperature = cal.fit_temperature(chosen.label, chosen.margin)
    tempered = cal.apply_temperature(judged.margin, temperature)
    threshold = cal.best_f1_threshold(chosen.label, chosen.prob_equivalent)
    return Calibration(
        temperature=temperature,
        log_loss=float(st.pair_log_losses(judged.label, tempered).mean()),
        ece=cal.expected_calibration_error(judged.label, tempered),
        threshold=threshold,
        at_threshold=confusion_at(judged, threshold),
    )
