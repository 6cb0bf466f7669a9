"""Read the curves of a run as a teacher would: what is seen, in one sentence, and what one would try.

Rules over the numbers of a run; the first one that holds speaks. The thresholds are rough on purpose:
408 validation pairs move by a point or two by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from mrpc.app.format import render_percent
from mrpc.core.data.pairs import WORDS, Words
from mrpc.runs.record import best_of

if TYPE_CHECKING:
    from mrpc.app.train.curves import RunSeries
    from mrpc.runs.events import EvaluationEvent

Kind = Literal[
    "start", "diverged", "collapsed", "one answer", "too few pairs", "over-fitting", "under-fitting",
    "plateau", "noise only", "learning",
]  # fmt: skip
Tone = Literal["note", "good", "warn", "bad"]

LN_2 = math.log(2)
RISE = 0.03
"""Nats by which a validation loss must have risen above its lowest, to be called a rise."""

FALL = 0.02
"""Nats by which a loss must fall over an epoch, to be called falling."""

HIGH = 0.45
"""A validation loss in nats that a good training leaves behind."""

FLAT = 0.01
"""Nats within which a loss counts as unchanged."""

DIVERGED = 1.5
"""A training loss so many times above ln 2, and above its own lowest, is a divergence."""

USUAL_RATES = "1e-5 to 2e-4"
"""Learning rates at which encoders of this size are fine-tuned."""

FEW_PAIRS = 400
SMOOTH_STEPS = 10


@dataclass(frozen=True)
class Reading:
    """What the curves show.

    Attributes:
        kind: which rule spoke.
        tone: how it is shown.
        seen: one sentence.
        advice: what one would try; "" where there is nothing to do.
    """

    kind: Kind
    tone: Tone
    seen: str
    advice: str = ""


@dataclass(frozen=True)
class Curves:
    """What the rules look at.

    Attributes:
        losses: of the training steps, smoothed over the newest, nats.
        train: mean training loss of each epoch that is over, nats.
        validation: the evaluations by epoch, the untrained model first.
        not_finite_at: the first step with a number that is not finite, or None.
        num_pairs: pairs that are trained on.
        majority: accuracy of always answering the majority, in [0, 1].
        is_over: whether the training has ended.
        peak_rate: the highest learning rate so far; 0 where it is not known.
        words: what the data calls the classes 0 and 1.
    """

    losses: Sequence[float]
    train: Sequence[float]
    validation: Sequence[EvaluationEvent]
    not_finite_at: int | None
    num_pairs: int
    majority: float
    is_over: bool
    peak_rate: float = 0.0
    words: Words = WORDS

    @property
    def trained(self) -> Sequence[EvaluationEvent]:
        """The evaluations of the trained model."""
        return [one for one in self.validation if one.epoch > 0]

    @property
    def lowest(self) -> EvaluationEvent:
        """The trained evaluation with the lowest loss; only where there is one."""
        return min(self.trained, key=lambda one: one.loss)

    @property
    def best(self) -> EvaluationEvent:
        """The best trained evaluation; only where there is one."""
        best = best_of(self.validation)
        assert best is not None
        return best

    @property
    def chance(self) -> float:
        """How far an accuracy of this validation set moves by chance: one standard error, in [0, 1]."""
        last = self.trained[-1]
        return standard_error(min(max(last.accuracy, 0.01), 0.99), last.num_pairs)

    @property
    def is_at_majority(self) -> bool:
        """Whether the best trained model is no better than the majority, but for chance."""
        return max(one.accuracy for one in self.trained) < self.majority + self.chance

    @property
    def are_few(self) -> bool:
        """Whether the pairs that are trained on are too few for most encoders."""
        return self.num_pairs < FEW_PAIRS


def standard_error(accuracy: float, num_pairs: int) -> float:
    """Return how far an accuracy on so many pairs moves by chance: one standard error, in [0, 1]."""
    return math.sqrt(accuracy * (1 - accuracy) / max(1, num_pairs))


def read_curves(series: RunSeries, is_over: bool, words: Words = WORDS) -> Reading | None:
    """Say what the curves of a run show; None before its first step.

    Args:
        series: the numbers of the run.
        is_over: whether the training has ended.
        words: what its data calls the classes 0 and 1.
    """
    if series.started is None or not len(series.steps):
        return None
    ends = [one.step for one in series.evaluations]
    epochs = [
        float(np.nanmean(series.losses[inside]))
        for start, end in pairwise(ends)
        if (inside := (series.steps > start) & (series.steps <= end)).any()
    ]
    span = SMOOTH_STEPS
    parts = [float(np.nanmean(series.losses[at : at + span])) for at in range(0, len(series.losses), span)]
    return read(
        Curves(
            losses=parts,
            train=epochs,
            validation=series.evaluations,
            not_finite_at=series.non_finite[0].step if series.non_finite else None,
            num_pairs=series.started.num_train_pairs,
            majority=series.started.majority_accuracy,
            is_over=is_over,
            peak_rate=float(np.nanmax(series.learning_rates)),
            words=words,
        )
    )


def read(curves: Curves) -> Reading:
    """Say what curves show: the first rule that holds."""
    return next(chain(_read_trouble(curves), _read_fit(curves)))


def _read_trouble(curves: Curves) -> Iterator[Reading]:
    """Yield what is to be said where the training diverges, has only begun, or learns nothing."""
    advice = "Lower the learning rate, or give it a warmup; keep gradient clipping on."
    if curves.not_finite_at is not None:
        seen = f"A number was not finite at step {curves.not_finite_at:,}: the training diverged."
        yield Reading("diverged", "bad", seen, advice)
    newest, lowest = curves.losses[-1], min(curves.losses)
    if newest > DIVERGED * LN_2 and newest > DIVERGED * lowest:
        seen = f"Training loss has risen from {lowest:.2f} to {newest:.2f}: the training diverges."
        yield Reading("diverged", "bad", seen, advice)

    if not curves.trained:
        seen = "It is too early to read the curves: the first epoch is not over."
        if curves.validation:
            loss = curves.validation[0].loss
            seen += f" The untrained model has a loss of {loss:.2f}"
            near = abs(loss - LN_2) < 0.1
            seen += ", near ln 2 = 0.69: with two classes that is guessing." if near else "."
        yield Reading("start", "note", seen)

    last = curves.trained[-1]
    if not last.is_one_answer:
        return
    answer = curves.words[last.num_predicted_equivalent > 0]
    seen = f"The model answers “{answer}” to every validation pair: its scores are those of one answer"
    few = " Use more pairs, too." if curves.are_few else ""
    before = [one for one in curves.trained[:-1] if not one.is_one_answer]
    if before:
        seen += f". After epoch {before[-1].epoch} it still gave both: it collapsed."
        advice = f"Lower the learning rate, or stop earlier; another seed may do as well.{few}"
        yield Reading("collapsed", "warn", seen, advice)
    if curves.train and curves.train[0] > LN_2 + FALL:
        seen += (
            f". Training loss was {curves.train[0]:.2f} in the first epoch, above the {LN_2:.2f} of "
            "guessing: the steps were too large, and the model collapsed."
        )
        rate = f" (it reached {curves.peak_rate:g}; {USUAL_RATES} are usual)" if curves.peak_rate else ""
        yield Reading(
            "collapsed", "warn", seen, f"Lower the learning rate{rate}, or give it a longer warmup."
        )
    seen += ", and the curves show no learning."
    yield Reading("one answer", "warn", seen, f"Train for more steps, or change the learning rate.{few}")


def _read_fit(curves: Curves) -> Iterator[Reading]:
    """Yield how well the model fits, of a training with an epoch that is over."""
    train, trained = curves.train, curves.trained
    losses = [one.loss for one in curves.validation]
    last, lowest = trained[-1], curves.lowest

    if last.epoch != lowest.epoch and last.loss >= lowest.loss + RISE and len(train) > 1:
        at = min(max(lowest.epoch - 1, 0), len(train) - 2)
        if train[-1] < train[at]:
            pairs = f"more pairs ({curves.num_pairs:,} are few), fewer epochs"
            first = pairs if curves.are_few else "fewer epochs, more pairs"
            seen = (
                f"Validation loss has risen since epoch {lowest.epoch} ({lowest.loss:.2f} to "
                f"{last.loss:.2f}) while training loss falls: over-fitting. The best epoch by F1 was "
                f"{curves.best.epoch}."
            )
            advice = f"Use {first}, weight decay, or a lower learning rate."
            yield Reading("over-fitting", "warn", seen, advice)

    if curves.are_few and curves.is_at_majority:
        seen = (
            f"{curves.num_pairs:,} pairs are too few: accuracy {render_percent(curves.best.accuracy)} is no "
            f"better than always answering the majority, {render_percent(curves.majority)}."
        )
        yield Reading("too few pairs", "warn", seen, "Train on some thousand pairs.")

    if curves.is_over and last.epoch == lowest.epoch:
        still_falls = len(losses) > 1 and losses[-2] - losses[-1] > FALL
        is_high = losses[-1] > HIGH and bool(train) and train[-1] > losses[-1] + FALL
        if curves.is_at_majority or (still_falls and is_high):
            seen = (
                "Both losses are still high and falling at the end"
                if still_falls
                else "Training loss is still high at the end, and accuracy is no better than the majority"
            )
            advice = "Train for more epochs, or raise the learning rate."
            yield Reading("under-fitting", "warn", f"{seen}: under-fitting.", advice)

    if len(trained) > 2 and len(train) > 2:
        newest = [one.loss for one in trained[-3:]]
        if max(newest) - min(newest) < FLAT and max(train[-3:]) - min(train[-3:]) < FLAT:
            seen = "Neither loss has moved for three epochs: a plateau."
            yield Reading("plateau", "note", seen, "More epochs will not help; another learning rate may.")

    if len(trained) < 2:
        seen = f"Validation loss went from {losses[0]:.2f} to {last.loss:.2f}: it learns."
        yield Reading("learning", "good", seen)
    before = trained[-2]
    if abs(last.accuracy - before.accuracy) <= curves.chance and before.loss - last.loss <= FALL:
        seen = (
            f"Accuracy differs by {100 * abs(last.accuracy - before.accuracy):.1f} points between epochs "
            f"{before.epoch} and {last.epoch}; on {last.num_pairs:,} pairs chance alone gives "
            f"{100 * curves.chance:.1f} points (one standard error): noise only."
        )
        yield Reading("noise only", "note", seen, "Repeat with other seeds before you believe a difference.")
    seen = "Training and validation loss fall together: it learns what holds for other pairs, too."
    yield Reading("learning", "good", seen, "" if curves.is_over else "Let it go on.")
