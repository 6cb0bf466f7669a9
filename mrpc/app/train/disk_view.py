"""The disk: what the runs hold, a limit with what it would delete, and the trash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert
from mrpc.app.format import render_bytes
from mrpc.app.limits import check_number
from mrpc.app.train.board import RunBoard
from mrpc.app.train.render_disk import render_disk, render_retention
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_LIMIT_GB = 1e6
EMPTY_QUESTION = "<p><b>Empty the trash?</b> The runs in it are deleted for good.</p>"


@dataclass(frozen=True)
class DiskView:
    """The widgets of the fold; :func:`disk_updates` fills those that :meth:`shown` returns."""

    fold: gr.Accordion
    held: gr.HTML
    limit: gr.Number
    show: gr.Button
    plan: gr.HTML
    planned: gr.Textbox
    apply: gr.Button
    empty: gr.Button
    question: gr.Column
    really_empty: gr.Button
    cancel: gr.Button
    message: gr.HTML

    def shown(self) -> list[Any]:
        """Return the widgets that every action here brings up to date."""
        return [self.held, self.plan, self.planned, self.apply, self.empty, self.question, self.message]


def build_disk() -> DiskView:
    """Build the fold, empty."""
    with gr.Accordion("Disk", open=False, elem_id="disk") as fold:
        held = gr.HTML(elem_id="disk-held", apply_default_css=False)
        with gr.Row(elem_classes="button-row", equal_height=False):
            limit = gr.Number(
                value=20,
                label="Limit for all runs (GB)",
                min_width=160,
                scale=0,
                elem_id="disk-limit",
            )
        with gr.Row(elem_classes="button-row"):
            show = gr.Button("Show what would go", size="sm", elem_id="disk-show")
            empty = gr.Button("Empty the trash …", size="sm", visible=False, elem_id="disk-empty")
        plan = gr.HTML(elem_id="disk-plan", apply_default_css=False)
        planned = gr.Textbox(visible=False)
        with gr.Row(elem_classes="button-row"):
            apply = gr.Button(
                "Move these to the trash", size="sm", variant="stop", visible=False, elem_id="disk-apply"
            )
        with gr.Column(visible=False, elem_id="empty-question", elem_classes="question") as question:
            gr.HTML(EMPTY_QUESTION, apply_default_css=False)
            with gr.Row():
                really = gr.Button("Yes, empty it", size="sm", variant="stop", elem_id="empty-yes")
                cancel = gr.Button("Cancel", size="sm")
        message = gr.HTML(elem_id="disk-message", apply_default_css=False)
    return DiskView(
        fold=fold,
        held=held,
        limit=limit,
        show=show,
        plan=plan,
        planned=planned,
        apply=apply,
        empty=empty,
        question=question,
        really_empty=really,
        cancel=cancel,
        message=message,
    )


def on_open_disk(services: Services) -> list[Any]:
    """Say what the runs and the trash hold."""
    return _updates(services)


def on_plan_retention(services: Services, board: RunBoard, limit_gb: Any) -> list[Any]:
    """Show which runs a limit would move to the trash."""
    try:
        limit_bytes = _limit_bytes(limit_gb)
    except MrpcError as error:
        return _updates(services, message=render_alert(str(error)))
    plan = services.catalog.plan_retention(limit_bytes)
    names = {summary.run_id: summary.name for summary in board.summaries()}
    run_ids = [deletion.run_id for deletion in plan]
    return _updates(services, render_retention(plan, names, limit_bytes), run_ids)


def on_apply_retention(services: Services, board: RunBoard, limit_gb: Any, planned: Any) -> list[Any]:
    """Move the runs that were shown to the trash, as far as the limit still asks for it."""
    try:
        went = services.catalog.apply_retention(_limit_bytes(limit_gb), str(planned or "").split(","))
    except MrpcError as error:
        return _updates(services, message=render_alert(str(error)))
    board.forget_summaries()
    size = render_bytes(sum(deletion.num_bytes for deletion in went))
    runs = "1 run" if len(went) == 1 else f"{len(went)} runs"
    said = f"{runs}, {size}, moved to the trash. Emptying it frees the disk."
    return _updates(services, message=f'<p class="notice notice-good" role="status">{said}</p>')


def on_empty_trash(services: Services) -> list[Any]:
    """Delete what lies in the trash for good."""
    freed = render_bytes(services.store.empty_trash())
    said = f'<p class="notice notice-good" role="status">The trash is empty; {freed} were freed.</p>'
    return _updates(services, message=said)


def _limit_bytes(limit_gb: Any) -> int:
    return int(1e9 * check_number(limit_gb, "The limit in GB", 0, MAX_LIMIT_GB))


def _updates(
    services: Services, plan: str = "", run_ids: list[str] | None = None, message: str = ""
) -> list[Any]:
    sizes = services.catalog.disk_bytes()
    trash_bytes = services.store.trash_bytes()
    return [
        render_disk(len(sizes), sum(sizes.values()), trash_bytes),
        plan,
        ",".join(run_ids or []),
        gr.update(visible=bool(run_ids)),
        gr.update(visible=trash_bytes > 0),
        gr.update(visible=False),
        message,
    ]
