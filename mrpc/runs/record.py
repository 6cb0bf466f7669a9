"""What a run has recorded so far: the one reader of ``events.jsonl``.

A :class:`RunRecord` reads the log once and then only what is new in it; :class:`RunRecords` keeps one for
each run. Which epoch is the best is decided here, for the training as for the page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from mrpc.recent import Recent
from mrpc.runs import events as ev
from mrpc.runs.log import STEP_MARK, Step, StepColumns, identify, parse_step, read_lines, step_numbers

if TYPE_CHECKING:
    from mrpc.runs.run import Run

CHUNK_BYTES = 16 * 1024 * 1024
"""So much of a log is in memory at a time."""

SPEED_STEPS = 50
"""Speed, and the time that is left, are by so many newest steps."""

MAX_RECORDS = 500
MAX_WITH_STEPS = 16
"""So many of the records hold their steps: 7 MB for 100,000 of them."""


def is_new_best(epoch: int, f1: float, best_f1: float | None) -> bool:
    """Tell whether an evaluation on validation is the best of its run so far: the one rule.

    The untrained model, epoch 0, never is. F1 decides; of equal ones the earliest stays.

    Args:
        epoch: epochs trained before this evaluation.
        f1: its F1 on validation.
        best_f1: that of the best epoch before it; None when there was none.
    """
    return epoch > 0 and (best_f1 is None or f1 > best_f1)


def best_of(evaluations: Iterable[ev.EvaluationEvent]) -> ev.EvaluationEvent | None:
    """Return the best of the evaluations on validation, given by epoch; None before a trained one."""
    best: ev.EvaluationEvent | None = None
    for evaluation in evaluations:
        if is_new_best(evaluation.epoch, evaluation.f1, best.f1 if best else None):
            best = evaluation
    return best


def has_collapsed(evaluations: Sequence[ev.EvaluationEvent]) -> bool:
    """Tell whether the best or the last trained model gives every pair the same answer."""
    best = best_of(evaluations)
    judged = [best, evaluations[-1]] if best is not None else []
    return any(one.is_one_answer for one in judged)


class LastWeights(NamedTuple):
    """The weights in ``models/last``: after which step, and their sha256."""

    step: int
    sha256: str


class RunRecord:
    """The record of one run. Steps and evaluations are keyed, so that a repeated one replaces the first.

    It grows with :meth:`read_on`. Hold ``lock`` to read several attributes that must belong together.

    Attributes:
        lock: guards everything here.
        has_steps: False passes over the steps, which are most of a log, unread.
        offset: bytes of the log that were read.
        started: the shape of the training, once known.
        steps: what is kept of every optimizer step.
        evaluations: (split, epoch) -> event.
        pinned_pairs: epoch -> the answers to the pinned pairs.
        cuts: (last step before the cut, checkpoint step it went on from), oldest first.
        non_finite: numbers that were not finite.
        warnings: messages for the user, oldest first.
        checkpoint_step: the step of the newest checkpoint; None before the first.
        phase: what the process does now, in words.
        attempt: the newest attempt, 1-based.
        ends: the events that ended attempts, oldest first.
        num_unreadable: lines of the log that could not be understood.
    """

    def __init__(self, path: Path, has_steps: bool = True) -> None:
        self.lock = threading.RLock()
        self.has_steps = has_steps
        self._path = path
        self._file: tuple[int, int, int] | None = None  # inode, size and time of the log when last read
        self._forget()

    def _forget(self) -> None:
        self.offset = 0
        self.started: ev.StartedEvent | None = None
        self.steps = StepColumns()
        self.evaluations: dict[tuple[str, int], ev.EvaluationEvent] = {}
        self.pinned_pairs: dict[int, ev.PinnedPairEvent] = {}
        self.cuts: list[tuple[int, int]] = []
        self.non_finite: list[ev.NonFiniteEvent] = []
        self.warnings: list[str] = []
        self.checkpoint_step: int | None = None
        self.phase = "starting"
        self.attempt = 1
        self.ends: list[ev.TerminalEvent] = []
        self.num_unreadable = 0

    # ---------------------------------------------------------------- taking in

    def read_on(self) -> None:
        """Take in what is new in the log. A log that was replaced is read from its start.

        Raises:
            UnavailableError: when the log may not be read.
        """
        with self.lock:
            file = identify(self._path)
            if file == self._file:
                return
            if file is None or (self._file is not None and not _has_grown(self._file, file)):
                self._forget()
            is_more = True
            while is_more:
                page = read_lines(self._path, self.offset, CHUNK_BYTES)
                if page.is_replaced:
                    self._forget()
                self.fold_lines(page.lines)
                self.offset, is_more = page.offset, page.is_more
            self._file = file

    def fold_lines(self, lines: Iterable[bytes]) -> None:
        """Take in lines of the log, in its order. One that cannot be understood is counted."""
        for line in lines:
            try:
                if STEP_MARK not in line:
                    self.fold([ev.EVENT_ADAPTER.validate_json(line)])
                elif self.has_steps:
                    step = parse_step(line)
                    self.attempt = step["attempt"]
                    self.steps.put(step_numbers(step))
            except ValidationError:
                self.num_unreadable += 1

    def fold(self, events: Iterable[ev.Event]) -> None:
        """Take in events, in the order of the log."""
        for event in events:
            self.attempt = event.attempt
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
                    self.ends.append(event)

    # ---------------------------------------------------------------- giving out

    @property
    def terminal(self) -> ev.TerminalEvent | None:
        """The event that ended the newest attempt; None while it goes on."""
        with self.lock:
            return self.ends[-1] if self.ends and self.ends[-1].attempt == self.attempt else None

    @property
    def last_step(self) -> Step | None:
        """The newest step that was reported."""
        with self.lock:
            newest = self.steps.newest(1)
        return newest[0] if newest else None

    @property
    def last_weights(self) -> LastWeights | None:
        """The newest weights that were kept because an attempt ended; None before."""
        with self.lock:
            kept = [end for end in self.ends if isinstance(end, ev.FinishedEvent | ev.StoppedEvent)]
        return LastWeights(kept[-1].step, kept[-1].weights_sha256.get("last", "")) if kept else None

    def validation(self) -> list[ev.EvaluationEvent]:
        """Return the evaluations on validation by epoch."""
        with self.lock:
            found = [event for (split, _), event in self.evaluations.items() if split == "validation"]
        return sorted(found, key=lambda event: event.epoch)

    @property
    def by_epoch(self) -> dict[int, ev.EvaluationEvent]:
        """Epoch to its evaluation on validation, ascending; 0 is before training."""
        return {event.epoch: event for event in self.validation()}

    @property
    def best_epoch(self) -> int | None:
        """The best epoch so far, see :func:`is_new_best`; None before the first."""
        best = best_of(self.validation())
        return best.epoch if best else None

    def eta_s(self) -> float | None:
        """Estimate the seconds that are left from the newest steps and the evaluations."""
        with self.lock:
            last, recent, started = self.last_step, self.steps.newest(SPEED_STEPS), self.started
        if started is None or last is None or len(recent) < 3:
            return None
        per_step = sum(step.duration_s for step in recent) / len(recent)
        validations = self.validation()
        per_evaluation = validations[-1].duration_s if validations else 0.0
        evaluations_left = started.num_epochs - int(last.epoch + 1e-9)
        return (started.num_steps - last.step) * per_step + max(0, evaluations_left) * per_evaluation


class RunRecords:
    """The records of the runs that were asked for last, one a run. May be used from many threads."""

    def __init__(self) -> None:
        self._records: Recent[RunRecord] = Recent(MAX_RECORDS)
        self._with_steps: Recent[RunRecord] = Recent(MAX_WITH_STEPS)

    def read(self, run: Run, with_steps: bool = False) -> RunRecord:
        """Return the record of a run as it is now, at the cost of what is new in its log.

        Args:
            run: the run.
            with_steps: whether its steps are needed, too.

        Raises:
            UnavailableError: when the log may not be read.
        """
        record = None if with_steps else self._with_steps.get(run.run_id)
        if record is None:
            records = self._with_steps if with_steps else self._records
            record = records.once(run.run_id, lambda: RunRecord(run.paths.events, with_steps))
        record.read_on()
        return record


def _has_grown(before: tuple[int, int, int], now: tuple[int, int, int]) -> bool:
    """Tell whether it is still the same log: it only grows, so one of the same size has another content."""
    return now[0] == before[0] and now[1] > before[1]
