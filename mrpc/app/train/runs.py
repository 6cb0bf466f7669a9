"""What runs there are and how each is going, at the cost of what is new since the last look.

All of them as one table, those that wait, what can be done with one, and how one is going, for scripts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from mrpc.app.format import (
    Column,
    Table,
    column,
    compose_title,
    distinct_titles,
    render_duration,
    render_time,
    table,
)
from mrpc.app.templates import render
from mrpc.app.train.start import LABELS, form_value, said_value
from mrpc.config import TrainConfig, allowed_range
from mrpc.errors import UnknownRunError
from mrpc.files import read_tail
from mrpc.runs.layout import RunStatus
from mrpc.runs.record import RunRecord, has_collapsed
from mrpc.runs.run import ALIVE_STATES, OVER_STATES, Run, RunState
from mrpc.runs.store import RunStore

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.repeats import ShownSizes

LOG_TAIL_BYTES = 8_000
LOG_TAIL_LINES = 60

MAX_LOSSES = 500
"""Losses in one answer to a script that asks with a cursor."""

FROM_STATUS = {"best_epoch", "best_accuracy", "best_f1", "train_s", "step", "num_steps", "phase"}

NO_LOSSES = -1
"""The cursor of who wants none of the losses so far."""

MAX_LISTED = 500
MAX_WAITING_LISTED = 50
PAGE_SIZE = 25
MAX_NOTE = 60
NUMBERS = ("num_train_pairs", "num_epochs", "train_batch_size", "seed")
ALWAYS = (*NUMBERS, "learning_rate", "checkpoint")
"""Settings that have a column in any case; the others come last, where runs differ in them."""

NO_GRID = frozenset({"preset", "seed", "checkpoint"})


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
        record: curves and evaluations; shared and growing, so read it under its lock.
        version: changes whenever something that a page draws has changed.
    """

    run: Run
    state: RunState
    status: RunStatus
    record: RunRecord
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
    with view.record.lock:
        record = view.record
        last = record.last_step
        steps, losses = record.steps.column("step"), record.steps.column("loss")
        newest = int(steps[-1]) if steps else 0
        if cursor is not None:
            after = newest if cursor == NO_LOSSES else cursor
            first = bisect_right(steps, after)
            steps, losses = steps[first : first + MAX_LOSSES], losses[first : first + MAX_LOSSES]
            newest = int(steps[-1]) if steps else after
        return {
            "run_id": run_id,
            "state": str(view.state),
            "state_words": view.run.state_words(view.state),
            "phase": view.status.phase,
            "step": last.step if last else 0,
            "num_steps": record.started.num_steps if record.started else None,
            "epoch": last.epoch if last else 0.0,
            "eta_s": None if view.state in OVER_STATES else record.eta_s(),
            "evaluations": [
                {"epoch": e.epoch, "step": e.step, "loss": e.loss, "accuracy": e.accuracy, "f1": e.f1}
                for e in record.validation()
            ],
            "losses": [[int(step), loss] for step, loss in zip(steps, losses, strict=True)],
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


def runs_table(summaries: Sequence[RunSummary]) -> Table | None:
    """Return the runs, the newest first, for the browser to sort, search and download; None without a run.

    Which one a page looks at is not in it, so that it is the same for all pages.
    """
    if not summaries:
        return None
    listed = summaries[:MAX_LISTED]
    others = _differing(listed)
    columns = [
        column("title", "Run", "opens"),
        column("state", "State", "state"),
        column("done", "Done, %", "percent", digits=0),
        column("accuracy", "Accuracy", "percent"),
        column("f1", "F1", "percent"),
        *([column("warning", "Warning", "flag")] if any(one.collapsed for one in listed) else []),
        *(_column(name) for name in ALWAYS),
        column("data", "Data"),
        column("trained", "Trained", sort="train_s"),
        column("started", "Started", sort="created_at"),
        *([column("note", "Note")] if any(one.note for one in listed) else []),
        *(_column(name) for name in others),
    ]
    titles = distinct_titles([(one.title, one.run_id) for one in listed])
    rows = [
        _row(one, (*ALWAYS, *others)) | {"title": title} for one, title in zip(listed, titles, strict=True)
    ]
    shown = table(columns, rows, "Runs", "runs.csv", page_size=PAGE_SIZE)
    return {**shown, "keep": True, "choose": "Overlay"}


def manage_html(services: Services, sizes_of: Callable[[str], ShownSizes], run_id: str) -> str:
    """Show what can be done with a run; where there is no run at all, say what will stand here.

    Args:
        services: of the app.
        sizes_of: returns what can be queued for the curve over training pairs.
        run_id: the run.
    """
    try:
        run = services.store.open(run_id)
    except UnknownRunError:
        return "" if services.store.list() else render("train/no_runs.html")
    sizes = sizes_of(run.run_id)
    settings = [(name, LABELS[name], allowed_range(name)) for name in LABELS if name not in NO_GRID]
    return render(
        "train/manage.html",
        run_id=run.run_id,
        label=run.read_label(),
        settings=settings,
        sizes=sizes,
        values={name: form_value(name, getattr(run.config.hyperparameters, name)) for name, _, _ in settings},
    )


def _differing(summaries: Sequence[RunSummary]) -> list[str]:
    """Return the further settings in which runs differ."""
    configs = [one.hyperparameters for one in summaries]
    return [
        name
        for name in TrainConfig.model_fields
        if name not in (*ALWAYS, "preset") and len({getattr(config, name) for config in configs}) > 1
    ]


def _column(name: str) -> Column:
    is_number = TrainConfig.model_fields[name].annotation in {int, float}
    return column(name, LABELS[name], sort=f"{name}_value") if is_number else column(name, LABELS[name])


def _row(one: RunSummary, names: Sequence[str]) -> dict[str, object]:
    is_over = one.state not in ALIVE_STATES
    row: dict[str, Any] = {
        "id": one.run_id,
        "state": one.state_words,
        "done": one.step / one.num_steps if one.num_steps else None,
        "accuracy": one.best_accuracy,
        "f1": one.best_f1,
        "warning": "one answer only" if one.collapsed else None,
        "data": f"{one.data_kind} {one.data_fingerprint[:8]}",
        "trained": _trained(one),
        "train_s": one.train_s if is_over else None,
        "started": render_time(one.created_at),
        "created_at": one.created_at,
        "note": _shorten(one.note),
    }
    if row["done"] is not None:
        row["done"] = round(row["done"], 2)  # or the list would be sent at each step
    for name in names:
        value = getattr(one.hyperparameters, name)
        if name == "num_train_pairs" and value and one.num_used_pairs:
            value = one.num_used_pairs  # of a split that has fewer than were asked for
        row[name] = said_value(name, value)
        if not isinstance(value, str):
            row[f"{name}_value"] = value
    return row


def _trained(one: RunSummary) -> str:
    """Write how long a run trained; while it does, in minutes, or the list would be sent each second."""
    if one.state in ALIVE_STATES and one.train_s < 3600:
        return f"{int(one.train_s) // 60} min"
    return "" if one.state is RunState.QUEUED else render_duration(one.train_s)


def _shorten(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first if len(first) <= MAX_NOTE and first == text.strip() else first[:MAX_NOTE].rstrip() + " …"


def queue_html(services: Services, summaries: Sequence[RunSummary]) -> str:
    """Show the queue as it is now, with buttons that move or remove a run; nothing when it is empty."""
    by_id = {summary.run_id: summary for summary in summaries}
    waiting = [by_id[run_id] for run_id in services.launcher.queue.read() if run_id in by_id]
    return render("train/queue.html", waiting=waiting, max_listed=MAX_WAITING_LISTED) if waiting else ""
