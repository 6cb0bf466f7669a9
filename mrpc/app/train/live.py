"""How open pages follow what happens: each asks once a second, and gets the parts that it shows and lacks.

A question is one small request to a server function of the page's courier (``assets/live.js``), not an event
of Gradio's: an event handles each of its outputs at every answer, also those that are skipped, which took ten
times as long, and fifty open pages then took the training's processor. A part is put together once for all
pages, and only while a page has it in sight.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from mrpc.app.templates import render
from mrpc.app.train.board import Content, Part, RunBoard, ShownRun, encode
from mrpc.app.train.overlay import overlay_parts
from mrpc.app.train.repeats import seeds_parts
from mrpc.app.train.run_facts import evaluation_html
from mrpc.app.train.runs import manage_html, queue_html, runs_table
from mrpc.errors import UnknownRunError
from mrpc.recent import Recent
from mrpc.settings import num_cores

if TYPE_CHECKING:
    from mrpc.app.services import Services

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


class Live:
    """Answers the questions of all pages. May be used from many threads."""

    def __init__(self, services: Services, board: RunBoard) -> None:
        self._services = services
        self._board = board
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, float] = OrderedDict()
        self._looks: Recent[ShownRun] = Recent(MAX_KEPT, LOOK_AGE_S)
        self._beside: Recent[Content] = Recent(MAX_KEPT, BESIDE_AGE_S)
        self._foreign: Recent[str] = Recent(1, FOREIGN_AGE_S)

    def answer(self, asked: object, visitor: str = "") -> str:
        """Answer a page.

        Args:
            visitor: the mark of the visitor who looks at it; "" for the owner.
            asked: untrusted. ``page`` is a name that the page gave itself, ``run_id`` the run that it shows,
                ``chosen`` the runs that it lays over each other, by place, ``seen`` the parts in sight, and
                ``has`` the marks of what it has.

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
        of = chosen if part in _OF_CHOSEN else run_id if part in _OF_RUN else ""

        def make() -> Content:
            try:
                return encode(self._beside_parts()[part](run_id, chosen))
            except UnknownRunError:  # deleted this moment: the page will be told
                return encode("")

        return self._beside.once((part, of), make)

    def _beside_parts(self) -> dict[Part, Callable[[str, str], object]]:
        services, board = self._services, self._board
        return {
            Part.QUEUE: lambda run_id, chosen: queue_html(services, board.summaries()),
            Part.RUNS: lambda run_id, chosen: runs_table(board.summaries()),
            Part.MANAGE: lambda run_id, chosen: manage_html(services, board.sizes, run_id),
            Part.OVERLAY: lambda run_id, chosen: overlay_parts(services, chosen)[0],
            Part.OVERLAY_PLOTS: lambda run_id, chosen: overlay_parts(services, chosen)[1],
            Part.SEEDS: lambda run_id, chosen: seeds_parts(services, board.summaries(), run_id)[0],
            Part.SEEDS_PLOT: lambda run_id, chosen: seeds_parts(services, board.summaries(), run_id)[1],
            Part.EVALUATION: lambda run_id, chosen: evaluation_html(services, run_id),
            Part.SIZES: lambda run_id, chosen: board.sizes(run_id).page if run_id else "",
            Part.SIZES_PLOT: lambda run_id, chosen: board.sizes(run_id).plots if run_id else None,
            Part.FOREIGN: lambda run_id, chosen: self._foreign_html(),
        }

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


_OF_CHOSEN = frozenset({Part.OVERLAY, Part.OVERLAY_PLOTS})
_OF_RUN = frozenset({Part.EVALUATION, Part.MANAGE, Part.SEEDS, Part.SEEDS_PLOT, Part.SIZES, Part.SIZES_PLOT})
