"""One attempt to train a run, under its lock: signals, the session, and how it ended.

The main process records everything; under a launcher the others follow it. Whatever happens is in the run
directory afterwards: a terminal event and a true exit code.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.config import TrainConfig
from mrpc.errors import ConfigError, RunStateError
from mrpc.files import write_model
from mrpc.runs.events import StoppedEvent
from mrpc.runs.process import ExitCode, describe_this_process
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from mrpc.settings import LaunchedProcesses
from mrpc.training.report import (
    ABANDONED,
    Reporter,
    SilentReporter,
    StopTraining,
    Tracking,
    check_tracker,
    record_failure,
)

if TYPE_CHECKING:  # it imports torch, which comes after the lock
    from mrpc.training.session import TrainingSession

GRACE_S = 10.0
"""A process that has not handled a signal after so many seconds counts as blocked. torchrun waits 30."""


def check_loop(config: TrainConfig, launched: LaunchedProcesses) -> None:
    """Refuse what the chosen loop cannot do."""
    if launched.world_size > 1 and config.loop != "accelerate":
        raise ConfigError(
            f"{launched.world_size} processes were launched, but the loop {config.loop} trains in one. "
            "Use the loop accelerate."
        )


def train_attempt(run: Run, launched: LaunchedProcesses) -> int:
    """Run one attempt, under the lock, and record how it ended."""
    attempt = _next_attempt(run, launched)
    log_with = run.config.log_with
    if log_with is not None:
        check_tracker(log_with)
    report: Reporter | None = None
    heard: threading.Event | None = None
    too_early: list[int] = []
    can_record = False

    def on_signal(number: int, frame: object) -> None:
        if heard is not None:
            heard.set()
        if not can_record:
            too_early.append(number)
        elif report is not None and not report.preparing:
            report.stop_signal = True
        elif heard is not None and number == signal.SIGTERM and run.read_stop_request(attempt) is None:
            raise ABANDONED
        else:
            raise StopTraining(save=True)

    if threading.current_thread() is threading.main_thread():  # in another, the marker file has to do
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
    write_model(run.paths.process, describe_this_process(attempt, run.paths.run_dir, has_lock=True))
    session: TrainingSession | None = None
    try:
        report = Reporter(run, attempt)
        if log_with is not None:
            report.listeners.append(Tracking(log_with, run))
        if launched.world_size > 1:
            heard = watch_signals(partial(record_failure, ABANDONED, report), ExitCode.FAILED)
        can_record = True
        for early in too_early:
            on_signal(early, None)
        report.phase("importing libraries")
        with no_garbage_collection():
            from mrpc.training.ranks import join
            from mrpc.training.session import TrainingSession, select_loop
            from mrpc.training.setup import load_run_data

            train = select_loop(run.config.hyperparameters.loop)

        ranks = join(launched)
        ranks.broadcast(run.paths.run_dir)
        report.phase("loading the data")
        session = TrainingSession(run, load_run_data(run), report, ranks)
        report.preparing = False
        session.begin()
        train(session)
        session.finish()
        return ExitCode.FINISHED
    except StopTraining as stop:
        if report is None:
            return ExitCode.STOPPED
        return _record_stop(stop, report, session)
    except Exception as error:  # the one place that catches everything: it is recorded
        traceback.print_exc()
        if report is not None:
            record_failure(error, report)
        return ExitCode.FAILED
    finally:
        if report is not None:
            report.free_reserve()


def _next_attempt(run: Run, launched: LaunchedProcesses) -> int:
    """Return the number of the attempt that may begin now, from 1."""
    check_loop(run.config.hyperparameters, launched)
    before = run.read_process()
    if before is None:
        return 1
    if run.state() is RunState.FINISHED:
        raise RunStateError(f"Run {run.run_id} has finished; there is nothing left to train.")
    if trouble := run.why_loop_cannot_resume():
        raise RunStateError(trouble)
    return before.attempt + 1


def watch_signals(on_unheard: Callable[[], None], exit_code: int) -> threading.Event:
    """End this process when a signal arrives that its handler does not get to handle.

    Python runs signal handlers between two bytecodes, so a process that waits inside a collective operation
    for another one that died never handles TERM: torchrun kills it half a minute later, and no reason is
    recorded.

    Args:
        on_unheard: records the reason; called in a thread of its own.
        exit_code: the exit code in this case.

    Returns:
        An event that the signal handler must set when it is called.
    """
    heard = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(reader, 1):
            if not heard.wait(GRACE_S):
                try:
                    on_unheard()
                finally:
                    os._exit(exit_code)

    threading.Thread(target=watch, name="watch-signals", daemon=True).start()
    return heard


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Spare imports the search for garbage, a tenth of their time: what they make stays for good."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def follow(launched: LaunchedProcesses) -> int:
    """Train as one of the processes beside the main one, which names the run and records everything."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the main process handles them and decides when to stop
        signal.signal(number, signal.SIG_IGN)
    from mrpc.training.ranks import join
    from mrpc.training.session import TrainingSession, select_loop
    from mrpc.training.setup import load_run_data

    session: TrainingSession | None = None
    try:
        ranks = join(launched)
        run_dir = ranks.broadcast(Path())
        run = RunStore(run_dir.parent).open(run_dir.name)
        session = TrainingSession(run, load_run_data(run), SilentReporter(run), ranks)
        session.begin()
        select_loop(run.config.hyperparameters.loop)(session)
        return ExitCode.FINISHED
    except StopTraining as stop:
        if session is not None:
            session.stop(stop.save)
        return ExitCode.STOPPED


def _record_stop(stop: StopTraining, report: Reporter, session: TrainingSession | None) -> int:
    try:
        request = report.run.read_stop_request(report.attempt)
        save = request.save if request is not None else stop.save
        if session is not None and not report.preparing:
            session.stop(save)
        else:
            is_kept = save and any(report.run.paths.checkpoints.glob("step-*"))  # of an attempt before
            event = StoppedEvent(step=report.status.step, saved=is_kept)
            report.end(event, phase="stopped", outcome="stopped")
        return ExitCode.STOPPED
    except Exception as error:  # a full disk while the checkpoint is written, for one
        traceback.print_exc()
        record_failure(error, report)
        return ExitCode.FAILED
