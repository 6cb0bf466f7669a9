"""What pages show of a run, put together once for all pages that look at it."""

from __future__ import annotations

import contextlib
import json
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from mrpc.app.templates import render
from mrpc.app.train.curves import run_figures, take_series
from mrpc.app.train.overlay import pinned_figure, pinned_html
from mrpc.app.train.reading import read_curves
from mrpc.app.train.repeats import ShownSizes, show_sizes
from mrpc.app.train.run_facts import num_steps_at_risk, run_caption, status_html
from mrpc.app.train.runs import RunSummary, RunView, list_runs, read_log_tail, watch
from mrpc.app.train.sizes import require_split_pairs
from mrpc.core.data.pairs import label_words
from mrpc.errors import MrpcError, UnknownRunError
from mrpc.recent import Recent
from mrpc.runs.log import identify
from mrpc.runs.run import ALIVE_STATES, OVER_STATES, RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_KEPT_RUNS = 16
SUMMARIES_AGE_S = 1.0
EXAMPLE_PAIR = (
    "The council approved the new bridge on Monday.",
    "On Monday the new bridge was approved by the council.",
)


class Part(StrEnum):
    """The parts of the page that follow what happens.

    The templates name their places with these (``data-part``), the script fills whatever it finds there, and
    style sheets know nothing of them: this is the only list.
    """

    STATUS = "status"
    ACTIONS = "actions"
    READING = "reading"
    PLOTS = "plots"
    PINNED = "pinned"
    PINNED_PLOT = "pinned-plot"
    USAGE = "usage"
    LOG = "log"
    QUEUE = "queue"
    RUNS = "runs"
    MANAGE = "manage"
    OVERLAY = "overlay"
    OVERLAY_PLOTS = "overlay-plots"
    SEEDS = "seeds"
    SEEDS_PLOT = "seeds-plot"
    EVALUATION = "evaluation"
    SIZES = "sizes"
    SIZES_PLOT = "sizes-plot"
    FOREIGN = "foreign"


RUN_PARTS = frozenset(
    {
        *(Part.STATUS, Part.ACTIONS, Part.READING, Part.PLOTS),
        *(Part.PINNED, Part.PINNED_PLOT, Part.USAGE, Part.LOG),
    }
)
"""The parts that show one run."""


@dataclass(frozen=True)
class Content:
    """What a part holds.

    Attributes:
        mark: changes when the content does, whichever run it is of.
        encoded: HTML, figures by place, or a table, as JSON.
    """

    mark: str
    encoded: str


def encode(content: object) -> Content:
    """Encode the content of a part once for all pages."""
    encoded = json.dumps(content)
    return Content(f"{zlib.crc32(encoded.encode()):08x}", encoded)


@dataclass(frozen=True)
class ShownRun:
    """What a page shows of one run.

    Attributes:
        run_id: which run; "" where there is none.
        is_alive: whether more is to come without anybody's doing.
        parts: HTML, or figures by place, by the name of the part.
    """

    run_id: str = ""
    is_alive: bool = False
    parts: dict[Part, object] = field(default_factory=dict)

    @cached_property
    def contents(self) -> dict[Part, Content]:
        """The parts as they are sent, encoded once for all pages."""
        return {part: encode(content) for part, content in self.parts.items()}


