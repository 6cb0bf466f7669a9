"""What runs there are and how each is going, at the cost of what is new since the last look."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field

from mrpc.app.format import compose_title
from mrpc.config import TrainConfig
from mrpc.files import read_tail
from mrpc.runs.layout import RunStatus
from mrpc.runs.record import RunRecord, has_collapsed
from mrpc.runs.run import OVER_STATES, Run, RunState
from mrpc.runs.store import RunStore

LOG_TAIL_BYTES = 8_000
LOG_TAIL_LINES = 60

MAX_LOSSES = 500
"""Losses in one answer to a script that asks with a cursor."""

FROM_STATUS = {"best_epoch", "best_accuracy", "best_f1", "train_s", "step", "num_steps", "phase"}

NO_LOSSES = -1
"""The cursor of who wants none of the losses so far."""


class RunSummary(BaseModel):
    """One line of the run list. Scripts get it as JSON, without the last three.

    Attributes:
        run_id: the folder's name.
        name, note: what the user wrote.
        state: see :class:`mrpc.runs.run.RunState`.
        state_words: the same as people read it.
        data_kind, data_fingerprint: where the rows came from, and their hash.
        collapsed: whether its best or last model gives every validation pair the same answer.
        best_accuracy, best_f1: on validation, of the best epoch by F1; None before the first.
        train_s: training time so far, in seconds.
        created_at: unix time, in seconds.
        error: the cause of a failure in words.
        title: what people call it.
        hyperparameters: its settings.
        visitor: the mark of the visitor who started it; None for the owner's.
        num_used_pairs: what it is really trained on; None before it is known.
    """

    run_id: str
    name: str
    note: str
    state: RunState
    state_words: str
    preset: str
    loop: str
    checkpoint: str
    seed: int
    group: str | None
    data_kind: str
    data_fingerprint: str
    best_epoch: int | None
    best_accuracy: float | None
    best_f1: float | None
    collapsed: bool = False
    train_s: float
    created_at: float
    step: int
    num_steps: int | None
    phase: str
    has_weights: bool
    error: str | None
    title: str = Field(exclude=True)
    hyperparameters: TrainConfig = Field(exclude=True)
    visitor: str | None = Field(None, exclude=True)
    num_used_pairs: int | None = Field(None, exclude=True)


@dataclass(frozen=True)
class RunView:
    """Everything that a page shows of one run.

    Attributes:
        run: the run itself.
        state: what it is doing now.
        status: its newest summary.
        history: curves and evaluations; shared and growing, so read it under its lock.
        version: changes whenever something that a page draws has changed.
    """

    run: Run
    state: RunState
    status: RunStatus
    history: RunRecord
    version: str


def list_runs(store: RunStore) -> list[RunSummary]:
    """Return every run, the newest first."""
    return [_summarize(store, run) for run in store.list()]


def watch(store: RunStore, run_id: object) -> RunView:
    """Return the state of a run and its curves so far. Many pages that poll one run share one record.

    Raises:
        UnknownRunError: when there is no such run.
    """
    run = store.open(run_id)
    # The state first: it is never newer than the curves that go with it.
    state, status = run.state(), run.read_status()
    record = store.records.read(run, with_steps=True)
    version = f"{run_id}:{record.offset}:{state}:{status.phase}"
    return RunView(run, state, status, record, version)


def read_log_tail(run: Run) -> str:
    """Return the last lines that the process printed."""
    tail = read_tail(run.paths.log, LOG_TAIL_BYTES)
    lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


def run_status(store: RunStore, run_id: object, cursor: int | None = None) -> dict[str, object]:
    """Return how a run is going as a plain object, for scripts.

    Args:
        store: the runs.
        run_id: the run.
        cursor: the losses after this step come, at most :data:`MAX_LOSSES`; -1 for none. None for all.

    Returns:
        with ``cursor``: the step of the last loss, or the newest step where none was asked for.
    """
    view = watch(store, run_id)
    with view.history.lock:
        history = view.history
        last = history.last_step
        losses = [
            [int(step), loss]
            for step, loss in zip(history.steps.column("step"), history.steps.column("loss"), strict=True)
        ]
        newest = losses[-1][0] if losses else 0
        if cursor is not None:
            after = newest if cursor == NO_LOSSES else cursor
            losses = [row for row in losses if row[0] > after][:MAX_LOSSES]
            newest = losses[-1][0] if losses else after
        return {
            "run_id": run_id,
            "state": str(view.state),
            "state_words": view.run.state_words(view.state),
            "phase": view.status.phase,
            "step": last.step if last else 0,
            "num_steps": history.started.num_steps if history.started else None,
            "epoch": last.epoch if last else 0.0,
            "eta_s": None if view.state in OVER_STATES else history.eta_s(),
            "evaluations": [
                {"epoch": e.epoch, "step": e.step, "loss": e.loss, "accuracy": e.accuracy, "f1": e.f1}
                for e in history.validation()
            ],
            "losses": losses,
            "cursor": newest,
            "error": view.run.error() if view.state is RunState.FAILED else None,
        }


def _summarize(store: RunStore, run: Run) -> RunSummary:
    status, label, train = run.read_status(), run.read_label(), run.config.hyperparameters
    state = run.state()
    evaluations = [] if status.best_f1 is None else store.records.read(run).validation()
    return RunSummary(
        run_id=run.run_id,
        name=label.name,
        note=label.note,
        state=state,
        state_words=run.state_words(state),
        **train.model_dump(include={"preset", "loop", "checkpoint", "seed"}),
        **status.model_dump(include=FROM_STATUS),
        group=run.config.group,
        data_kind=run.config.data.kind,
        data_fingerprint=run.config.data.fingerprint,
        collapsed=has_collapsed(evaluations),
        created_at=run.config.created_at,
        has_weights=run.has_weights(),
        error=run.error() if state is RunState.FAILED else None,
        title=compose_title(label.name, train, status.num_train_pairs),
        hyperparameters=train,
        visitor=run.config.visitor,
        num_used_pairs=status.num_train_pairs,
    )
