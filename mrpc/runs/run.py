"""One run directory: what its files say, what state it is in, and what a person asks or writes of it."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from pydantic import ValidationError

from mrpc.config import RESUMABLE_LOOPS
from mrpc.errors import InputError, RunStateError
from mrpc.files import disk_errors_explained, read_model, write_model
from mrpc.runs.events import FailedEvent, StoppedEvent
from mrpc.runs.layout import (
    MAX_NAME_CHARS,
    MAX_NOTE_CHARS,
    MAX_PINNED_CHARS,
    MAX_PINNED_PAIRS,
    PinnedPair,
    PinnedPairsFile,
    ProcessInfo,
    RunConfig,
    RunLabel,
    RunPaths,
    RunStatus,
    StopRequest,
)
from mrpc.runs.log import read_terminal_event
from mrpc.runs.process import find_process, folder_id, is_held
from mrpc.runs.queue import RunQueue

if TYPE_CHECKING:
    from mrpc.runs.record import RunRecord

STARTING_GRACE_S = 10.0
"""A run without a process counts as starting for this long after it was created, in seconds."""

STALLED_AFTER_S = 90.0
"""A process that is alive but reports nothing for this long is stalled, in seconds."""


_LAST_SIGNS: dict[Path, tuple[float, float | None]] = {}
"""Of runs that seem silent by the clock: the time in their status, and when that was seen to change here."""


class RunState(StrEnum):
    """What a run is doing."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STALLED = "stalled"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


PAUSED = "paused: GPU time used"
"""What people read instead of "stopped" where Resume is all there is to do."""

ALIVE_STATES = frozenset({RunState.STARTING, RunState.RUNNING, RunState.STALLED, RunState.STOPPING})
RESUMABLE_STATES = frozenset({RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED})
OVER_STATES = RESUMABLE_STATES | {RunState.FINISHED}


