"""Two sides on a whole split: scores with intervals, and whether they really differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mrpc.app.compare.sides import Side
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.calibration import (
    Curve,
    ReliabilityBin,
    expected_calibration_error,
    precision_recall,
    reliability_bins,
    roc,
)
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.errors import DataError

METRICS = ("accuracy", "f1", "precision", "recall", "log_loss")


@dataclass(frozen=True)
class SideScores:
    """How one side did on a split.

    Attributes:
        side: who answered.
        answers: what it answered, in the order of the comparison.
    """

    side: Side
    answers: PairPredictions

    @cached_property
    def confusion(self) -> st.Confusion:
        """Counts of right and wrong answers by class."""
        return st.confusion(self.answers.label, self.answers.predicted)

    @cached_property
    def ece(self) -> float:
        """Expected calibration error, in [0, 1]."""
        return expected_calibration_error(self.answers.label, self.answers.prob_equivalent)

    @cached_property
    def roc(self) -> Curve | None:
        """The ROC curve; None when only one class is there."""
        return roc(self.answers.label, self.answers.margin)

    @cached_property
    def precision_recall(self) -> Curve | None:
        """The precision-recall curve; None when only one class is there."""
        return precision_recall(self.answers.label, self.answers.margin)

    @cached_property
    def reliability(self) -> list[ReliabilityBin]:
        """What was said against what was so, in ten bins; those without pairs are left out."""
        bins = reliability_bins(self.answers.label, self.answers.prob_equivalent)
        return [item for item in bins if item.num_pairs]

    def sweep(self, thresholds: st.FloatArray) -> tuple[st.FloatArray, st.FloatArray]:
        """Return F1 and accuracy at each of K thresholds, float64 [K] each."""
        called = self.answers.prob_equivalent[None, :] > thresholds[:, None]
        f1 = st.f1_statistic(np.broadcast_to(self.answers.label, called.shape), called.astype(np.int64))
        return f1, (called == self.answers.label).mean(axis=1)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics named in ``METRICS``; log loss in nats."""
        cells = self.confusion
        return {
            "accuracy": cells.accuracy,
            "f1": cells.f1,
            "precision": cells.precision,
            "recall": cells.recall,
            "log_loss": self.answers.loss,
        }

    @cached_property
    def intervals(self) -> dict[str, st.Interval]:
        """A 95 % interval for each metric."""
        answers = self.answers
        return st.metric_intervals(answers.label, answers.predicted, answers.prob_equivalent)

    def as_dict(self) -> dict[str, Any]:
        """Return a plain object for scripts."""
        tn, fp, fn, tp = self.confusion
        return {
            **{name: finite(value) for name, value in self.metrics.items()},
            "ece": finite(self.ece),
            "confusion": [[tn, fp], [fn, tp]],
            "intervals": {name: [finite(i.low), finite(i.high)] for name, i in self.intervals.items()},
        }


@dataclass(frozen=True)
class SplitComparison:
    """Two sides on the same labelled pairs."""

    split: str
    left: SideScores
    right: SideScores

    @property
    def labels(self) -> st.IntArray:
        """The right answers, int64 [N]."""
        return self.left.answers.label

    @cached_property
    def transitions(self) -> st.Transitions:
        """How many pairs were fixed, broken, right both times, wrong both times."""
        return st.transitions(self.labels, self.left.answers.predicted, self.right.answers.predicted)

    @cached_property
    def cells(self) -> Any:
        """The name of each pair's cell, [N]."""
        return st.transition_cells(self.labels, self.left.answers.predicted, self.right.answers.predicted)

    @property
    def mcnemar_p(self) -> float:
        """Exact two-sided p of McNemar's test."""
        return st.mcnemar_p(self.transitions.fixed, self.transitions.broken)

    @cached_property
    def accuracy_difference(self) -> st.Difference:
        """Right minus left, with a paired bootstrap interval."""
        return st.accuracy_difference(self.labels, self.left.answers.predicted, self.right.answers.predicted)

    @cached_property
    def f1_difference(self) -> st.Difference:
        """Right minus left, with a paired bootstrap interval."""
        return st.f1_difference(self.labels, self.left.answers.predicted, self.right.answers.predicted)

    @property
    def verdict(self) -> str:
        """What changed and whether it may be luck, in a sentence."""
        return st.verdict(self.transitions.fixed, self.transitions.broken)

    def as_dict(self) -> dict[str, Any]:
        """Return a plain object for scripts."""
        difference = self.accuracy_difference
        return {
            "num_pairs": len(self.labels),
            "left": self.left.as_dict(),
            "right": self.right.as_dict(),
            **self.transitions._asdict(),
            "mcnemar_p": self.mcnemar_p,
            "accuracy_difference": {
                "value": finite(difference.value),
                "low": finite(difference.low),
                "high": finite(difference.high),
            },
        }


def compare_answers(
    split: str, left: Side, left_answers: PairPredictions, right: Side, right_answers: PairPredictions
) -> SplitComparison:
    """Bring two sides' answers into one order and compare them.

    Raises:
        DataError: when they are not about the same labelled pairs.
    """
    left_answers, right_answers = _in_order(left_answers), _in_order(right_answers)
    same = len(left_answers) == len(right_answers)
    if not same or (left_answers.idx != right_answers.idx).any():
        raise DataError(f"{left.name} and {right.name} answered different pairs of {split}.")
    if (left_answers.label != right_answers.label).any():
        raise DataError(f"The labels of {split} changed between {left.name} and {right.name}.")
    if not len(left_answers):
        raise DataError(f"None of the pairs of {split} has a label, so nobody can say what is right.")
    return SplitComparison(split, SideScores(left, left_answers), SideScores(right, right_answers))


def finite(value: float) -> float | None:
    """Return a number that JSON has: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def _in_order(answers: PairPredictions) -> PairPredictions:
    rows = np.flatnonzero(answers.label != UNLABELLED)
    rows = rows[np.argsort(answers.idx[rows], kind="stable")]
    return PairPredictions(answers.idx[rows], answers.label[rows], answers.logits[rows])
