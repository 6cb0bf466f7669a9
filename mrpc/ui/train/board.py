"""What pages show of a run, rendered once for all pages that look at it.

A page sends back which parts it has (:attr:`RunParts.seen`), and gets only those that changed.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mrpc.config import RESUMABLE_LOOPS
from mrpc.runs.store import ALIVE_STATES, RunState
from mrpc.ui.render.curves import run_figures, take_series
from mrpc.ui.render.progress import num_steps_at_risk, render_run, run_caption
from mrpc.ui.render.runs import render_log, render_runs, render_snippet, usage_snippet

if TYPE_CHECKING:
    from mrpc.services.container import Services
    from mrpc.services.monitoring import RunSummary, RunView

MAX_RENDERED_RUNS = 16
SUMMARIES_AGE_S = 1.0
RESUMABLE_STATES = (RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)
PART_NAMES = ("status", "plots", "log", "usage")


@dataclass(frozen=True)
class RunParts:
    """What a page shows of one run.

    Attributes:
        run_id: which run.
        state: what it is doing.
        has_weights: whether there is a fine-tuned model to use or download.
        status: HTML of the head: state, progress, figures, notices.
        plots: figures by place, for the browser to draw.
        log: HTML of the end of the log.
        usage: HTML of the lines that use the model, or nothing.
        can_resume: whether the run can go on where it was cut.
        num_at_risk: steps that are lost if its process is ended at once, None when that is no choice.
    """

    run_id: str
    state: RunState
    has_weights: bool
    status: str
    plots: dict[str, Any]
    log: str
    usage: str
    can_resume: bool = False
    num_at_risk: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether more is to come without anybody's doing."""
        return self.state in ALIVE_STATES

    @cached_property
    def marks(self) -> dict[str, str]:
        """A short mark of each part, and of the state, that changes when it changes."""
        parts = {"run": self.run_id, "state": f"{self.state}{self.has_weights}{self.num_at_risk}"}
        parts |= {name: json.dumps(getattr(self, name)) for name in PART_NAMES}
        return {name: _mark(part) for name, part in parts.items()}

    @property
    def seen(self) -> str:
        """What a page that shows all of this sends back."""
        return " ".join(self.marks.values())

    def changed_since(self, seen: str) -> set[str]:
        """Return the names of the parts that a page does not have yet."""
        has = dict(zip(self.marks, str(seen).split(" "), strict=False))
        if has.get("run") != self.marks["run"]:
            return set(self.marks)
        return {name for name, mark in self.marks.items() if has.get(name) != mark}


class RunBoard:
    """Renders runs for pages, each change once. May be used from many threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rendered: OrderedDict[str, tuple[str, RunParts]] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._summaries: list[RunSummary] = []
        self._summaries_at = float("-inf")
        self._summaries_lock = threading.Lock()

    def parts(self, run_id: str) -> RunParts:
        """Return what to show of a run now.

        Raises:
            UnknownRunError: when there is no such run.
        """
        view = self._services.monitoring.watch(run_id)
        with self._lock:
            lock = self._locks.setdefault(view.run.run_id, threading.Lock())
        with lock:
            version = f"{view.version}:{_log_size(view)}:{view.run.read_label()}:{view.run.has_weights()}"
            known = self._rendered.get(run_id)
            if known is not None and known[0] == version:
                return known[1]
            parts = self._render(view)
            with self._lock:
                self._rendered[run_id] = (version, parts)
                self._rendered.move_to_end(run_id)
                while len(self._rendered) > MAX_RENDERED_RUNS:
                    forgotten, _ = self._rendered.popitem(last=False)
                    self._locks.pop(forgotten, None)
            return parts

    def list_html(self, selected: str) -> tuple[str, str]:
        """Return the list of runs as a table, and a short mark that changes when it changes."""
        table = render_runs(self.summaries(), selected)
        return table, _mark(table)

    def alive_run_id(self) -> str:
        """Return the run that is under way, or "" when there is none."""
        return next((summary.run_id for summary in self.summaries() if summary.state in ALIVE_STATES), "")

    def newest_run_id(self) -> str:
        """Return the newest run, or "" when there is none."""
        return next((summary.run_id for summary in self.summaries()), "")

    def summaries(self) -> list[RunSummary]:
        """Return all runs, the newest first, as they were at most a second ago."""
        with self._summaries_lock:
            if time.monotonic() - self._summaries_at > SUMMARIES_AGE_S:
                self._summaries = self._services.monitoring.list_runs()
                self._summaries_at = time.monotonic()
            return self._summaries

    def forget_summaries(self) -> None:
        """Read the list of runs anew at its next use."""
        with self._summaries_lock:
            self._summaries_at = float("-inf")

    def _render(self, view: RunView) -> RunParts:
        run = view.run
        with view.lock:
            series = take_series(view.history)
            status = render_run(run, view.state, view.status, view.history)
            caption = run_caption(run, view.history)
            request = run.read_stop_request(view.history.attempt)
            is_saving = view.state is RunState.STOPPING and (request is None or request.save)
            num_at_risk = num_steps_at_risk(view.history) if is_saving else None
        has_weights = run.has_weights() and view.state not in ALIVE_STATES
        usage = render_snippet(usage_snippet(str(run.paths.best_model))) if has_weights else ""
        return RunParts(
            run_id=run.run_id,
            state=view.state,
            has_weights=has_weights,
            status=status,
            plots={**run_figures(series, run.run_id), "caption": caption},
            log=render_log(self._services.monitoring.read_log_tail(run.run_id)),
            usage=usage,
            can_resume=view.state in RESUMABLE_STATES and run.config.train.loop in RESUMABLE_LOOPS,
            num_at_risk=num_at_risk,
        )


def _mark(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _log_size(view: RunView) -> int:
    try:
        return view.run.paths.log.stat().st_size
    except OSError:
        return 0
