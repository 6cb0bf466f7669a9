"""What runs there are and how each is going, at the cost of what is new since the last look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from mrpc.app.run_names import compose_title
from mrpc.app.train.scores import Scores, has_collapsed
from mrpc.config import TrainConfig
from mrpc.runs.history import RunHistory
from mrpc.runs.layout import RunStatus
from mrpc.runs.log import read_lines
from mrpc.runs.store import Run, RunState, RunStore

MAX_CACHED_RUNS = 16
LOG_TAIL_BYTES = 8_000
LOG_TAIL_LINES = 60


class RunSummary(BaseModel):
    """One line of the run list. Scripts get it as JSON, without the last two.

    Attributes:
        run_id: the folder's name.
        name, note: what the user wrote.
        state: see :class:`mrpc.runs.store.RunState`.
        data_kind, data_fingerprint: where the rows came from, and their hash.
        collapsed: whether its best or last model gives every validation pair the same answer.
        best_accuracy, best_f1: on validation, of the best epoch by F1; None before the first.
        train_s: training time so far, in seconds.
        created_at: unix time, in seconds.
        error: the cause of a failure in words.
        title: what people call it.
        hyperparameters: its settings.
    """

    run_id: str
    name: str
    note: str
    state: RunState
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


@dataclass(frozen=True)
class RunView:
    """Everything that a page shows of one run.

    Attributes:
        run: the run itself.
        state: what it is doing now.
        status: its newest summary.
        history: curves and evaluations; shared and growing, so read it under ``lock``.
        version: changes whenever something that a page draws has changed.
        lock: guards ``history``.
    """

    run: Run
    state: RunState
    status: RunStatus
    history: RunHistory
    version: str
    lock: threading.Lock


@dataclass
class _Watched:
    history: RunHistory = field(default_factory=RunHistory)
    offset: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Monitoring:
    """Reads the runs of one folder. Many pages that poll one run share one reader.

    Attributes:
        scores: the evaluations of all runs.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.scores = Scores()
        self._watched: OrderedDict[str, _Watched] = OrderedDict()
        self._lock = threading.Lock()

    def list_runs(self) -> list[RunSummary]:
        """Return every run, the newest first."""
        return [self._summarize(run) for run in self._store.list()]

    def watch(self, run_id: str) -> RunView:
        """Return the state of a run and its curves so far.

        Raises:
            UnknownRunError: when there is no such run.
        """
        run = self._store.open(run_id)
        state, status = (
            run.state(),
            run.read_status(),
        )  # before the events: never a state newer than its curves
        watched = self._entry(run_id)
        with watched.lock:
            page = read_lines(run.paths.events, watched.offset)
            if page.is_replaced:
                watched.history = RunHistory()
            watched.history.fold_lines(page.lines)
            watched.offset = page.offset
        version = f"{run_id}:{watched.offset}:{state}:{status.phase}"
        return RunView(run, state, status, watched.history, version, watched.lock)

    def read_log_tail(self, run_id: str) -> str:
        """Return the last lines that the process printed."""
        path = self._store.open(run_id).paths.log
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def run_status(self, run_id: str) -> dict[str, Any]:
        """Return how a run is going as a plain object, for scripts."""
        view = self.watch(run_id)
        with view.lock:
            history = view.history
            last = history.last_step
            is_over = view.state in (
                RunState.FINISHED,
                RunState.STOPPED,
                RunState.FAILED,
                RunState.INTERRUPTED,
            )
            return {
                "run_id": run_id,
                "state": str(view.state),
                "phase": view.status.phase,
                "step": last.step if last else 0,
                "num_steps": history.started.num_steps if history.started else None,
                "epoch": last.epoch if last else 0.0,
                "eta_s": None if is_over else history.eta_s(),
                "evaluations": [
                    {"epoch": e.epoch, "step": e.step, "loss": e.loss, "accuracy": e.accuracy, "f1": e.f1}
                    for e in history.validation()
                ],
                "losses": [
                    [int(step), loss]
                    for step, loss in zip(
                        history.steps.column("step"), history.steps.column("loss"), strict=True
                    )
                ],
                "error": view.run.error() if view.state is RunState.FAILED else None,
            }

    def _entry(self, run_id: str) -> _Watched:
        with self._lock:
            watched = self._watched.setdefault(run_id, _Watched())
            self._watched.move_to_end(run_id)
            while len(self._watched) > MAX_CACHED_RUNS:
                self._watched.popitem(last=False)
            return watched

    def _summarize(self, run: Run) -> RunSummary:
        status, label, train = run.read_status(), run.read_label(), run.config.hyperparameters
        state = run.state()
        return RunSummary(
            run_id=run.run_id,
            name=label.name,
            note=label.note,
            state=state,
            preset=train.preset,
            loop=train.loop,
            checkpoint=train.checkpoint,
            seed=train.seed,
            group=run.config.group,
            data_kind=run.config.data.kind,
            data_fingerprint=run.config.data.fingerprint,
            best_epoch=status.best_epoch,
            best_accuracy=status.best_accuracy,
            best_f1=status.best_f1,
            collapsed=status.best_f1 is not None and has_collapsed(self.scores.validation(run)),
            train_s=status.train_s,
            created_at=run.config.created_at,
            step=status.step,
            num_steps=status.num_steps,
            phase=status.phase,
            has_weights=run.has_weights(),
            error=run.error() if state is RunState.FAILED else None,
            title=compose_title(label.name, train, status.num_train_pairs),
            hyperparameters=train,
        )
