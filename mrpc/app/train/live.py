"""What open pages show of runs as they happen: put together once for all pages, and what each page lacks.

Each page asks once a second. A question is one small request to a server function of the page's courier
(``assets/live.js``), not an event of Gradio's: an event handles each of its outputs at every answer, also
those that are skipped, which took ten times as long, and fifty open pages then took the training's processor.
A part is put together once for all pages, and only while a page has it in sight.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from mrpc.app.templates import render
from mrpc.app.train.curves import Shown, run_figures, take_series
from mrpc.app.train.overlay import pinned_figure, pinned_html, show_overlay
from mrpc.app.train.reading import read_curves
from mrpc.app.train.repeats import ShownSizes, show_seeds, show_sizes
from mrpc.app.train.run_facts import evaluation_html, num_steps_at_risk, run_caption, status_html
from mrpc.app.train.runs import (
    RunSummary,
    RunView,
    list_runs,
    manage_html,
    queue_html,
    read_log_tail,
    runs_table,
    watch,
)
from mrpc.app.train.sizes import require_split_pairs
from mrpc.app.train.take_away import usage_code
from mrpc.core.data.pairs import label_words
from mrpc.errors import MrpcError, UnknownRunError
from mrpc.recent import Recent
from mrpc.runs.log import identify
from mrpc.runs.run import ALIVE_STATES, OVER_STATES, RunState
from mrpc.settings import num_cores

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_KEPT_RUNS = 16
SUMMARIES_AGE_S = 1.0

ASK_S = 1.0
"""How often a page asks while a run is under way."""

IDLE_ASK_S = 3.0
SPACE_ASK_S = 2.5
"""The proxy of Hugging Face Spaces answers 429 to pages that ask more often, as trackio found."""

MAX_QUESTIONS_PER_S = 4.0 * num_cores()
"""Beyond this all pages ask less often: each question takes 3 ms from a training on all cores, measured on
two busy ones, and many pages must not take more than a few per cent of it."""

PAGE_AGE_S = 15.0
"""A page that has not asked for so long is closed, or nobody looks at it."""

MAX_PAGES = 1_000
MAX_WAIT_S = 10.0
MAX_CHOSEN_CHARS = 600
MAX_KEPT = 256
LOOK_AGE_S = 0.8
BESIDE_AGE_S = 1.0
FOREIGN_AGE_S = 5.0


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

PLOTS_BESIDE = frozenset({Part.OVERLAY_PLOTS, Part.SEEDS_PLOT, Part.SIZES_PLOT})
"""The plots of parts that show more than one run."""


@dataclass(frozen=True)
class Content:
    """What a part holds.

    Attributes:
        mark: changes when the content does, whichever run it is of.
        encoded: HTML, figures by place, or a table, as JSON.
    """

    mark: str
    encoded: str


@dataclass(frozen=True)
class Encoded:
    """What is shown beside one run, with its plots."""

    page: Content
    plots: Content


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
        with view.record.lock:
            record = view.record
            series, answers = take_series(record), dict(record.pinned_pairs)
            status = status_html(view, num_split_pairs)
            caption = run_caption(view)
            can_resume = not run.why_no_resume(view.state, record)
            request = run.read_stop_request(record.attempt)
            is_saving = view.state is RunState.STOPPING and (request is None or request.save)
            num_at_risk = num_steps_at_risk(record) if is_saving else None
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


class Live:
    """Answers the questions of all pages. May be used from many threads."""

    def __init__(self, services: Services, board: RunBoard) -> None:
        self._services = services
        self._board = board
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, float] = OrderedDict()
        self._looks: Recent[ShownRun] = Recent(MAX_KEPT, LOOK_AGE_S)
        self._beside: Recent[Encoded] = Recent(MAX_KEPT, BESIDE_AGE_S)
        self._foreign: Recent[str] = Recent(1, FOREIGN_AGE_S)

    def answer(self, asked: object, visitor: str = "") -> str:
        """Answer a page.

        Args:
            asked: untrusted. ``page`` is a name that the page gave itself, ``run_id`` the run that it shows,
                ``chosen`` the runs that it lays over each other, by place, ``seen`` the parts in sight, and
                ``has`` the marks of what it has.
            visitor: the mark of the visitor who looks at it; "" for the owner.

        Returns:
            JSON: ``run_id``, the run that it shows if there is one of this id, ``runs``, a mark of the list
            of runs, ``is_alive``, ``wait_s`` until the next question, and ``parts`` by name, each [mark,
            content].
        """
        asked = asked if isinstance(asked, dict) else {}
        has = asked.get("has")
        has = has if isinstance(has, dict) else {}
        asked_id = asked.get("run_id")
        asked_id = asked_id if isinstance(asked_id, str) else ""
        shown = self._looks.once(asked_id, lambda: self._board.show_known(asked_id))
        seen = asked.get("seen")
        wanted = [part for part in Part if part in seen] if isinstance(seen, list) else list(Part)
        chosen = str(asked.get("chosen") or "")[:MAX_CHOSEN_CHARS]
        contents = {
            part: shown.contents.get(part) or self._look_beside(part, shown.run_id, chosen) for part in wanted
        }
        news = ",".join(
            f'"{part}":["{content.mark}",{content.encoded}]'
            for part, content in contents.items()
            if has.get(part) != content.mark
        )
        head = {
            "run_id": shown.run_id,
            "runs": encode([(one.run_id, one.title) for one in self._board.summaries()]).mark,
            "is_alive": shown.is_alive,
            "own": [one.run_id for one in self._board.summaries() if visitor and one.visitor == visitor],
            "wait_s": self._wait_s(str(asked.get("page"))[:40], shown),
        }
        return f'{json.dumps(head)[:-1]},"parts":{{{news}}}}}'

    def forget(self) -> None:
        """Look anew at the next question: something was done."""
        self._board.forget_summaries()
        for recent in (self._looks, self._beside, self._foreign):
            recent.trim(0)

    def _look_beside(self, part: Part, run_id: str, chosen: str) -> Content:
        """Return a part that is not of the shown run alone, as of a second ago at most."""
        services, board, once = self._services, self._board, self._beside_once
        match part:
            case Part.OVERLAY | Part.OVERLAY_PLOTS:
                shown = once(Part.OVERLAY, chosen, lambda: show_overlay(services, chosen))
            case Part.SEEDS | Part.SEEDS_PLOT:
                shown = once(Part.SEEDS, run_id, lambda: show_seeds(services, board.summaries(), run_id))
            case Part.SIZES | Part.SIZES_PLOT:
                shown = once(Part.SIZES, run_id, lambda: board.sizes(run_id) if run_id else Shown(""))
            case Part.EVALUATION:
                shown = once(part, run_id, lambda: Shown(evaluation_html(services, run_id)))
            case Part.MANAGE:
                shown = once(part, run_id, lambda: Shown(manage_html(services, board.sizes, run_id)))
            case Part.QUEUE:
                shown = once(part, "", lambda: Shown(queue_html(services, board.summaries())))
            case Part.RUNS:
                shown = once(part, "", lambda: Shown(runs_table(board.summaries())))
            case _:
                shown = once(part, "", lambda: Shown(self._foreign_html()))
        return shown.plots if part in PLOTS_BESIDE else shown.page

    def _beside_once(self, part: Part, of: str, show: Callable[[], Shown]) -> Encoded:
        """Return a part with its plots, put together and encoded once for all pages that look at the same."""

        def make() -> Encoded:
            try:
                shown = show()
            except UnknownRunError:  # deleted this moment: the page will be told
                return Encoded(encode(""), encode(""))
            return Encoded(encode(shown.page), encode(shown.plots))

        return self._beside.once((part, of), make)

    def _foreign_html(self) -> str:
        """Return what else lies in the runs folder, as it was some seconds ago."""
        store = self._services.store
        return self._foreign.once("", lambda: render("train/foreign.html", foreign=store.foreign()))

    def _wait_s(self, page: str, shown: ShownRun) -> float:
        now = time.monotonic()
        with self._lock:
            self._pages[page] = now
            self._pages.move_to_end(page)
            while now - next(iter(self._pages.values())) > PAGE_AGE_S or len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)
            least = len(self._pages) / MAX_QUESTIONS_PER_S
        usual = SPACE_ASK_S if self._services.settings.space_id is not None else ASK_S
        return min(MAX_WAIT_S, max(least, usual if shown.is_alive else IDLE_ASK_S))
