"""Start, stop and resume training processes, and ask for predictions on test.

The processes belong to nobody: they live on when the page, or the app, is closed. What is known about them is
in the run directory.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import mrpc
from mrpc.config import TrainConfig, build_config
from mrpc.errors import BusyError, ConfigError, RunStateError
from mrpc.runs.layout import DataRef
from mrpc.runs.process import find_process
from mrpc.runs.store import ALIVE_STATES, Run, RunState, RunStore
from mrpc.settings import Settings, training_environment

if TYPE_CHECKING:
    from mrpc.core.data import LoadedData

logger = logging.getLogger(__name__)

PROJECT_DIR = Path(mrpc.__file__).resolve().parent.parent
EXIT_BUSY = 75
START_TIMEOUT_S = 5.0
DISCARD_TIMEOUT_S = 4.0
SAVE_TIMEOUT_S = 60.0
NICENESS = 10
RESUMABLE_STATES = frozenset({RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED})
LOG_TAIL_BYTES = 2000


class Launcher:
    """Starts and ends training processes in one runs folder."""

    def __init__(self, store: RunStore, load_data: Callable[[], LoadedData], settings: Settings) -> None:
        """Bind to a runs folder.

        Args:
            store: the runs.
            load_data: gives the data that a new run uses.
            settings: names the local checkpoint folders.
        """
        self._store = store
        self._load_data = load_data
        self._checkpoint_dirs = {f"local:{path.name}": path for path in settings.checkpoint_dirs}
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, values: Mapping[str, Any], group: str | None = None) -> str:
        """Start a training and return its run id once its process holds the lock.

        Args:
            values: hyperparameters, laid over their preset.
            group: shared by runs that differ in their seed alone.

        Raises:
            ConfigError: when a value is not allowed.
            BusyError: when another training is under way.
            RunStateError: when the process could not be started.
        """
        config = build_config(values)
        self.check_checkpoint(config)
        self._refuse_if_busy()
        data = DataRef.model_validate(self._load_data())
        run = self._store.create(config, data, self._checkpoint_dirs.get(config.checkpoint), group)
        try:
            self._launch(run)
        except (BusyError, RunStateError):
            self._store.remove(run)
            raise
        return run.run_id

    def resume(self, run_id: str) -> str:
        """Continue a run that was cut, stopped or failed, from its newest checkpoint.

        Raises:
            RunStateError: when the run is under way or finished.
            BusyError: when another training is under way.
        """
        run = self._store.open(run_id)
        state = run.state()
        if state not in RESUMABLE_STATES:
            raise RunStateError(
                f"Run {run_id} is {state}; only stopped, failed or interrupted runs can go on."
            )
        self._refuse_if_busy()
        self._launch(run)
        return run.run_id

    def stop(self, run_id: str, save: bool) -> None:
        """Ask a training to end after its step, and see to it that it does.

        Args:
            run_id: the run.
            save: keep a checkpoint and the weights so far, or delete all weights.

        Raises:
            RunStateError: when the run is not under way.
        """
        run = self._store.open(run_id)
        state = run.state()
        if state not in ALIVE_STATES:
            raise RunStateError(f"Run {run_id} is {state}; there is nothing to stop.")
        run.request_stop(save)
        info = run.read_process()
        process = find_process(info) if info is not None else None
        if process is None:
            return
        if os.name != "nt":  # there, terminate() would kill
            _signal(process.terminate)
        threading.Thread(target=self._see_to_the_end, args=(run, process, save), daemon=True).start()

    def kill(self, run_id: str) -> None:
        """End a training at once; the last checkpoint stays.

        Raises:
            RunStateError: when the run is not under way.
        """
        run = self._store.open(run_id)
        info = run.read_process()
        process = find_process(info) if info is not None else None
        if process is None:
            raise RunStateError(f"Run {run_id} has no process any more.")
        if info is not None and run.read_stop_request(info.attempt) is None:
            run.request_stop(save=True)
        _kill_tree(process)

    def evaluate_test(self, run_id: str) -> None:
        """Predict test with the run's base and best model in a process of its own.

        Raises:
            RunStateError: when the run has no weights.
            BusyError: when a training is under way.
        """
        run = self._store.open(run_id)
        if not run.has_weights():
            raise RunStateError(f"Run {run_id} has no fine-tuned weights to evaluate.")
        self._refuse_if_busy()
        self._spawn(run, "--evaluate", "test")

    def check_checkpoint(self, config: TrainConfig) -> None:
        """Refuse a checkpoint that is neither in the list nor named on the command line.

        Raises:
            ConfigError: naming what is allowed.
        """
        from mrpc.core.checkpoints import CHECKPOINTS

        allowed = [*CHECKPOINTS, *self._checkpoint_dirs]
        if config.checkpoint not in allowed:
            raise ConfigError(f"checkpoint is {config.checkpoint[:60]!r}; allowed: {', '.join(allowed)}.")

    def _refuse_if_busy(self) -> None:
        holder = self._store.holder()
        if holder is not None:
            raise BusyError(
                f"A training is under way already: run {holder.run_id}. Stop it or wait for its end.",
                holder.run_id,
            )

    def _launch(self, run: Run) -> None:
        before = run.read_process()
        attempt = before.attempt + 1 if before is not None else 1
        child = self._spawn(run)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            info = run.read_process()
            if info is not None and info.attempt == attempt:
                return
            code = child.poll()
            if code == EXIT_BUSY:
                self._refuse_if_busy_within(2.0)
                raise BusyError("A training is under way already in this runs folder.")
            if code is not None:
                raise RunStateError(
                    f"The training process ended at once (exit code {code}): {_tail(run.paths.log)}"
                )
            time.sleep(0.02)
        logger.warning("run %s: the process has not reported after %.0f s", run.run_id, START_TIMEOUT_S)

    def _refuse_if_busy_within(self, seconds: float) -> None:
        """Wait a moment for the winner of a race to write who it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._refuse_if_busy()
            time.sleep(0.05)

    def _spawn(self, run: Run, *arguments: str) -> subprocess.Popen[bytes]:
        self._children = [child for child in self._children if child.poll() is None]  # reaps those that ended
        with run.paths.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "mrpc.training", str(run.paths.run_dir), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_DIR,
                env=training_environment(),
                start_new_session=True,
            )
        self._children.append(child)
        process = psutil.Process(child.pid)
        _signal(lambda: process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS))
        return child

    def _see_to_the_end(self, run: Run, process: psutil.Process, save: bool) -> None:
        """Kill a process that does not end by itself; delete the weights if they are not wanted."""
        asked_at = time.time()
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            last_sign = max(asked_at, run.read_status().updated_at) if save else asked_at
            if time.time() - last_sign > (SAVE_TIMEOUT_S if save else DISCARD_TIMEOUT_S):
                logger.warning("run %s does not end by itself and is killed", run.run_id)
                _kill_tree(process)
                break
            time.sleep(0.1)
        if not save:
            run.discard_weights()
        for child in self._children:
            child.poll()


def _kill_tree(process: psutil.Process) -> None:
    """Kill a process and all it started."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        _signal(member.kill)
    psutil.wait_procs(family, timeout=2.0)


def _signal(send: Callable[[], Any]) -> None:
    try:
        send()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        logger.debug("the process was gone already")


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        return "its log is empty"
