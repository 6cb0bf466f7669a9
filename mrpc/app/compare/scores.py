"""Two sides on the same labelled pairs: scores with intervals, whether they really differ, and that in words.

The words come first against answers without training, then against the other side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mrpc.app.compare.sides import Both, Side, class_words, side_names
from mrpc.app.format import render_p_value
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.calibration import (
    Calibration,
    Curve,
    ReliabilityBin,
    calibrate,
    expected_calibration_error,
    precision_recall,
    reliability_bins,
    roc,
)
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.errors import DataError

RIVALS = ("majority", "embedding")
"""Baselines that a fine-tuned model has to beat, in the order of the sentences."""


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

    @property
    def only_answer(self) -> int | None:
        """What it says to all pairs, or to nearly all: see :attr:`PairPredictions.only_answer`.

        None for baselines too: whoever answers one thing on purpose need not be told.
        """
        return None if self.side.kind == "baseline" else self.answers.only_answer

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
        """The metrics by name; log loss in nats."""
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

    def as_dict(self) -> dict[str, object]:
        """Return a plain object for scripts."""
        tn, fp, fn, tp = self.confusion
        return {
            **{name: finite(value) for name, value in self.metrics.items()},
            "ece": finite(self.ece),
            "confusion": [[tn, fp], [fn, tp]],
            "intervals": {name: [finite(i.low), finite(i.high)] for name, i in self.intervals.items()},
        }


@dataclass(frozen=True)
class Scores:
    """How two sides did on the same labelled pairs.

    Attributes:
        split: what the pairs are, for people.
        sides: of both, in the same order of pairs.
    """

    split: str
    sides: Both[SideScores]

    @property
    def labels(self) -> st.IntArray:
        """The right answers, int64 [N]."""
        return self.sides.first.answers.label

    @property
    def names(self) -> Both[str]:
        """What both sides are called."""
        return side_names(self.sides.map(lambda side: side.side))

    @property
    def words(self) -> tuple[str, str]:
        """What the classes 0 and 1 are called."""
        return class_words(self.sides.map(lambda side: side.side))

    def beside(self, baselines: list[SideScores]) -> list[tuple[str, SideScores]]:
        """Return the scores of baselines, then of the sides that are none, each with what it is called."""
        named = [(baseline.side.title.removeprefix("Baseline: "), baseline) for baseline in baselines]
        sides = zip(self.names, self.sides, strict=True)
        return named + [(name, side) for name, side in sides if side.side.kind != "baseline"]

    @property
    def _predicted(self) -> Both[st.IntArray]:
        return self.sides.map(lambda side: side.answers.predicted)

    @cached_property
    def transitions(self) -> st.Transitions:
        """How many pairs were fixed, broken, right both times, wrong both times."""
        return st.transitions(self.labels, *self._predicted)

    @cached_property
    def cells(self) -> npt.NDArray[np.str_]:
        """The name of each pair's cell, [N]."""
        return st.transition_cells(self.labels, *self._predicted)

    @property
    def mcnemar_p(self) -> float:
        """Exact two-sided p of McNemar's test."""
        return st.mcnemar_p(self.transitions.fixed, self.transitions.broken)

    @cached_property
    def accuracy_difference(self) -> st.Difference:
        """Second minus first, with a paired bootstrap interval."""
        return st.accuracy_difference(self.labels, *self._predicted)

    @cached_property
    def f1_difference(self) -> st.Difference:
        """Second minus first, with a paired bootstrap interval."""
        return st.f1_difference(self.labels, *self._predicted)

    def calibrated_on(self, validation: Scores) -> Both[Calibration]:
        """Return what validation chooses for both sides, judged on these pairs."""
        return Both(
            calibrate(validation.sides.first.answers, self.sides.first.answers),
            calibrate(validation.sides.second.answers, self.sides.second.answers),
        )

    def as_dict(self) -> dict[str, object]:
        """Return a plain object for scripts, which call the first side left and the second right."""
        difference = self.accuracy_difference
        return {
            "num_pairs": len(self.labels),
            "left": self.sides.first.as_dict(),
            "right": self.sides.second.as_dict(),
            **self.transitions._asdict(),
            "mcnemar_p": self.mcnemar_p,
            "accuracy_difference": {
                "value": finite(difference.value),
                "low": finite(difference.low),
                "high": finite(difference.high),
            },
        }


