"""What pages show of a run, rendered once for all pages that look at it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrpc.app.train.render_curves import run_figures, take_series
from mrpc.app.train.render_progress import num_steps_at_risk, render_run, run_caption
from mrpc.app.train.render_runs import render_log, render_snippet, usage_snippet
from mrpc.config import RESUMABLE_LOOPS
from mrpc.errors import UnknownRunError
from mrpc.runs.store import ALIVE_STATES, RESUMABLE_STATES, RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.monitoring import RunSummary, RunView

MAX_RENDERED_RUNS = 16
SUMMARIES_AGE_S = 1.0


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

    @property
    def buttons_mark(self) -> str:
        """A mark that changes when what can be done with the run changes."""
        return f"{self.state} {self.has_weights} {self.can_resume} {self.num_at_risk}"

    def contents(self) -> dict[str, Any]:
        """Return what is drawn, by the id of its element."""
        return {
            "run-status": self.status,
            "run-plots": self.plots,
            "run-log": self.log,
            "run-usage": self.usage,
        }


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

    def known_parts(self, run_id: Any) -> RunParts | None:
        """Return what to show of a run now; None when there is no such run, whatever a browser sent."""
        try:
            return self.parts(run_id) if run_id else None
        except UnknownRunError:
            return None

    def run_to_show(self, run_id: Any) -> str:
        """Return which run a page should show that shows this one.

        The same, if there is such a run. A page without one takes up the run under way; one whose run was
        deleted takes that as well, or else the newest. "" when there is none.
        """
        if not run_id:
            return self.alive_run_id()
        parts = self.known_parts(run_id)
        if parts is not None:
            return parts.run_id
        self.forget_summaries()
        return self.alive_run_id() or self.newest_run_id()

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
            can_resume=view.state in RESUMABLE_STATES and run.config.hyperparameters.loop in RESUMABLE_LOOPS,
            num_at_risk=num_at_risk,
        )


def _log_size(view: RunView) -> int:
    try:
        return view.run.paths.log.stat().st_size
    except OSError:
        return 0
