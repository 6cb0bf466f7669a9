"""All that the page shows beside one run: the queue, the runs beside each other, pinned pairs, the disk.

One poll brings a page up to date. The page sends back a mark of each part, and gets only what changed.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.errors import UnknownRunError
from mrpc.ui.browser_events import told
from mrpc.ui.render.disk import render_foreign
from mrpc.ui.train.board import RunBoard
from mrpc.ui.train.compare_runs import build_overlay, build_seeds, overlay_updates, seeds_updates
from mrpc.ui.train.disk_view import (
    DiskView,
    build_disk,
    on_apply_retention,
    on_empty_trash,
    on_open_disk,
    on_plan_retention,
)
from mrpc.ui.train.manage_run import (
    ManageView,
    on_delete,
    on_duplicate,
    on_open_label,
    on_queue_seeds,
    on_record,
    on_save_label,
    open_panel,
)
from mrpc.ui.train.probes_view import ProbesView, on_pin, on_unpin, probes_updates
from mrpc.ui.train.queue_view import on_queue, on_queue_act, queue_html

if TYPE_CHECKING:
    from mrpc.services.container import Services

FOREIGN_AGE_S = 5.0
CLICK_RECORD_JS = "() => document.querySelector('#record-download')?.click()"

POLL: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "once",
    "queue": False,  # one request and its answer
}
ACT: dict[str, Any] = {**POLL, "concurrency_limit": 8, "queue": True}


class Library:
    """What pages show beside one run. May be used from many threads."""

    def __init__(self, services: Services, board: RunBoard) -> None:
        self.services = services
        self.board = board
        self._foreign = ""
        self._foreign_at = float("-inf")
        self._lock = threading.Lock()

    def parts(self, run_id: Any, chosen: Any) -> list[list[Any]]:
        """Return the updates of each part: queue, foreign files, overlay, seeds, pinned pairs."""
        known = self._known(run_id)
        return [
            [queue_html(self.services, self.board)],
            [self.foreign_html()],
            overlay_updates(self.services, chosen),
            seeds_updates(self.services, self.board, known),
            probes_updates(self.services, known),
        ]

    def foreign_html(self) -> str:
        """Return what else lies in the runs folder, as it was some seconds ago."""
        with self._lock:
            if time.monotonic() - self._foreign_at > FOREIGN_AGE_S:
                self._foreign = render_foreign(self.services.store.foreign())
                self._foreign_at = time.monotonic()
            return self._foreign

    def _known(self, run_id: Any) -> str:
        try:
            return self.services.store.open(run_id).run_id if run_id else ""
        except UnknownRunError:
            return ""


@dataclass(frozen=True)
class LibraryView:
    """The widgets that a poll brings up to date.

    Attributes:
        marks: what the page has, a mark for each part.
        chosen: the runs that are chosen for comparing, by place.
        parts: the widgets of each part, in the order of :meth:`Library.parts`.
    """

    marks: gr.Textbox
    chosen: gr.Textbox
    parts: list[list[Any]]
    manage: ManageView
    probes: ProbesView
    disk: DiskView

    def shown(self) -> list[Any]:
        """Return the outputs of :func:`on_library`."""
        return [self.marks, *(widget for part in self.parts for widget in part)]


def build_library(queue: gr.HTML, probes: ProbesView, manage: ManageView) -> LibraryView:
    """Build what stands below the list of runs.

    Args:
        queue: where the queue is shown.
        probes: where the pinned pairs are.
        manage: the actions on the run that is looked at.
    """
    marks, chosen = gr.Textbox(visible=False), gr.Textbox(visible=False)
    overlay = build_overlay()
    seeds = build_seeds()
    disk = build_disk()
    foreign = gr.HTML(elem_id="foreign", apply_default_css=False)
    parts = [[queue], [foreign], overlay, seeds, probes.shown()]
    return LibraryView(marks, chosen, parts, manage, probes, disk)


def on_library(library: Library, run_id: Any, chosen: Any, marks: Any) -> list[Any]:
    """Return the new marks, and the updates of the parts that a page does not have yet."""
    has = str(marks or "").split(" ")
    updates, now = [], []
    for place, part in enumerate(library.parts(run_id, chosen)):
        mark = f"{zlib.crc32(json.dumps(part).encode()):08x}"
        now.append(mark)
        is_new = place >= len(has) or has[place] != mark
        updates += part if is_new else [gr.skip()] * len(part)
    changed = now != has
    return [" ".join(now) if changed else gr.skip(), *updates]


def on_choose(library: Library, run_id: Any, slots: Any, marks: Any) -> list[Any]:
    """Overlay the runs that are chosen now."""
    chosen = ",".join(str(slot) for slot in slots) if isinstance(slots, list) else ""
    return [chosen, *on_library(library, run_id, chosen, marks)]


def bind_library(
    library: Library,
    view: LibraryView,
    *,
    run_id: gr.BrowserState,
    runs: gr.HTML,
    form: list[Any],
    preset_help: gr.HTML,
    add: gr.Button,
    add_message: gr.HTML,
    refresh: dict[str, Any],
    triggers: list[Any],
) -> None:
    """Bind the handlers.

    Args:
        library: renders.
        view: the widgets below the list.
        run_id: which run is looked at.
        runs: the list of runs.
        form: the fields of a new training.
        preset_help: what stands below the presets.
        add: puts the form's settings into the queue.
        add_message: what is said of that.
        refresh: the arguments of the event that brings the list and the run up to date.
        triggers: events that bring this up to date.
    """
    services, board, manage, disk = library.services, library.board, view.manage, view.disk
    poll = {
        "fn": partial(on_library, library),
        "inputs": [run_id, view.chosen, view.marks],
        "outputs": view.shown(),
        **POLL,
    }

    def then_show(event: Any) -> None:
        event.then(**refresh).then(**poll)

    def choose(run: Any, marks: Any, event: gr.EventData) -> list[Any]:
        return on_choose(library, run, told(event, "slots"), marks)

    def queue_act(event: gr.EventData) -> str:
        return on_queue_act(services, board, told(event, "act"), told(event, "run_id"))

    def unpin(run: Any, event: gr.EventData) -> str:
        return on_unpin(services, run, told(event, "run_id"))

    gr.on([*triggers, run_id.change], **poll)
    runs.input(choose, inputs=[run_id, view.marks], outputs=[view.chosen, *view.shown()], **ACT)

    def add_to_queue(*values: Any) -> str:
        return on_queue(services, board, values)

    then_show(add.click(add_to_queue, inputs=form, outputs=add_message, **ACT))
    (queue,) = view.parts[0]
    then_show(queue.select(queue_act, outputs=add_message, **ACT))

    manage.rename.click(
        partial(on_open_label, services),
        inputs=run_id,
        outputs=[*manage.panels(), manage.name, manage.note],
        **ACT,
    )
    said = [manage.message, *manage.panels()]
    label = {"inputs": [run_id, manage.name, manage.note], "outputs": said, **ACT}
    then_show(
        gr.on([manage.save_label.click, manage.name.submit], partial(on_save_label, services, board), **label)
    )
    manage.duplicate.click(
        partial(on_duplicate, services), inputs=run_id, outputs=[manage.message, preset_help, *form], **ACT
    )
    for button, panel in ((manage.repeat, "seeds"), (manage.delete, "delete")):
        button.click(partial(open_panel, panel), outputs=manage.panels(), **POLL)
    for button in manage.cancels:
        button.click(open_panel, outputs=manage.panels(), **POLL)
    seeds = {"inputs": [run_id, manage.num_seeds], "outputs": said, **ACT}
    then_show(manage.queue_seeds.click(partial(on_queue_seeds, services, board), **seeds))
    then_show(
        manage.really_delete.click(partial(on_delete, services, board), inputs=run_id, outputs=said, **ACT)
    )
    packed = manage.record.click(
        partial(on_record, services, Path(manage.download.GRADIO_CACHE)),
        inputs=run_id,
        outputs=manage.download,
        **(ACT | {"show_progress": "minimal"}),
    )
    packed.success(None, js=CLICK_RECORD_JS, api_visibility="private")

    probes = view.probes
    pinned = gr.on(
        [probes.pin.click, probes.sentence2.submit],
        partial(on_pin, services),
        inputs=[run_id, probes.sentence1, probes.sentence2],
        outputs=[probes.message, probes.sentence1, probes.sentence2],
        **ACT,
    )
    pinned.then(**poll)
    probes.pairs.select(unpin, inputs=run_id, outputs=probes.message, **ACT).then(**poll)

    disk.fold.expand(partial(on_open_disk, services), outputs=disk.shown(), **ACT)
    disk.show.click(
        partial(on_plan_retention, services, board), inputs=disk.limit, outputs=disk.shown(), **ACT
    )
    limit = {"inputs": [disk.limit, disk.planned], "outputs": disk.shown(), **ACT}
    then_show(disk.apply.click(partial(on_apply_retention, services, board), **limit))
    disk.really_empty.click(partial(on_empty_trash, services), outputs=disk.shown(), **ACT)
    disk.empty.click(partial(gr.update, visible=True), outputs=disk.question, **POLL)
    disk.cancel.click(partial(gr.update, visible=False), outputs=disk.question, **POLL)
