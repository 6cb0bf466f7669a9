"""Scores with confidence intervals, and tests of whether two models differ.

Pure functions of numpy arrays: labels and predicted labels are 0 or 1, [N]; probabilities are those of
"equivalent", in [0, 1]. The intervals and tests are scipy's. Calibration is in
:mod:`mrpc.core.analysis.calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

CONFIDENCE = 0.95
NUM_RESAMPLES = 4000
"""Bootstrap resamples; between seeds the ends of a 95 % interval then move by a twentieth of its width."""

RESAMPLE_SEED = 0
RESAMPLE_CELLS = 4_000_000
"""Pairs times resamples that are held in memory at a time."""

SIGNIFICANT_P = 0.05


class Interval(NamedTuple):
    """A 95 % confidence interval; NaN at both ends where there is nothing to compute it from."""

    low: float
    high: float


NO_INTERVAL = Interval(math.nan, math.nan)


class Confusion(NamedTuple):
    """Counts of pairs: "positive" is equivalent, "true" is right."""

    true_negative: int
    false_positive: int
    false_negative: int
    true_positive: int

    @property
    def total(self) -> int:
        """All pairs."""
        return sum(self)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return _ratio(self.true_positive + self.true_negative, self.total)

    @property
    def precision(self) -> float:
        """Share of right ones among those called equivalent; 0 if none was."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the equivalent pairs that were called so; 0 if there is none."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 if no pair was found."""
        found = 2 * self.true_positive
        return _ratio(found, found + self.false_positive + self.false_negative)


class Transitions(NamedTuple):
    """What became of N pairs from a left to a right side.

    Attributes:
        fixed: left wrong, right right.
        broken: left right, right wrong.
        both_right: both right.
        both_wrong: both wrong.
    """

    fixed: int
    broken: int
    both_right: int
    both_wrong: int


@dataclass(frozen=True)
class Difference:
    """Right minus left, with a 95 % interval from a bootstrap that keeps each pair's two answers together."""

    value: float
    low: float
    high: float


def confusion(labels: IntArray, predicted: IntArray) -> Confusion:
    """Count the four outcomes."""
    cells = np.bincount(2 * labels + predicted, minlength=4)
    return Confusion(*(int(cell) for cell in cells))


def pair_log_losses(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return the cross-entropy of each pair in nats; a certain wrong answer counts as 1e-15 off.

    Args:
        labels: 0 or 1, int64 [N].
        probabilities: of 1, float64 [N].

    Returns:
        float64 [N].
    """
    right = np.where(labels == 1, probabilities, 1.0 - probabilities)
    return -np.log(np.clip(right, 1e-15, 1.0))


def wilson_interval(num_successes: int, num_trials: int) -> Interval:
    """Return Wilson's interval of a share (E. B. Wilson, JASA 1927)."""
    if num_trials == 0:
        return NO_INTERVAL
    interval = stats.binomtest(num_successes, num_trials).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def bootstrap_interval(statistic: Callable[..., Any], *samples: npt.NDArray[Any]) -> Interval:
    """Return the percentile bootstrap interval of a statistic of paired samples.

    Args:
        statistic: takes the samples with a further leading dimension and ``axis``, as scipy calls it.
        samples: arrays [N] that are resampled together.
    """
    num = len(samples[0])
    if num < 2:
        return NO_INTERVAL
    with np.errstate(invalid="ignore", divide="ignore"):
        interval = stats.bootstrap(
            samples,
            statistic,
            n_resamples=NUM_RESAMPLES,
            batch=max(1, RESAMPLE_CELLS // num),
            paired=len(samples) > 1,
            vectorized=True,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(RESAMPLE_SEED),
        ).confidence_interval
    return Interval(float(interval.low), float(interval.high))


def f1_statistic(labels: IntArray, predicted: IntArray, axis: int = -1) -> FloatArray:
    """Return F1 along an axis, in the form that :func:`bootstrap_interval` takes.

    Args:
        labels: 0 or 1, of any shape.
        predicted: the same.
        axis: of the pairs; the result has the other axes, and 0 where neither has a 1.
    """
    found = 2 * (labels & predicted).sum(axis=axis)
    total = labels.sum(axis=axis) + predicted.sum(axis=axis)
    return np.divide(found, total, out=np.zeros(np.shape(found)), where=total > 0)


def metric_intervals(labels: IntArray, predicted: IntArray, probabilities: FloatArray) -> dict[str, Interval]:
    """Return the 95 % interval of each metric.

    Accuracy, precision and recall are shares and take Wilson's; F1 and log loss are resampled.
    """
    cells = confusion(labels, predicted)
    num_right = cells.true_negative + cells.true_positive
    return {
        "accuracy": wilson_interval(num_right, cells.total),
        "f1": bootstrap_interval(f1_statistic, labels, predicted),
        "precision": wilson_interval(cells.true_positive, cells.true_positive + cells.false_positive),
        "recall": wilson_interval(cells.true_positive, cells.true_positive + cells.false_negative),
        "log_loss": bootstrap_interval(np.mean, pair_log_losses(labels, probabilities)),
    }


def transitions(labels: IntArray, left: IntArray, right: IntArray) -> Transitions:
    """Count what became of the pairs from the left answers to the right ones."""
    cells = transition_cells(labels, left, right)
    return Transitions(*(int((cells == name).sum()) for name in Transitions._fields))


def transition_cells(labels: IntArray, left: IntArray, right: IntArray) -> npt.NDArray[np.str_]:
    """Return the name of each pair's cell, one of :class:`Transitions`' fields."""
    left_right, right_right = left == labels, right == labels
    return np.select(
        [~left_right & right_right, left_right & ~right_right, left_right & right_right],
        ["fixed", "broken", "both_right"],
        "both_wrong",
    )


def mcnemar_p(num_fixed: int, num_broken: int) -> float:
    """Return the exact two-sided p of McNemar's test: a binomial test on the pairs that changed."""
    num_changed = num_fixed + num_broken
    return 1.0 if num_changed == 0 else float(stats.binomtest(num_fixed, num_changed, 0.5).pvalue)


def accuracy_difference(labels: IntArray, left: IntArray, right: IntArray) -> Difference:
    """Return how much more often the right side is right, with its paired bootstrap interval."""
    change = (right == labels).astype(np.float64) - (left == labels)
    interval = bootstrap_interval(np.mean, change)
    return Difference(float(change.mean()) if len(change) else math.nan, *interval)


def f1_difference(labels: IntArray, left: IntArray, right: IntArray) -> Difference:
    """Return the difference in F1, with its paired bootstrap interval."""

    def statistic(labels: IntArray, left: IntArray, right: IntArray, axis: int = -1) -> FloatArray:
        return f1_statistic(labels, right, axis) - f1_statistic(labels, left, axis)

    value = float(statistic(labels, left, right)) if len(labels) else math.nan
    return Difference(value, *bootstrap_interval(statistic, labels, left, right))


def corrected_p(p_values: list[float]) -> list[float]:
    """Adjust p-values for multiple testing (Benjamini and Hochberg, JRSS B 1995)."""
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def share_difference_p(num_right: int, num: int, num_right_elsewhere: int, num_elsewhere: int) -> float:
    """Return the two-sided p of Fisher's exact test that two shares are the same."""
    if num == 0 or num_elsewhere == 0:
        return 1.0
    table = [[num_right, num - num_right], [num_right_elsewhere, num_elsewhere - num_right_elsewhere]]
    return float(stats.fisher_exact(table).pvalue)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
