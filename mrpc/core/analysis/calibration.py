"""Calibration of probabilities, ROC and precision-recall curves, and decision thresholds.

Labels are 0 or 1, [N]; probabilities are those of "equivalent", in [0, 1]; a margin is the logit of
equivalent minus that of not equivalent. The curves are scikit-learn's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from sklearn import metrics

from mrpc.core.analysis.statistics import Confusion, FloatArray, IntArray, confusion, pair_log_losses
from mrpc.core.model.stored_predictions import PairPredictions

NUM_BINS = 10
TEMPERATURE_RANGE = (1e-3, 1e3)


@dataclass(frozen=True)
class ReliabilityBin:
    """Pairs whose probabilities lie in one bin.

    Attributes:
        low: lower edge; ``high`` the upper.
        num_pairs: pairs in it.
        mean_probability: what the model said on average; NaN without pairs.
        share_equivalent: how many of them are equivalent; NaN without pairs.
    """

    low: float
    high: float
    num_pairs: int
    mean_probability: float
    share_equivalent: float


@dataclass(frozen=True)
class Curve:
    """A curve and the area under it.

    Attributes:
        x: false positive rate, or recall, [K].
        y: true positive rate, or precision, [K].
        area: area under the ROC curve, or average precision.
    """

    x: FloatArray
    y: FloatArray
    area: float


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
    at_threshold: Confusion

    @property
    def is_at_limit(self) -> bool:
        """Whether no temperature is high enough: its probabilities tell less than none."""
        return self.temperature > 0.99 * TEMPERATURE_RANGE[1]


def reliability_bins(labels: IntArray, probabilities: FloatArray) -> list[ReliabilityBin]:
    """Sort the pairs into ten bins of equal width by their probability of "equivalent"."""
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    bin_numbers = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, NUM_BINS - 1)
    bins = []
    for number in range(NUM_BINS):
        inside = bin_numbers == number
        num = int(inside.sum())
        bins.append(
            ReliabilityBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                num_pairs=num,
                mean_probability=float(probabilities[inside].mean()) if num else math.nan,
                share_equivalent=float(labels[inside].mean()) if num else math.nan,
            )
        )
    return bins


def expected_calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """Return the gap between what was said and what was so, averaged over the pairs of the ten bins."""
    total = len(labels)
    if total == 0:
        return math.nan
    return sum(
        item.num_pairs / total * abs(item.mean_probability - item.share_equivalent)
        for item in reliability_bins(labels, probabilities)
        if item.num_pairs
    )


def fit_temperature(labels: IntArray, margins: FloatArray) -> float:
    """Return the temperature that, dividing the logits, gives the least log loss (Guo et al., ICML 2017).

    Within ``TEMPERATURE_RANGE``: answers that separate the labels wholly have no finite best one.
    """
    signed = np.where(labels == 1, margins, -margins)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed / math.exp(log_temperature)).mean())

    bounds = (math.log(TEMPERATURE_RANGE[0]), math.log(TEMPERATURE_RANGE[1]))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return math.exp(float(found.x))


def apply_temperature(margins: FloatArray, temperature: float) -> FloatArray:
    """Return the probabilities of "equivalent" after dividing the logits by a temperature, float64 [N].

    Args:
        margins: logit of "equivalent" minus that of "not equivalent", float64 [N].
        temperature: above 0.
    """
    return np.exp(-np.logaddexp(0.0, -margins / temperature))


def roc(labels: IntArray, scores: FloatArray) -> Curve | None:
    """Return the ROC curve, or None when only one class is there."""
    if labels.min(initial=1) == labels.max(initial=0):
        return None
    x, y, _ = metrics.roc_curve(labels, scores)
    return Curve(x, y, float(metrics.auc(x, y)))


def precision_recall(labels: IntArray, scores: FloatArray) -> Curve | None:
    """Return the precision-recall curve, or None when only one class is there."""
    if labels.min(initial=1) == labels.max(initial=0):
        return None
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    return Curve(recall[::-1], precision[::-1], float(metrics.average_precision_score(labels, scores)))


def best_f1_threshold(labels: IntArray, probabilities: FloatArray) -> float:
    """Return the probability above which to say "equivalent" for the best F1 on these pairs.

    Cuts lie midway between neighbouring probabilities; among equally good ones, the nearest to 0.5.
    """
    values = np.unique(probabilities)
    cuts = np.concatenate([[0.0], (values[:-1] + values[1:]) / 2, [1.0]])
    # Labels above each cut, by counting from the top: no matrix of cuts times pairs.
    order = np.argsort(probabilities, kind="stable")
    equivalent_below = np.concatenate([[0], np.cumsum(labels[order])])
    num_below = np.searchsorted(probabilities[order], cuts, side="right")
    found = labels.sum() - equivalent_below[num_below]
    called = len(labels) - num_below
    total = called + labels.sum()
    f1 = np.divide(2.0 * found, total, out=np.zeros(len(cuts)), where=total > 0)
    best = cuts[f1 >= f1.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])


def confusion_at(answers: PairPredictions, threshold: float) -> Confusion:
    """Count the outcomes when every probability above a threshold is called equivalent."""
    return confusion(answers.label, (answers.prob_equivalent > threshold).astype(np.int64))


def calibrate(chosen: PairPredictions, judged: PairPredictions) -> Calibration:
    """Choose temperature and threshold on the first answers, and see how they do on the second."""
    temperature = fit_temperature(chosen.label, chosen.margin)
    tempered = apply_temperature(judged.margin, temperature)
    threshold = best_f1_threshold(chosen.label, chosen.prob_equivalent)
    return Calibration(
        temperature=temperature,
        log_loss=float(pair_log_losses(judged.label, tempered).mean()),
        ece=expected_calibration_error(judged.label, tempered),
        threshold=threshold,
        at_threshold=confusion_at(judged, threshold),
    )
