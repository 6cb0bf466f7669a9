"""How open pages follow what happens: each asks once a second, and gets the parts that it does not have yet.

A question is one small request to a server function of the page's courier (``assets/live_run.js``), not an
event of Gradio's: an event handles each of its outputs at every answer, also those that are skipped, which
took ten times as long, and fifty open pages then took the training's processor. Parts are rendered once for
all pages.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.responses import Response

from mrpc.app.train.board import RunBoard, RunParts
from mrpc.app.train.compare_runs import overlay_parts, seeds_parts
from mrpc.app.train.probes_view import probes_parts
from mrpc.app.train.queue_view import queue_html
from mrpc.app.train.render_disk import render_foreign
from mrpc.app.train.render_progress import NO_RUN
from mrpc.app.train.render_runs import render_runs
from mrpc.errors import UnknownRunError

if TYPE_CHECKING:
    from mrpc.app.services import Services

ASK_S = 1.0
"""How often a page asks while a run is under way."""

IDLE_ASK_S = 3.0
MAX_QUESTIONS_PER_S = 4.0 * (os.cpu_count() or 1)
"""Beyond this all pages ask less often: each question takes 3 ms from a training on all cores, measured on
two busy ones, and many pages must not take more than a few per cent of it."""

PAGE_AGE_S = 15.0
"""A page that has not asked for so long is closed, or nobody looks at it."""

MAX_PAGES = 1_000
MAX_WAIT_S = 10.0
MAX_CHOSEN = 600
MAX_KEPT = 64
LOOK_AGE_S = 0.8
BESIDE_AGE_S = 1.0
FOREIGN_AGE_S = 5.0
EMPTY_RUN = {"run-status": NO_RUN, "run-plots": None, "run-log": "", "run-usage": ""}


@dataclass(frozen=True)
class Part:
    """A part of the page, by the id of its element.

    Attributes:
        mark: changes when the content does, whichever run it is of.
        content: HTML, or figures by place, as JSON.
    """

    mark: str
    content: str


def encode_part(content: Any) -> Part:
    """Encode HTML or figures once for all pages."""
    encoded = json.dumps(content)
    return Part(f"{zlib.crc32(encoded.encode()):08x}", encoded)


class Live:
    """Answers the questions of all pages. May be used from many threads."""

    def __init__(self, services: Services, board: RunBoard) -> None:
        self._services = services
        self._board = board
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, float] = OrderedDict()
        self._looks: OrderedDict[str, tuple[float, RunParts | None, dict[str, Part]]] = OrderedDict()
        self._beside: OrderedDict[tuple[str, str], tuple[float, dict[str, Part]]] = OrderedDict()
        self._foreign = ""
        self._foreign_at = float("-inf")

    def answer(self, asked: Any) -> Response:
        """Answer a page.

        Args:
            asked: untrusted. ``page`` is a name that the page gave itself, ``run_id`` the run that it shows,
                ``chosen`` the runs that it compares, by place, and ``has`` the marks of the parts that it
                has.

        Returns:
            JSON: ``run_id``, which run the page should show, ``buttons``, a mark of what can be done with it,
            ``wait_s`` until the next question, and ``parts`` by name, each [mark, content].
        """
        asked = asked if isinstance(asked, dict) else {}
        has = asked.get("has")
        has = has if isinstance(has, dict) else {}
        asked_id = asked.get("run_id")
        shown, parts = self._look(asked_id if isinstance(asked_id, str) else "")
        run_id = shown.run_id if shown else ""
        parts = parts | self._parts_beside(run_id, str(asked.get("chosen") or "")[:MAX_CHOSEN])
        news = ",".join(
            f'"{name}":["{part.mark}",{part.content}]'
            for name, part in parts.items()
            if has.get(name) != part.mark
        )
        head = {
            "run_id": run_id,
            "buttons": shown.buttons_mark if shown else "",
            "wait_s": self._wait_s(str(asked.get("page"))[:40], shown),
        }
        return Response(f'{json.dumps(head)[:-1]},"parts":{{{news}}}}}', media_type="application/json")

    def forget(self) -> None:
        """Look anew at the next question: something was done."""
        with self._lock:
            self._beside.clear()
            self._looks.clear()
            self._foreign_at = float("-inf")

    def foreign_html(self) -> str:
        """Return what else lies in the runs folder, as it was some seconds ago."""
        with self._lock:
            if time.monotonic() - self._foreign_at > FOREIGN_AGE_S:
                self._foreign = render_foreign(self._services.store.foreign())
                self._foreign_at = time.monotonic()
            return self._foreign

    def _look(self, asked_id: str) -> tuple[RunParts | None, dict[str, Part]]:
        """Return the run that a page should show that shows this one, as of a moment ago at most."""
        with self._lock:
            looked_at, shown, parts = self._looks.get(asked_id, (float("-inf"), None, {}))
        now = time.monotonic()
        if now - looked_at > LOOK_AGE_S:
            before = shown
            shown = self._board.known_parts(self._board.run_to_show(asked_id))
            if shown is not before or not parts:
                contents = shown.contents() if shown else EMPTY_RUN
                parts = {name: encode_part(content) for name, content in contents.items()}
            with self._lock:
                _keep(self._looks, asked_id, (now, shown, parts))
        return shown, parts

    def _parts_beside(self, run_id: str, chosen: str) -> dict[str, Part]:
        """Return the list, the queue, chosen runs, repeats and pinned pairs, as of a second ago at most."""
        key = (run_id, chosen)
        with self._lock:
            made_at, parts = self._beside.get(key, (float("-inf"), {}))
        if time.monotonic() - made_at > BESIDE_AGE_S:
            parts = {name: encode_part(content) for name, content in self._render_beside(*key).items()}
            with self._lock:
                _keep(self._beside, key, (time.monotonic(), parts))
        return parts

    def _render_beside(self, run_id: str, chosen: str) -> dict[str, Any]:
        services, board = self._services, self._board
        try:
            of_run = seeds_parts(services, board, run_id) | probes_parts(services, run_id)
        except UnknownRunError:  # deleted this moment: the page will be told
            of_run = {}
        return {
            "runs": render_runs(board.summaries(), run_id),
            "queue": queue_html(services, board),
            "foreign": self.foreign_html(),
            **overlay_parts(services, chosen),
            **of_run,
        }

    def _wait_s(self, page: str, shown: RunParts | None) -> float:
        now = time.monotonic()
        with self._lock:
            self._pages[page] = now
            self._pages.move_to_end(page)
            while now - next(iter(self._pages.values())) > PAGE_AGE_S or len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)
            least = len(self._pages) / MAX_QUESTIONS_PER_S
        wanted = ASK_S if shown is not None and shown.is_alive else IDLE_ASK_S
        return min(MAX_WAIT_S, max(least, wanted))


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_KEPT:
        kept.popitem(last=False)


def build_courier(live: Live) -> gr.HTML:
    """Build what asks: an element that shows nothing. Its value is what :func:`courier_value` gives."""

    def ask(asked: Any) -> Response:  # a method cannot be marked as a server function
        return live.answer(asked)

    return gr.HTML(
        html_template="<span hidden></span>",
        js_on_load="mrpcFollowRun(props, server, watch, (told) => trigger('refresh', told));",
        server_functions=[ask],
        elem_id="courier",
        apply_default_css=False,
    )


def courier_value(parts: RunParts | None, asked: str | None = None) -> dict[str, Any]:
    """Tell the courier which run the page shows, and which buttons.

    Args:
        parts: the run; None when there is none.
        asked: which run the page showed when it asked for this; None when somebody picked the run.
    """
    return {
        "run_id": parts.run_id if parts else "",
        "buttons": parts.buttons_mark if parts else "",
        "asked": asked,
    }