@dataclass(frozen=True)
class Run:
    """One run directory, opened by :class:`RunStore`. Reads the files again at every call."""

    paths: RunPaths
    config: RunConfig

    @property
    def run_id(self) -> str:
        """The name of the run's folder."""
        return self.config.run_id

    def read_status(self) -> RunStatus:
        """Return the newest summary; an empty one before the first."""
        return read_model(self.paths.status, RunStatus) or RunStatus()

    def read_process(self) -> ProcessInfo | None:
        """Return which process trains, or last trained, this run."""
        return read_model(self.paths.process, ProcessInfo)

    def read_label(self) -> RunLabel:
        """Return the name and note that the user gave; empty ones if none."""
        return read_model(self.paths.label, RunLabel) or RunLabel()

    def read_pinned(self) -> list[PinnedPair]:
        """Return the pairs that the user pinned."""
        file = read_model(self.paths.pinned_pairs, PinnedPairsFile)
        return file.pairs if file is not None else []

    def read_stop_request(self, attempt: int) -> StopRequest | None:
        """Return the user's request to end this attempt, if there is one."""
        request = read_model(self.paths.stop, StopRequest)
        return request if request is not None and request.attempt == attempt else None

    def state(self) -> RunState:
        """Tell what the run is doing, from what its process wrote and whether that very process lives."""
        process = self.read_process()
        if process is None:
            if self.run_id in RunQueue(self.paths.run_dir.parent).read():
                return RunState.QUEUED
            outcome = self.read_status().outcome
            if outcome is not None:  # it could not even be launched
                return RunState(outcome)
            last_sign = max(self.config.created_at, self.read_status().updated_at)
            is_new = 0 <= time.time() - last_sign < STARTING_GRACE_S
            if self.read_stop_request(1) is not None:
                return RunState.STOPPING if is_new else RunState.STOPPED
            return RunState.STARTING if is_new else RunState.INTERRUPTED
        status = self.read_status()
        if status.attempt == process.attempt and status.outcome is not None:
            return RunState(status.outcome)
        stop_request = self.read_stop_request(process.attempt)
        if self._lives(process, self.paths.train_lock):
            if stop_request is not None:
                return RunState.STOPPING
            if status.attempt != process.attempt or status.updated_at == 0.0:
                return RunState.STARTING
            if self._is_silent(status):
                return RunState.STALLED
            return RunState.RUNNING
        terminal = read_terminal_event(self.paths.events, process.attempt)
        if terminal is not None:  # killed between its last event and its last status
            return RunState(terminal.type)
        return RunState.STOPPED if stop_request is not None else RunState.INTERRUPTED

    def _is_silent(self, status: RunStatus) -> bool:
        """Tell whether the process says nothing any more, also where its clock and ours differ."""
        if time.time() - status.updated_at <= STALLED_AFTER_S:
            return False
        last_sign, changed_at = _LAST_SIGNS.get(self.paths.status, (status.updated_at, None))
        if last_sign != status.updated_at:
            changed_at = time.monotonic()
        _LAST_SIGNS[self.paths.status] = status.updated_at, changed_at
        return changed_at is None or time.monotonic() - changed_at > STALLED_AFTER_S

    def is_trained(self) -> bool:
        """Tell whether a living process trains this run now, wherever it runs."""
        process = self.read_process()
        return process is not None and self._lives(process, self.paths.train_lock)

    def living_process(self) -> psutil.Process | None:
        """Return the process that trains this run now; None where it is not to be reached from here."""
        process = self.read_process()
        return self._find(process) if process is not None else None

    def is_evaluated(self) -> bool:
        """Tell whether a living process predicts test with this run's models now."""
        process = read_model(self.paths.evaluation, ProcessInfo)
        return process is not None and self._lives(process, self.paths.evaluation_lock)

    def _lives(self, process: ProcessInfo, lock: Path) -> bool:
        held = is_held(lock) if process.has_lock else None
        return self._find(process) is not None if held is None else held

    def _find(self, process: ProcessInfo) -> psutil.Process | None:
        """Return the process if it lives and trains this very folder, not one that this was copied from."""
        is_own = process.folder in ("", folder_id(self.paths.run_dir))
        return find_process(process) if is_own else None

    def error(self) -> str | None:
        """Return the cause of a failure in words, or None."""
        status = self.read_status()
        if status.error is not None:
            return status.error
        process = self.read_process()
        terminal = process and read_terminal_event(self.paths.events, process.attempt)
        return terminal.cause if isinstance(terminal, FailedEvent) else None

    def record_failed_launch(self, cause: str) -> None:
        """Note that no process could be started for a run that never had one."""
        if self.read_process() is None:
            write_model(self.paths.status, RunStatus(phase="failed", outcome="failed", error=cause))

    def request_stop(self, save: bool, reason: Literal["asked", "gpu time"] = "asked") -> None:
        """Ask the process to end. It looks for this before every step."""
        process = self.read_process()
        request = StopRequest(
            attempt=process.attempt if process else 1, save=save, requested_at=time.time(), reason=reason
        )
        write_model(self.paths.stop, request)

    def why_no_resume(self, state: RunState, record: RunRecord) -> str:
        """Say why this run cannot go on from its newest checkpoint; "" where it can.

        Args:
            state: of the run.
            record: what it has recorded.
        """
        if state not in RESUMABLE_STATES:
            return f"Run {self.run_id} is {state}; only stopped, failed or interrupted runs can go on."
        trouble = self.why_loop_cannot_resume()
        if trouble or not self._is_discarded(record):
            return trouble
        return (
            f"Run {self.run_id} was discarded: its weights and checkpoints are deleted. "
            "Start a new run with the same settings."
        )

    def why_loop_cannot_resume(self) -> str:
        """Say why the training loop of this run cannot go on where it was cut; "" where it can."""
        loop = self.config.hyperparameters.loop
        if loop in RESUMABLE_LOOPS:
            return ""
        return (
            f"Run {self.run_id} cannot go on: the loop {loop} writes no checkpoints, because transformers' "
            "Trainer would not continue exactly. Start a new run with the same settings."
        )

    def _is_discarded(self, record: RunRecord) -> bool:
        """Tell whether a person had the weights and checkpoints of this run deleted."""
        if isinstance(record.terminal, StoppedEvent):
            return not record.terminal.saved
        request = self.read_stop_request(record.attempt)
        return record.terminal is None and request is not None and not request.save

    @disk_errors_explained()
    def rename(self, name: object, note: object) -> None:
        """Give the run a name and a note.

        Raises:
            InputError: when one is too long or is not text.
        """
        try:
            label = RunLabel.model_validate({"name": name, "note": note}, strict=True)
        except ValidationError:
            raise InputError(
                f"A name may have {MAX_NAME_CHARS} characters and a note {MAX_NOTE_CHARS:,}."
            ) from None
        write_model(self.paths.label, label)

    @disk_errors_explained()
    def pin_pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Set the pairs whose probability is recorded after every evaluation.

        Raises:
            InputError: when there are too many, or a sentence is empty or too long.
            RunStateError: when the run has finished, so that no evaluation will follow.
        """
        if self.state() is RunState.FINISHED:
            raise RunStateError(
                f"Run {self.run_id} has finished: its record stays as it is. "
                "Ask its model about the pair under Compare."
            )
        if len(pairs) > MAX_PINNED_PAIRS:
            raise InputError(f"At most {MAX_PINNED_PAIRS} pairs can be pinned; these are {len(pairs)}.")
        try:
            pinned = [
                PinnedPair(pair_id=_pair_id(*pair), sentence1=pair[0], sentence2=pair[1])
                for pair in dict.fromkeys(pairs)
            ]
        except ValidationError:
            raise InputError(f"A pinned sentence must have 1 to {MAX_PINNED_CHARS:,} characters.") from None
        write_model(self.paths.pinned_pairs, PinnedPairsFile(pairs=pinned))

    def is_paused(self, state: RunState | None = None) -> bool:
        """Tell whether the newest attempt ended because the time for which a GPU was lent was over.

        Args:
            state: of the run, where it was asked for already.
        """
        if (state or self.state()) is not RunState.STOPPED:
            return False
        process = self.read_process()
        request = self.read_stop_request(process.attempt) if process else None
        return request is not None and request.reason == "gpu time"

    def state_words(self, state: RunState | None = None) -> str:
        """Return the state as people read it: a run that :meth:`is_paused` is not called stopped."""
        state = state or self.state()
        return PAUSED if self.is_paused(state) else str(state)

    def wait_for_gpu(self) -> None:
        """Note that the app waits for a GPU to be lent before a first process can train this run."""
        if self.read_process() is None:
            write_model(self.paths.status, RunStatus(phase="waiting for a GPU", updated_at=time.time()))

    def discard_weights(self) -> None:
        """Delete the weights and checkpoints; the log and the curves stay."""
        for directory in (self.paths.checkpoints, self.paths.models):
            shutil.rmtree(directory, ignore_errors=True)

    def has_weights(self) -> bool:
        """Tell whether there is a fine-tuned model to compare or download."""
        return (self.paths.best_model / "config.json").is_file()

    def best_files(self) -> dict[str, Path]:
        """Return the files of the best model by name, without links, which may lead out of the run."""
        files = sorted(self.paths.best_model.iterdir())
        return {file.name: file for file in files if file.is_file() and not file.is_symlink()}


def _pair_id(sentence1: str, sentence2: str) -> str:
    """Name a pair by its words, so that its record goes on when others are pinned or unpinned."""
    return "p" + hashlib.sha256(f"{sentence1}\0{sentence2}".encode()).hexdigest()[:12]
