"""Train a run in the very process of the test: seconds instead of the start of a process."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from accelerate.state import AcceleratorState, GradientState

from mrpc.config import build_config
from mrpc.core.data.load import load_data
from mrpc.runs import events as ev
from mrpc.runs.layout import DataRef, TrackerName
from mrpc.runs.log import read_events
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from mrpc.settings import LaunchedProcesses
from mrpc.training.__main__ import main
from mrpc.training.ranks import join
from mrpc.training.report import Reporter
from mrpc.training.session import TrainingSession, select_loop
from mrpc.training.setup import load_run_data


def make_run(
    runs_dir: Path,
    data_dir: Path,
    checkpoint_dir: Path | None,
    log_with: TrackerName | None = None,
    **values: Any,
) -> Run:
    """Make a run; without a checkpoint folder it starts from the bundled checkpoint."""
    if checkpoint_dir is not None:
        values = {"checkpoint": f"local:{checkpoint_dir.name}", **values}
    config = build_config({"preset": "course", **values})
    data = DataRef.model_validate(load_data("folder", data_dir))
    return RunStore(runs_dir).create(config, data, checkpoint_dir, log_with=log_with)


def forget_accelerator() -> None:
    """Let accelerate look at its surroundings anew, as in a new process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def open_session(run: Run) -> TrainingSession:
    """Return a session that has begun, as the training process would have it."""
    forget_accelerator()
    report = Reporter(run, attempt=1)
    session = TrainingSession(run, load_run_data(run), report, join(LaunchedProcesses()))
    report.preparing = False
    session.begin()
    return session


def train_here(run: Run) -> Run:
    """Train a run to its end."""
    session = open_session(run)
    select_loop(run.config.hyperparameters.loop)(session)
    session.finish()
    return run


def run_training(run: Run) -> int:
    """Do what ``python -m mrpc.training RUN_DIR`` does, and return its exit code."""
    forget_accelerator()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return main([str(run.paths.run_dir)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def steps(run: Run) -> list[ev.StepEvent]:
    return [event for event in read_events(run.paths.events) if isinstance(event, ev.StepEvent)]


def evaluations(run: Run) -> list[ev.EvaluationEvent]:
    return [event for event in read_events(run.paths.events) if isinstance(event, ev.EvaluationEvent)]


def train_records(run: Run, epoch: int) -> dict[str, list[Any]]:
    """Return idx, loss and prob_equivalent of the pairs that passed in an epoch."""
    return pq.read_table(run.paths.train_records(epoch)).to_pydict()
