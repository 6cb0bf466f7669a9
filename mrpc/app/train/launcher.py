"""Start, queue, stop and resume trainings, and ask for predictions on test.

What is known about a training is in its run directory; an app that was restarted knows as much as before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mrpc.app.train.accelerate_config import check_accelerate_config
from mrpc.app.train.processes import (
    count_cuda_devices,
    has_ended,
    kill_tree,
    signal_quietly,
    spawn,
    spawn_attempt,
    training_command,
)
from mrpc.app.train.zero_gpu import Loans, borrow
from mrpc.app.visitors import Visitors, caller, is_too_long
from mrpc.config import TrainConfig, build_config
from mrpc.errors import BusyError, MrpcError, RunStateError
from mrpc.files import disk_errors_explained
from mrpc.runs.layout import DataRef
from mrpc.runs.queue import RunQueue
from mrpc.runs.run import ALIVE_STATES, Run, RunState
from mrpc.runs.store import RunStore, busy_error
from mrpc.settings import accelerate_config_file

if TYPE_CHECKING:
    from mrpc.app.checkpoints import CheckpointShelf
    from mrpc.core.data.load import LoadedData

logger = logging.getLogger(__name__)

DISCARD_TIMEOUT_S = 4.0
SAVE_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 10.0
GPU_WAIT_S = 60.0
"""So long a start waits for a GPU to be lent; the run begins all the same when one is."""

QUEUE_POLL_S = 1.0


class Launcher:
    """Starts and ends training processes in one runs folder."""

    def __init__(
        self,
        store: RunStore,
        load_data: Callable[[], LoadedData],
        checkpoints: CheckpointShelf,
        visitors: Visitors | None = None,
        loans: Loans | None = None,
    ) -> None:
        """Bind to a runs folder.

        Args:
            store: the runs.
            load_data: gives the data that a new run uses.
            checkpoints: those that may be chosen.
            visitors: holds visitors to what they may do.
            loans: on a ZeroGPU Space, what borrows a GPU.
        """
        self._loans = loans
        self._visitors = visitors or Visitors(store)
        self.queue = RunQueue(store.runs_dir)
        self._store = store
        self._load_data = load_data
        self._checkpoints = checkpoints
        self._queue_watch: threading.Thread | None = None
        self._launching = threading.Lock()

    @disk_errors_explained()
    def start(self, values: Mapping[str, object], data: DataRef | None = None) -> str:
        """Start a training and return its run id once its process holds the lock.

        Args:
            values: hyperparameters, laid over their preset.
            data: to train on; None for that of the app.

        Raises:
            ConfigError: when a value is not allowed.
            BusyError: when another training is under way; names it.
            UnavailableError: when the data, the checkpoint or the disk is not available.
            RunStateError: when the process could not be started; the run is kept as failed, with its log.
        """
        config = build_config(values)
        self._checkpoints.spec(config.checkpoint)
        self._refuse_if_busy()
        run = self._create(config, data)
        try:
            self._launch(run)
        except BusyError:
            self._store.remove(run)
            raise
        return run.run_id

    @disk_errors_explained()
    def add_to_queue(
        self, values: Mapping[str, object], data: DataRef | None = None, group: str | None = None
    ) -> str:
        """Make a run that trains when those before it have ended, and return its id.

        Args:
            values: hyperparameters, laid over their preset.
            data: to train on; None for that of the app.
            group: shared by runs that differ in their seed alone.

        Raises:
            ConfigError: when a value is not allowed.
            UnavailableError: when the data, the checkpoint or the disk is not available.
        """
        run = self._create(build_config(values), data, group)
        self.queue.add(run.run_id)
        return run.run_id

    @disk_errors_explained()
    def remove_from_queue(self, run_id: object) -> None:
        """Take a waiting run, which holds nothing but its settings, out of the queue and delete it.

        Raises:
            RunStateError: when it does not wait.
        """
        run = self._store.open(run_id)
        self._visitors.check_own(run)
        self.queue.remove(run_id)
        self._store.remove(run)

    def start_next(self) -> str | None:
        """Start the head of the queue if nothing trains; return its id, or None."""
        waiting = self.queue.read()
        if not waiting or self._store.holder() is not None:
            return None
        try:
            run = self._store.open(waiting[0])
            if run.state() is RunState.QUEUED:
                self._launch(run)
        except BusyError:
            return None
        except MrpcError as error:  # a run that cannot start must not block those behind it
            logger.warning("run %s leaves the queue: %s", waiting[0], error)
        try:
            self.queue.remove(waiting[0])
        except RunStateError:  # another app was quicker
            return None
        return waiting[0]

    def watch_queue(self) -> None:
        """Start the heads of the queue from now on, in a thread that lives as long as the app."""
        if self._queue_watch is None:
            self._queue_watch = threading.Thread(target=self._keep_queue_moving, daemon=True)
            self._queue_watch.start()

    @disk_errors_explained()
    def resume(self, run_id: object) -> str:
        """Continue a run that was cut, stopped or failed, from its newest checkpoint.

        Raises:
            RunStateError: when the run is under way, finished or discarded, or its loop cannot go on exactly.
            BusyError: when another training is under way.
            UnavailableError: when the checkpoint or the disk is not available.
        """
        run = self._store.open(run_id)
        trouble = run.why_no_resume(run.state(), self._store.records.read(run))
        if trouble:
            raise RunStateError(trouble)
        self._refuse_if_busy()
        self._require_means(run.config.hyperparameters, run.config.checkpoint_dir)
        self._launch(run)
        return run.run_id

    @disk_errors_explained()
    def stop(self, run_id: object, save: bool) -> None:
        """Ask a training to end after its step, and make sure that it does.

        Args:
            run_id: the run.
            save: keep a checkpoint and the weights so far, or delete all weights.

        Raises:
            RunStateError: when the run is not under way.
            AccessError: when it is not the visitor's own.
        """
        run = self._store.open(run_id)
        self._visitors.check_own(run)
        state = run.state()
        if state not in ALIVE_STATES:
            raise RunStateError(f"Run {run_id} is {run.state_words(state)}; there is nothing to stop.")
        process = run.living_process()
        try:
            run.request_stop(save)
        except OSError:
            if process is None or not save:
                raise
            # On a full disk the signal has to do: by itself it means the same.
        if process is None:
            return
        if os.name != "nt":  # there, terminate() would kill
            signal_quietly(process.terminate)
        threading.Thread(target=_ensure_end, args=(run, process, save), daemon=True).start()

    def stop_before_the_end(self) -> Run | None:
        """Stop the training that would die with this app, wait for its checkpoint, and return its run."""
        run = self._store.holder()
        if run is None or run.living_process() is None or run.state() not in ALIVE_STATES:
            return None
        self.stop(run.run_id, save=True)
        deadline = time.monotonic() + SAVE_TIMEOUT_S
        while run.is_trained() and time.monotonic() < deadline:
            time.sleep(0.05)
        return run

    def kill(self, run_id: object) -> None:
        """End a training at once; the last checkpoint stays.

        Raises:
            RunStateError: when the run is not under way.
            AccessError: when it is not the visitor's own.
        """
        run = self._store.open(run_id)
        self._visitors.check_own(run)
        info = run.read_process()
        process = run.living_process()
        if info is not None and process is None and run.is_trained():
            raise RunStateError(
                f"Run {run_id} trains in another container or on another machine (process {info.pid} on "
                f"{info.host}), so it cannot be killed from here. Stop reaches it; or end the process there."
            )
        if info is None or process is None:
            raise RunStateError(f"Run {run_id} has no process any more.")
        if run.read_stop_request(info.attempt) is None:
            run.request_stop(save=True)
        kill_tree(process)

    def evaluate_test(self, run_id: object) -> None:
        """Predict test with the run's base and best model in a process of its own.

        Raises:
            RunStateError: when the run has no weights.
            BusyError: when a training, or another prediction, is under way.
        """
        run = self._store.open(run_id)
        if not run.has_weights():
            raise RunStateError(f"Run {run_id} has no fine-tuned weights to evaluate.")
        self._refuse_if_busy()
        spawn(run, training_command(run, "--evaluate", "test"))

    def _create(self, config: TrainConfig, data: DataRef | None, group: str | None = None) -> Run:
        """Make the directory of a run that could load its checkpoint now."""
        self._require_means(config)
        num_train_pairs = None
        if data is None:
            from mrpc.core.data.load import keep_odd  # brings datasets along

            loaded = self._load_data()
            num_train_pairs = loaded.dataset["train"].num_rows
            data = DataRef.model_validate(keep_odd(loaded, self._store.data_dir))
        folder = self._checkpoints.spec(config.checkpoint).folder
        with self._visitors.admit(config, num_train_pairs) as visitor:
            return self._store.create(config, data, folder, group, visitor=visitor)

    def _require_means(self, config: TrainConfig, folder: Path | None = None) -> None:
        """Refuse what ``accelerate launch`` would fail on, by its file, or a checkpoint that is away."""
        path = accelerate_config_file()
        if config.loop == "accelerate" and path is not None:
            check_accelerate_config(path, count_cuda_devices)
        self._checkpoints.require(config.checkpoint, folder)

    def _launch(self, run: Run) -> None:
        with self._launching:  # of many Starts at once, one makes a process; the others find its lock held
            self._refuse_if_busy()
            try:
                if self._loans is not None and not caller().is_app:
                    self._launch_slice(run, self._loans)
                else:
                    spawn_attempt(run)
            except BusyError:  # lost the race to another app, or to a shell
                deadline = time.monotonic() + 2.0
                while time.monotonic() < deadline:  # the winner needs a moment to say who it is
                    self._refuse_if_busy()
                    time.sleep(0.05)
                raise
            except RunStateError as error:
                run.record_failed_launch(str(error))
                raise

    def _launch_slice(self, run: Run, loans: Loans) -> None:
        """Train a slice of a run on a GPU that is lent for it; wait until it has begun, within a limit."""
        before = run.read_process()
        attempt = before.attempt + 1 if before is not None else 1
        ended = borrow(loans, run)
        deadline = time.monotonic() + GPU_WAIT_S
        while time.monotonic() < deadline:
            run.wait_for_gpu()
            with contextlib.suppress(TimeoutError):
                error = ended.exception(timeout=0.5)
                if error is not None:
                    raise RunStateError(f"No GPU was lent: {error}")
            info = run.read_process()
            if ended.done() or (info is not None and info.attempt == attempt):
                return

    def _refuse_if_busy(self) -> None:
        deadline = time.monotonic() + EXIT_TIMEOUT_S
        holder = self._store.holder()
        while holder is not None and time.monotonic() < deadline:
            if holder.is_evaluated() or holder.state() in ALIVE_STATES:
                break
            time.sleep(0.05)  # its training is over, its process is about to end
            holder = self._store.holder()
        if holder is not None:
            raise busy_error(holder)

    def _keep_queue_moving(self) -> None:
        while True:
            time.sleep(QUEUE_POLL_S)
            try:
                self._end_long_preview()
                self.start_next()
            except OSError as error:  # a folder that is away for a moment
                logger.warning("the queue cannot be read: %s", error)

    def _end_long_preview(self) -> None:
        """Stop what a visitor trains longer than visitors may."""
        run = self._store.holder() if self._visitors.may_train else None
        if run is not None and run.state() is RunState.RUNNING and is_too_long(run):
            self.stop(run.run_id, save=True)


def _ensure_end(run: Run, process: psutil.Process, save: bool) -> None:
    """Kill a process that does not end by itself; delete the weights if they are not wanted."""
    asked_at = time.time()
    while not has_ended(process):
        last_sign = max(asked_at, run.read_status().updated_at) if save else asked_at
        if time.time() - last_sign > (SAVE_TIMEOUT_S if save else DISCARD_TIMEOUT_S):
            logger.warning("run %s does not end by itself and is killed", run.run_id)
            kill_tree(process)
            break
        time.sleep(0.1)
    if not save:
        run.discard_weights()
