"""What the training process reports, events and status, and whether the user asked it to stop.

Imports nothing heavy, so that a process can report before torch is there.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from mrpc.files import write_model
from mrpc.runs.events import BaseEvent, EvaluationEvent, PhaseEvent, StartedEvent, StepEvent, WarningEvent
from mrpc.runs.log import EventLog, read_last_step
from mrpc.runs.run import Run

logger = logging.getLogger("mrpc.training")

STATUS_EVERY_S = 0.5
RESERVED_BYTES = 256 * 1024


class StopTraining(BaseException):
    """The user asked for the end. Not an ``Exception``, so that no handler for errors catches it."""

    def __init__(self, save: bool) -> None:
        super().__init__(save)
        self.save = save


class Reporter:
    """Writes ``events.jsonl`` and ``status.json`` of one attempt, and looks for a request to stop.

    A small reserved file is deleted when the disk is full, so that there is room to report it.
    """

    def __init__(self, run: Run, attempt: int) -> None:
        self.run = run
        self.attempt = attempt
        self.preparing = True  # nothing is trained yet: a signal may end the process at once
        self.stop_signal = False
        self._reserve = run.paths.run_dir / ".reserve"
        self._reserve.write_bytes(b"\0" * RESERVED_BYTES)
        before = run.read_status()
        step = max(before.step, read_last_step(run.paths.events))
        self.status = before.model_copy(
            update={"attempt": attempt, "outcome": None, "error": None, "step": step}
        )
        self.log = EventLog(run.paths.events, attempt)
        self.listeners: list[Callable[[BaseEvent], None]] = []
        self._status_written_at = 0.0
        self._bar: tqdm[None] | None = None
        self._num_pairs, self._num_tokens, self._steps_s = 0, 0, 0.0

    def emit(self, event: BaseEvent) -> None:
        """Append an event and bring the status up to date with it."""
        self.log.append(event)
        for listen in self.listeners:
            listen(event)
        match event:
            case StepEvent():
                if self._bar is not None:
                    self._bar.set_postfix(loss=f"{event.loss:.3f}", epoch=f"{event.epoch:.2f}", refresh=False)
                    self._bar.update(event.step - self._bar.n)
                self._num_pairs += event.num_pairs
                self._num_tokens += event.num_tokens
                self._steps_s += event.duration_s
                tokens_per_pair = self._num_tokens / self._num_pairs
                self._update(
                    step=event.step,
                    epoch=event.epoch,
                    train_s=event.train_s,
                    tokens_per_s=round(self._num_tokens / max(self._steps_s, 1e-9), 1),
                    tokens_per_epoch=round(tokens_per_pair * (self.status.num_train_pairs or 0)),
                )
            case EvaluationEvent(split="validation"):
                self._update(evaluation_s=event.duration_s)
                scores = f"accuracy {event.accuracy:.4f}, F1 {event.f1:.4f}, loss {event.loss:.4f}"
                logger.info("validation after epoch %d: %s", event.epoch, scores)
                if event.is_best:
                    best = {"best_epoch": event.epoch, "best_f1": event.f1, "best_accuracy": event.accuracy}
                    self._update(write=True, **best)
            case StartedEvent():
                logger.info("%s, %d threads, %s", event.device, event.num_threads, event.mixed_precision)
            case PhaseEvent():
                logger.info("%s", event.phase)
                self._update(write=True, phase=event.phase)
            case WarningEvent():
                logger.warning("%s", event.message)

    def phase(self, phase: str) -> None:
        """Say what the process does now."""
        self.emit(PhaseEvent(step=self.status.step, phase=phase))

    def show_life(self) -> None:
        """Show that the process is alive."""
        self._update()

    def set_shape(self, num_steps: int, num_epochs: int, num_train_pairs: int) -> None:
        """Say how long the training is, and draw a progress bar on a terminal."""
        self._update(write=True, num_steps=num_steps, num_epochs=num_epochs, num_train_pairs=num_train_pairs)
        if sys.stderr.isatty():
            self._bar = tqdm(total=num_steps, initial=self.status.step, unit="step", dynamic_ncols=True)

    def end(self, event: BaseEvent, **status: object) -> None:
        """Write the terminal event, then the status that says the same."""
        if self._bar is not None:
            self._bar.close()
        self.log.append(event)
        self.log.sync()
        for listen in self.listeners:
            listen(event)
        self._update(write=True, **status)

    def free_reserve(self) -> None:
        """Free the reserved disk space."""
        self._reserve.unlink(missing_ok=True)

    def requested_stop(self) -> bool | None:
        """Return None if nobody asked for the end, else whether the weights are kept."""
        request = self.run.read_stop_request(self.attempt) if self.run.paths.stop.exists() else None
        if request is not None:
            return request.save
        return True if self.stop_signal else None

    def check_stop(self) -> None:
        """Raise :class:`StopTraining` if a signal or the stop file asks for the end."""
        save = self.requested_stop()
        if save is not None:
            raise StopTraining(save)

    def _update(self, write: bool = False, **fields: object) -> None:
        now = time.time()
        self.status = self.status.model_copy(update={**fields, "updated_at": now})
        if write or now - self._status_written_at > STATUS_EVERY_S:
            self.status = self.status.model_copy(update={"peak_memory_bytes": peak_memory_bytes()})
            write_model(self.run.paths.status, self.status)
            self._status_written_at = now


class SilentReporter(Reporter):
    """The reporter of the processes beside the main one: it writes and reads nothing."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.status = run.read_status()

    def emit(self, event: BaseEvent) -> None:
        """Do nothing; the main process does it."""

    def show_life(self) -> None:
        """Do nothing; the main process does it."""

    def set_shape(self, num_steps: int, num_epochs: int, num_train_pairs: int) -> None:
        """Do nothing; the main process does it."""

    def requested_stop(self) -> bool | None:
        """Do nothing; the main process does it."""
        return None


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far, in bytes; 0 where it is not known."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; its getrusage would start from the peak of the process that started this one
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line[:6] == "VmHWM:")
            * 1024
        )
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def add_log_file(path: Path) -> None:
    """Write the process's log messages to a file as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
