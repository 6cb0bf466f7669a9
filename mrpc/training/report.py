"""What the training process reports: events and status, why it failed, the same numbers to a tracker.

It also looks whether the user asked for the end. Imports nothing heavy, so that a process can report before
torch is there.
"""

from __future__ import annotations

import errno
import logging
import sys
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mrpc.errors import MrpcError, TrainingError, UnavailableError
from mrpc.files import write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import TrackerName
from mrpc.runs.log import EventLog, read_last_step
from mrpc.runs.run import Run

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

logger = logging.getLogger("mrpc.training")

STATUS_EVERY_S = 0.5
RESERVED_BYTES = 256 * 1024
TRACEBACK_LINES = 12
MEMORY_SIGNS = ("allocate memory", "out of memory", "could not create a primitive")
"""What torch, CUDA and oneDNN say when there is no memory left."""

TRACKER_PROJECT = "mrpc-lab"

ABANDONED = TrainingError(
    "The launcher ended this process, because another process of the training died or it was stopped itself.",
    "The log tells what the other process said last. Resume goes on from the newest checkpoint.",
)


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
        self.listeners: list[Callable[[ev.BaseEvent], None]] = []
        self._status_written_at = 0.0
        self._bar: tqdm[None] | None = None
        self._num_pairs, self._num_tokens, self._steps_s = 0, 0, 0.0

    def emit(self, event: ev.BaseEvent) -> None:
        """Append an event and bring the status up to date with it."""
        self.log.append(event)
        for listen in self.listeners:
            listen(event)
        match event:
            case ev.StepEvent():
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
            case ev.EvaluationEvent(split="validation"):
                self._update(evaluation_s=event.duration_s)
                scores = f"accuracy {event.accuracy:.4f}, F1 {event.f1:.4f}, loss {event.loss:.4f}"
                logger.info("validation after epoch %d: %s", event.epoch, scores)
                if event.is_best:
                    best = {"best_epoch": event.epoch, "best_f1": event.f1, "best_accuracy": event.accuracy}
                    self._update(write=True, **best)
            case ev.StartedEvent():
                logger.info("%s, %d threads, %s", event.device, event.num_threads, event.mixed_precision)
            case ev.PhaseEvent():
                logger.info("%s", event.phase)
                self._update(write=True, phase=event.phase)
            case ev.WarningEvent():
                logger.warning("%s", event.message)

    def phase(self, phase: str) -> None:
        """Say what the process does now."""
        self.emit(ev.PhaseEvent(step=self.status.step, phase=phase))

    def show_life(self) -> None:
        """Show that the process is alive."""
        self._update()

    def set_shape(self, num_steps: int, num_epochs: int, num_train_pairs: int) -> None:
        """Say how long the training is, and draw a progress bar on a terminal."""
        self._update(write=True, num_steps=num_steps, num_epochs=num_epochs, num_train_pairs=num_train_pairs)
        if sys.stderr.isatty():
            self._bar = tqdm(total=num_steps, initial=self.status.step, unit="step", dynamic_ncols=True)

    def end(self, event: ev.BaseEvent, **status: object) -> None:
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

    def emit(self, event: ev.BaseEvent) -> None:
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


def record_failure(error: Exception, report: Reporter) -> None:
    """Write why a training failed, as the last event of its attempt."""
    report.free_reserve()
    cause, suggestion = explain_failure(error)
    lines = traceback.format_exception(error)
    tail = "\n".join("".join(lines).splitlines()[-TRACEBACK_LINES:])
    event = ev.FailedEvent(step=report.status.step, cause=cause, suggestion=suggestion, traceback=tail)
    report.end(event, phase="failed", outcome="failed", error=cause)


def explain_failure(error: Exception) -> tuple[str, str]:
    """Say in words why a training ended, and one thing to do about it."""
    text = str(error) or type(error).__name__
    if isinstance(error, TrainingError):
        return text, error.suggestion
    if "transport/tcp" in text or "NCCL" in text:
        return f"Another process of this training ended: {text}", ABANDONED.suggestion
    if isinstance(error, MrpcError):
        return text, "Correct the cause named in the message and start again."
    if _is_full_disk(error):
        return f"The disk is full: {text}.", "Free some space or choose another runs folder, then resume."
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"A file may not be written: {text}.", "Make the runs folder writable, then resume."
    if isinstance(error, FileNotFoundError):
        return f"A file is gone: {text}.", "Put it back, or start a new run."
    if isinstance(error, MemoryError) or any(sign in text for sign in MEMORY_SIGNS):
        return f"The memory is exhausted: {text}", "Use a smaller batch or a shorter max length."
    return f"{type(error).__name__}: {text}", "The last lines of the log tell more."


def _is_full_disk(error: Exception) -> bool:
    """Recognise a full disk also where safetensors and torch tell it in words of their own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    signs = ("No space left on device", "File too large", "PytorchStreamWriter failed", "unexpected pos")
    return any(sign in str(error) for sign in signs)


def check_tracker(name: TrackerName) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        UnavailableError: says how to install it.
    """
    if find_spec(name) is None:
        raise UnavailableError(f"--log-with {name} needs the package {name}. pip install {name} brings it.")


class Tracking:
    """Forwards events to a tracker; call it with each event."""

    def __init__(self, name: TrackerName, run: Run) -> None:
        self.name = name
        self.run = run
        self._tracker: GeneralTracker | None = None

    def __call__(self, event: ev.BaseEvent) -> None:
        """Take in one event."""
        match event:
            case ev.StartedEvent():
                self._start(event.step)
            case ev.StepEvent():
                self._log(event, "train", "loss", "learning_rate", "grad_norm", "epoch")
            case ev.EvaluationEvent():
                self._log(event, event.split, "loss", "accuracy", "f1")
            case ev.FinishedEvent() | ev.StoppedEvent() | ev.FailedEvent():
                if self._tracker is not None:
                    self._tracker.finish()

    def _start(self, step: int) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        run_id, folder = self.run.run_id, self.run.paths.trackers
        folder.mkdir(exist_ok=True)
        tracker_class: Any = LOGGER_TYPE_TO_CLASS[self.name]
        match self.name:
            case "tensorboard":  # what a cut attempt wrote after the checkpoint is hidden
                tracker = tracker_class(run_id, str(folder), purge_step=step + 1 if step else None)
            case "trackio":
                tracker = tracker_class(TRACKER_PROJECT, name=run_id, resume="allow")
            case "wandb":
                tracker = tracker_class(
                    TRACKER_PROJECT, name=run_id, id=run_id, resume="allow", dir=str(folder)
                )
        tracker.start()
        if step == 0:
            tracker.store_init_configuration(self.run.config.hyperparameters.model_dump())
        self._tracker = tracker

    def _log(self, event: ev.BaseEvent, group: str, *names: str) -> None:
        if self._tracker is not None:
            values = {f"{group}/{name}": getattr(event, name) for name in names}
            self._tracker.log(values, step=event.step)