class RunBoard:
    """Puts together what is shown of runs, each change once. May be used from many threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sizes: Recent[ShownSizes] = Recent(MAX_KEPT_RUNS)
        self._shown: Recent[ShownRun] = Recent(MAX_KEPT_RUNS)
        self._no_run = no_run()
        self._summaries: Recent[list[RunSummary]] = Recent(1, SUMMARIES_AGE_S)

    def show(self, run_id: str) -> ShownRun:
        """Return what to show of a run now.

        Raises:
            UnknownRunError: when there is no such run.
        """
        view = watch(self._services.store, run_id)
        paths = view.run.paths
        beside = [identify(path) for path in (paths.label, paths.pinned_pairs, paths.stop, paths.log)]
        version = (view.version, view.run.has_weights(), *beside)
        return self._shown.once(run_id, lambda: self._put_together(view), version)

    def show_known(self, run_id: object) -> ShownRun:
        """Return what to show of a run now; of none where there is no such run, whatever a browser sent."""
        try:
            return self.show(run_id) if isinstance(run_id, str) and run_id else self._no_run
        except UnknownRunError:
            return self._no_run

    def summaries(self) -> list[RunSummary]:
        """Return all runs, the newest first, as they were at most a second ago."""
        return self._summaries.once("", lambda: list_runs(self._services.store))

    def sizes(self, run_id: str) -> ShownSizes:
        """Return the curve of a run over training pairs, put together anew when a run has changed its state.

        Raises:
            UnknownRunError: when there is no such run.
        """
        summaries = self.summaries()
        mark = (self._fingerprint(), *((one.run_id, one.state, one.best_f1) for one in summaries))
        return self._sizes.once(run_id, lambda: show_sizes(self._services, summaries, run_id), mark)

    def _fingerprint(self) -> str:
        try:
            return str(self._services.data.fingerprint)
        except MrpcError:
            return ""

    def forget_summaries(self) -> None:
        """Read the list of runs anew at its next use."""
        self._summaries.trim(0)

    def _put_together(self, view: RunView) -> ShownRun:
        run, is_alive, is_over = view.run, view.state in ALIVE_STATES, view.state in OVER_STATES
        words = label_words(run.config.data.label_names)
        num_split_pairs: int | None = None
        with contextlib.suppress(MrpcError):  # its data are not at hand
            num_split_pairs = require_split_pairs(self._services, run)
        pinned_pairs = run.read_pinned()
        with view.history.lock:
            history = view.history
            series, answers = take_series(history), dict(history.pinned_pairs)
            status = status_html(view, num_split_pairs)
            caption = run_caption(view)
            can_resume = not run.why_no_resume(view.state, history)
            request = run.read_stop_request(history.attempt)
            is_saving = view.state is RunState.STOPPING and (request is None or request.save)
            num_at_risk = num_steps_at_risk(history) if is_saving else None
        reading = read_curves(series, is_over=not is_alive, words=words)
        has_model = run.has_weights() and not is_alive
        usage = usage_code(f"{run.run_id}-best") if has_model else ""
        pinned_plot = {"pinned": pinned_figure(pinned_pairs, answers, run.run_id, words), "caption": caption}
        return ShownRun(
            run_id=run.run_id,
            is_alive=is_alive,
            parts={
                Part.STATUS: status,
                Part.ACTIONS: render(
                    "train/actions.html",
                    run_id=run.run_id,
                    can_stop=is_alive and view.state is not RunState.STOPPING,
                    num_at_risk=num_at_risk,
                    can_resume=can_resume,
                    has_model=has_model,
                    is_compared=view.state is RunState.FINISHED and run.has_weights(),
                ),
                Part.READING: render(
                    "train/reading.html", reading=reading, evaluations=series.evaluations, words=words
                ),
                Part.PLOTS: {**run_figures(series, run.run_id), "caption": caption},
                Part.PINNED: pinned_html(pinned_pairs, answers, is_over and not can_resume, words),
                Part.PINNED_PLOT: pinned_plot if pinned_pairs else None,
                Part.USAGE: render("train/usage.html", code=usage),
                Part.LOG: render("train/log.html", log=read_log_tail(run)),
            },
        )


def no_run() -> ShownRun:
    """Return what a page shows that has no run."""
    parts: dict[Part, object] = dict.fromkeys(RUN_PARTS, "")
    parts |= {Part.STATUS: render("train/no_run.html"), Part.PLOTS: None, Part.PINNED_PLOT: None}
    return ShownRun(parts=parts)


def usage_code(model_dir: str) -> str:
    """Return the lines of Python that ask the model in a downloaded folder about a pair."""
    text, text_pair = EXAMPLE_PAIR
    return (
        "from transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model={model_dir!r})\n'
        f'classify({{\n    "text": {text!r},\n    "text_pair": {text_pair!r},\n}})'
    )
