"""Fold events into what a person sees of a run: curves, evaluations, progress.

Incremental: a poll folds only the lines that are new. Steps are most of a log and are kept as columns of
numbers, read without an event object each: a run of 100,000 steps takes 7 MB and a few tenths of a second.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from mrpc.runs import events as ev


class Step(NamedTuple):
    """What is kept of one optimizer step; see :class:`mrpc.runs.events.StepEvent`."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


class StepColumns:
    """The steps of a run in ascending order, each once: a step that comes again replaces the first."""

    def __init__(self) -> None:
        self._numbers = array("d")  # row after row

    def __len__(self) -> int:
        return len(self._numbers) // _WIDTH

    def put(self, step: tuple[float, ...]) -> None:
        """Take in one step, its numbers in the order of :class:`Step`."""
        numbers = self._numbers
        if not numbers or step[0] > numbers[-_WIDTH]:
            numbers.extend(step)
            return
        row = bisect_left(range(len(self)), step[0], key=lambda row: numbers[row * _WIDTH])
        start = row * _WIDTH
        end = start + _WIDTH if numbers[start] == step[0] else start
        numbers[start:end] = array("d", step)

    def column(self, name: str) -> array[float]:
        """Return one number of every step."""
        return self._numbers[Step._fields.index(name) :: _WIDTH]

    def newest(self, num: int) -> list[Step]:
        """Return the last steps, at most ``num``, in ascending order."""
        starts = range(max(0, len(self) - num) * _WIDTH, len(self._numbers), _WIDTH)
        return [_step(self._numbers[start : start + _WIDTH]) for start in starts]


@dataclass
class RunHistory:
    """The curves of one run. Steps and evaluations are keyed, so repeated ones replace the first.

    Attributes:
        started: the shape of the training, once known.
        steps: what is kept of every optimizer step.
        evaluations: (split, epoch) -> event.
        pinned_pairs: epoch -> event.
        cuts: (last step before the cut, checkpoint step it went on from), oldest first.
        non_finite: numbers that were not finite.
        warnings: messages for a person, oldest first.
        phase: what the process does now, in words.
        terminal: the event that ended the newest attempt, or None.
        num_unreadable: lines of the log that could not be understood.
    """

    started: ev.StartedEvent | None = None
    steps: StepColumns = field(default_factory=StepColumns)
    evaluations: dict[tuple[str, int], ev.EvaluationEvent] = field(default_factory=dict)
    pinned_pairs: dict[int, ev.PinnedPairEvent] = field(default_factory=dict)
    cuts: list[tuple[int, int]] = field(default_factory=list)
    non_finite: list[ev.NonFiniteEvent] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checkpoint_step: int | None = None
    phase: str = "starting"
    attempt: int = 1
    terminal: Any = None
    num_unreadable: int = 0

    def fold_lines(self, lines: Iterable[bytes]) -> None:
        """Take in new lines of the log, in its order. One that cannot be understood is counted."""
        for line in lines:
            try:
                if _STEP_MARK in line:
                    step = _parse_step(line)
                    self._go_on_with(step["attempt"])
                    self.steps.put(_step_numbers(step))
                else:
                    self.fold([ev.EVENT_ADAPTER.validate_json(line)])
            except ValidationError:
                self.num_unreadable += 1

    def fold(self, events: Iterable[Any]) -> None:
        """Take in new events, in the order of the log."""
        for event in events:
            self._go_on_with(event.attempt)
            match event:
                case ev.StepEvent():
                    self.steps.put(tuple(getattr(event, name) for name in Step._fields))
                case ev.EvaluationEvent():
                    self.evaluations[event.split, event.epoch] = event
                case ev.PinnedPairEvent():
                    self.pinned_pairs[event.epoch] = event
                case ev.StartedEvent():
                    self.started = event
                case ev.ResumedEvent():
                    self.cuts.append((event.cut_step, event.step))
                case ev.PhaseEvent():
                    self.phase = event.phase
                case ev.CheckpointEvent():
                    self.checkpoint_step = event.step
                case ev.NonFiniteEvent():
                    self.non_finite.append(event)
                case ev.WarningEvent():
                    self.warnings.append(event.message)
                case ev.FinishedEvent() | ev.StoppedEvent() | ev.FailedEvent():
                    self.terminal = event

    def _go_on_with(self, attempt: int) -> None:
        if attempt != self.attempt:
            self.attempt, self.terminal = attempt, None

    @property
    def last_step(self) -> Step | None:
        """The newest step that was reported."""
        newest = self.steps.newest(1)
        return newest[0] if newest else None

    def validation(self) -> list[ev.EvaluationEvent]:
        """Return the evaluations on validation by epoch."""
        return sorted(
            (e for e in self.evaluations.values() if e.split == "validation"), key=lambda e: e.epoch
        )

    def eta_s(self) -> float | None:
        """Estimate the seconds that are left from the newest 50 steps and the evaluations."""
        last = self.last_step
        if self.started is None or last is None or len(self.steps) < 3:
            return None
        recent = self.steps.newest(50)
        per_step = sum(step.duration_s for step in recent) / len(recent)
        validations = self.validation()
        per_evaluation = validations[-1].duration_s if validations else 0.0
        evaluations_left = self.started.num_epochs - int(last.epoch + 1e-9)
        return (self.started.num_steps - last.step) * per_step + max(0, evaluations_left) * per_evaluation


class _StepLine(TypedDict):
    """A line of the log with :class:`mrpc.runs.events.StepEvent`, as far as it is kept.

    A dictionary is checked four times as quickly as an event object is made.
    """

    v: Literal[1]
    attempt: int
    type: Literal["step"]
    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


_STEP_MARK = b'"type":"step"'
_WIDTH = len(Step._fields)
_parse_step = TypeAdapter(_StepLine).validate_json
_step_numbers = itemgetter(*Step._fields)


def _step(numbers: Iterable[float]) -> Step:
    step, epoch, loss, rate, num_pairs, num_tokens, num_padded, duration_s, train_s = numbers
    counts = int(num_pairs), int(num_tokens), int(num_padded)
    return Step(int(step), epoch, loss, rate, *counts, duration_s, train_s)