def compare_answers(split: str, sides: Both[Side], answers: Both[PairPredictions]) -> Scores:
    """Bring two sides' answers into one order and score them.

    Raises:
        DataError: when they are not about the same labelled pairs.
    """
    first, second = sides.map(lambda side: side.name)
    scores = Scores(
        split, Both(score_answers(sides.first, answers.first), score_answers(sides.second, answers.second))
    )
    one, other = scores.sides.map(lambda side: side.answers)
    if len(one) != len(other) or (one.idx != other.idx).any():
        raise DataError(f"{first} and {second} answered different pairs of {split}.")
    if (one.label != other.label).any():
        raise DataError(f"The labels of {split} changed between {first} and {second}.")
    if not len(one):
        raise DataError(f"None of the pairs of {split} has a label, so answers cannot be scored.")
    return scores


def score_answers(side: Side, answers: PairPredictions) -> SideScores:
    """Score what a side answered to the labelled pairs, in the order of their numbers."""
    rows = np.flatnonzero(answers.label != UNLABELLED)
    rows = rows[np.argsort(answers.idx[rows], kind="stable")]
    return SideScores(side, PairPredictions(answers.idx[rows], answers.label[rows], answers.logits[rows]))


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict.

    Attributes:
        text: the sentence.
        tone: good, note or warn: the colour of its edge.
    """

    text: str
    tone: str = "note"


def one_answer_text(title: str, answer: str) -> str:
    """Say that a model gives one answer, whatever it is asked."""
    return (
        f"{title} answers “{answer}” to every pair, or to nearly every one. It does not tell "
        "pairs apart: its scores are those of always giving this answer."
    )


def one_answer_findings(scores: Scores) -> list[Finding]:
    """Return a warning for each model that gives one answer."""
    return [
        Finding(one_answer_text(name, scores.words[side.only_answer]), "warn")
        for name, side in zip(scores.names, scores.sides, strict=True)
        if side.only_answer is not None
    ]


def baseline_findings(scores: Scores, baselines: Sequence[SideScores], names: Sequence[str]) -> list[Finding]:
    """Compare the second side with some of the baselines, in the order of their names.

    Args:
        scores: of both sides.
        baselines: on the same pairs.
        names: such as "majority".
    """
    found = []
    for name in names:
        for baseline in baselines:
            is_meant = baseline.side.name == f"baseline:{name}"
            if is_meant and baseline.side.name not in {side.side.name for side in scores.sides}:
                found.append(side_finding(Scores(scores.split, Both(baseline, scores.sides.second))))
    return found


def side_finding(scores: Scores) -> Finding:
    """Compare the second side with the first."""
    first, second = scores.sides
    names, difference, counts = scores.names, scores.accuracy_difference, scores.transitions
    is_baseline = first.side.kind == "baseline"
    rival = f"“{names.first.removeprefix('Baseline: ')}”" if is_baseline else names.first
    interval = f"95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    gain = (
        f"Against {rival} ({100 * first.metrics['accuracy']:.1f} % right): {100 * difference.value:+.1f} "
        f"points ({interval}); {counts.fixed:,} fixed, {counts.broken:,} broken"
    )
    if "base" in {first.side.kind, second.side.kind}:
        base = names.first if first.side.kind == "base" else names.second
        return Finding(f"{gain}. The classification head of {base} is random, so this proves little.")
    if counts.fixed == counts.broken:
        same = "No answer changed between right and wrong" if counts.fixed == 0 else "Neither gained"
        return Finding(f"{gain}. {same}.")
    p = f"p {'' if scores.mcnemar_p < 0.001 else '= '}{render_p_value(scores.mcnemar_p)}"
    if second.only_answer is not None or first.only_answer is not None:
        return Finding(
            f"{gain} ({p}). One of them gives one answer to every pair, so this is no gain.", "warn"
        )
    word = "gain" if counts.fixed > counts.broken else "loss"
    if scores.mcnemar_p >= st.SIGNIFICANT_P:
        return Finding(f"{gain}. This {word} may well be luck ({p}).", "warn")
    return Finding(f"{gain}. This {word} is unlikely to be luck ({p}).", "good" if word == "gain" else "warn")


def finite(value: float) -> float | None:
    """Return a number that JSON has: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None
