"""All runs as one table, those that wait, and what can be done with the one that is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.format import Column, Table, column, distinct_titles, render_duration, render_time, table
from mrpc.app.templates import render
from mrpc.app.train.form import LABELS, said_value, shown_value
from mrpc.config import TrainConfig, allowed_range
from mrpc.errors import UnknownRunError
from mrpc.runs.run import ALIVE_STATES, RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.monitoring import RunSummary
    from mrpc.app.train.repeats import ShownSizes

MAX_LISTED = 500
MAX_WAITING_LISTED = 50
PAGE_SIZE = 25
MAX_NOTE = 60
NUMBERS = ("num_train_pairs", "num_epochs", "train_batch_size", "seed")
ALWAYS = (*NUMBERS, "learning_rate", "checkpoint")
"""Settings that have a column in any case; the others come last, where runs differ in them."""

NO_GRID = frozenset({"preset", "seed", "checkpoint"})


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
        values={
            name: shown_value(name, getattr(run.config.hyperparameters, name)) for name, _, _ in settings
        },
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
