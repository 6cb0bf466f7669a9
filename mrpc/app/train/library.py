"""What can be done beside one run: with the queue, the run itself, its pinned pairs, the disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.browser_events import told
from mrpc.app.train.board import RunBoard
from mrpc.app.train.compare_runs import build_overlay, build_seeds
from mrpc.app.train.disk_view import (
    DiskView,
    build_disk,
    on_apply_retention,
    on_empty_trash,
    on_open_disk,
    on_plan_retention,
)
from mrpc.app.train.live import Live
from mrpc.app.train.manage_run import (
    ManageView,
    on_delete,
    on_duplicate,
    on_open_label,
    on_queue_seeds,
    on_record,
    on_save_label,
    open_panel,
)
from mrpc.app.train.parts import html_part
from mrpc.app.train.probes_view import ProbesView, on_pin, on_unpin
from mrpc.app.train.queue_view import on_queue, on_queue_act

if TYPE_CHECKING:
    from mrpc.app.services import Services

CLICK_RECORD_JS = "() => document.querySelector('#record-download')?.click()"
ASK_JS = "() => mrpcAskNow()"

POLL: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "once",
    "queue": False,  # one request and its answer
}
ACT: dict[str, Any] = {**POLL, "concurrency_limit": 8, "queue": True}


@dataclass(frozen=True)
class LibraryView:
    """The widgets that handlers are bound to.

    Attributes:
        queue: the runs that wait.
        manage: the actions on the run that is looked at.
        probes: its pinned pairs.
        disk: what the runs hold.
    """

    queue: gr.HTML
    manage: ManageView
    probes: ProbesView
    disk: DiskView


def build_library(queue: gr.HTML, probes: ProbesView, manage: ManageView) -> LibraryView:
    """Build what stands below the list of runs; what stands elsewhere is given."""
    build_overlay()
    build_seeds()
    disk = build_disk()
    html_part("foreign")
    return LibraryView(queue, manage, probes, disk)


def bind_library(
    services: Services,
    board: RunBoard,
    live: Live,
    view: LibraryView,
    *,
    run_id: gr.BrowserState,
    form: list[Any],
    preset_help: gr.HTML,
    add: gr.Button,
    add_message: gr.HTML,
) -> None:
    """Bind the handlers.

    Args:
        services: what the handlers call.
        board: renders runs.
        live: brings the page up to date.
        view: the widgets.
        run_id: which run is looked at.
        form: the fields of a new training.
        preset_help: what stands below the presets.
        add: puts the form's settings into the queue.
        add_message: what is said of that.
    """
    manage, disk, queue = view.manage, view.disk, view.queue

    def then_show(event: Any) -> None:
        event.then(live.forget, **POLL).then(None, js=ASK_JS, api_visibility="private")

    def queue_act(event: gr.EventData) -> str:
        return on_queue_act(services, board, told(event, "act"), told(event, "run_id"))

    def unpin(run: Any, event: gr.EventData) -> str:
        return on_unpin(services, run, told(event, "run_id"))

    def add_to_queue(*values: Any) -> str:
        return on_queue(services, board, values)

    then_show(add.click(add_to_queue, inputs=form, outputs=add_message, **ACT))
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
    then_show(pinned)
    then_show(probes.pairs.select(unpin, inputs=run_id, outputs=probes.message, **ACT))

    disk.fold.expand(partial(on_open_disk, services), outputs=disk.shown(), **ACT)
    disk.show.click(
        partial(on_plan_retention, services, board), inputs=disk.limit, outputs=disk.shown(), **ACT
    )
    limit = {"inputs": [disk.limit, disk.planned], "outputs": disk.shown(), **ACT}
    then_show(disk.apply.click(partial(on_apply_retention, services, board), **limit))
    disk.really_empty.click(partial(on_empty_trash, services), outputs=disk.shown(), **ACT)
    disk.empty.click(partial(gr.update, visible=True), outputs=disk.question, **POLL)
    disk.cancel.click(partial(gr.update, visible=False), outputs=disk.question, **POLL)
