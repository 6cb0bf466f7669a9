"""Fold events into what a person sees of a run: curves, evaluations, progress.

Incremental: a poll folds only the events that are new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mrpc.runs import events as ev


@dataclass
class RunHistory:
    """The curves of one run. Steps and evaluations are keyed, so repeated ones replace the first.

    Attributes:
        started: the shape of the training, once known.
        steps: optimizer step -> event.
        evaluations: (split, epoch) -> event.
        probes: epoch -> event.
        cuts: (last step before the cut, checkpoint step it went on from), oldest first.
        non_finite: numbers that were not finite.
        warnings: messages for a person, oldest first.
        phase: what the process does now, in words.
        terminal: the event that ended the newest attempt, or None.
        num_unreadable: lines of the log that could not be understood.
    """

    started: ev.StartedEvent | None = None
    steps: dict[int, ev.StepEvent] = field(default_factory=dict)
    evaluations: dict[tuple[str, int], ev.EvaluationEvent] = field(default_factory=dict)
    probes: dict[int, ev.ProbeEvent] = field(default_factory=dict)
    cuts: list[tuple[int, int]] = field(default_factory=list)
    non_finite: list[ev.NonFiniteEvent] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    checkpoint_step: int | None = None
    phase: str = "starting"
    attempt: int = 1
    terminal: Any = None
    num_unreadable: int = 0

    def fold(self, events: Iterable[Any]) -> None:
        """Take in new events, in the order of the log."""
        for event in events:
            if event.attempt != self.attempt:
                self.attempt, self.terminal = event.attempt, None
            match event:
                case ev.StepEvent():
                    self.steps[event.step] = event
                case ev.EvaluationEvent():
                    self.evaluations[event.split, event.epoch] = event
                case ev.ProbeEvent():
                    self.probes[event.epoch] = event
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

    @property
    def last_step(self) -> ev.StepEvent | None:
        """The newest step that was reported."""
        return self.steps[max(self.steps)] if self.steps else None

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
        recent = [self.steps[step] for step in sorted(self.steps)[-50:]]
        per_step = sum(step.duration_s for step in recent) / len(recent)
        validations = self.validation()
        per_evaluation = validations[-1].duration_s if validations else 0.0
        evaluations_left = self.started.num_epochs - int(last.epoch + 1e-9)
        return (self.started.num_steps - last.step) * per_step + max(0, evaluations_left) * per_evaluation
