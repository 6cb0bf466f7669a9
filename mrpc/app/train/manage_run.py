"""What can be done with the run that is looked at: name it, use its settings, repeat, take away, delete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert, shown_errors
from mrpc.app.format import render_bytes
from mrpc.app.limits import check_whole
from mrpc.app.train.board import RunBoard
from mrpc.app.train.form import fill_form
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_SEEDS = 20
PANELS = ("label", "seeds", "delete")
DELETE_QUESTION = (
    "<p><b>Delete this run?</b> It goes to the trash, with its weights and its record. "
    "The trash can be emptied below, under Disk.</p>"
)


@dataclass(frozen=True)
class ManageView:
    """The row of buttons under the list, and what they open."""

    rename: gr.Button
    duplicate: gr.Button
    repeat: gr.Button
    record: gr.Button
    delete: gr.Button
    download: gr.DownloadButton
    label_panel: gr.Column
    name: gr.Textbox
    note: gr.Textbox
    save_label: gr.Button
    seeds_panel: gr.Column
    num_seeds: gr.Number
    queue_seeds: gr.Button
    delete_panel: gr.Column
    really_delete: gr.Button
    cancels: tuple[gr.Button, ...]
    message: gr.HTML

    def panels(self) -> list[gr.Column]:
        """Return the panels in the order of :data:`PANELS`."""
        return [self.label_panel, self.seeds_panel, self.delete_panel]


def build_manage() -> ManageView:
    """Build the row and its panels, closed."""
    with gr.Row(elem_id="manage", elem_classes="button-row"):
        rename = gr.Button("Name and note …", size="sm", elem_id="manage-rename")
        duplicate = gr.Button("Use its settings", size="sm", elem_id="manage-duplicate")
        repeat = gr.Button("Repeat with seeds …", size="sm", elem_id="manage-repeat")
        record = gr.Button("Download the record", size="sm", elem_id="manage-record")
        delete = gr.Button("Delete …", size="sm", elem_id="manage-delete")
        download = gr.DownloadButton("Download", visible="hidden", elem_id="record-download")
    cancels = []
    with gr.Column(visible=False, elem_id="label-panel", elem_classes="question plain") as label_panel:
        name = gr.Textbox(label="Name", max_lines=1, elem_id="label-name")
        note = gr.Textbox(label="Note", lines=2, max_lines=6, elem_id="label-note")
        with gr.Row():
            save_label = gr.Button("Save", size="sm", variant="primary", elem_id="label-save")
            cancels.append(gr.Button("Cancel", size="sm"))
    with gr.Column(visible=False, elem_id="seeds-panel", elem_classes="question plain") as seeds_panel:
        num_seeds = gr.Number(
            value=4,
            label="How many other seeds",
            info="Each is a run of its own in the queue, with the settings of this one.",
            elem_id="num-seeds",
        )
        with gr.Row():
            queue_seeds = gr.Button("Add to queue", size="sm", variant="primary", elem_id="seeds-queue")
            cancels.append(gr.Button("Cancel", size="sm"))
    with gr.Column(visible=False, elem_id="delete-panel", elem_classes="question") as delete_panel:
        gr.HTML(DELETE_QUESTION, apply_default_css=False)
        with gr.Row():
            really = gr.Button("Yes, delete", size="sm", variant="stop", elem_id="delete-yes")
            cancels.append(gr.Button("Cancel", size="sm", elem_id="delete-cancel"))
    message = gr.HTML(elem_id="manage-message", apply_default_css=False)
    return ManageView(
        rename=rename,
        duplicate=duplicate,
        repeat=repeat,
        record=record,
        delete=delete,
        download=download,
        label_panel=label_panel,
        name=name,
        note=note,
        save_label=save_label,
        seeds_panel=seeds_panel,
        num_seeds=num_seeds,
        queue_seeds=queue_seeds,
        delete_panel=delete_panel,
        really_delete=really,
        cancels=tuple(cancels),
        message=message,
    )


def open_panel(panel: str = "") -> list[Any]:
    """Open one panel and close the others; close all without a name."""
    return [gr.update(visible=name == panel) for name in PANELS]


def on_open_label(services: Services, run_id: Any) -> list[Any]:
    """Open the panel of name and note, filled with those of the run; return panels, name, note."""
    with shown_errors():
        label = services.store.open(run_id).read_label()
        return [*open_panel("label"), label.name, label.note]


def on_save_label(services: Services, board: RunBoard, run_id: Any, name: Any, note: Any) -> list[Any]:
    """Give the run its name and note; return message and panels."""
    try:
        services.catalog.rename(run_id, name, note)
    except MrpcError as error:
        return [render_alert(str(error)), *open_panel("label")]
    board.forget_summaries()
    return ["", *open_panel()]


def on_duplicate(services: Services, run_id: Any) -> list[Any]:
    """Fill the form with the settings of a run; return message, the preset's help and the fields."""
    with shown_errors():
        run = services.store.open(run_id)
    said = '<p class="notice notice-good" role="status">Its settings are in the form.</p>'
    return [said, *fill_form(run.config.hyperparameters)]


def on_queue_seeds(services: Services, board: RunBoard, run_id: Any, num_seeds: Any) -> list[Any]:
    """Queue the settings of a run with other seeds; return message and panels."""
    try:
        num = check_whole(num_seeds, "The number of seeds", 1, MAX_SEEDS)
        queued = services.launcher.repeat_with_seeds(run_id, num)
    except MrpcError as error:
        return [render_alert(str(error)), *open_panel("seeds")]
    board.forget_summaries()
    runs = "1 run waits" if len(queued) == 1 else f"{len(queued)} runs wait"
    said = f'<p class="notice notice-good" role="status">{runs} in the queue.</p>'
    return [said, *open_panel()]


def on_record(services: Services, folder: Path, run_id: Any) -> str:
    """Pack the record of a run; return the archive for the download button."""
    with shown_errors():
        return str(services.catalog.bundle(run_id, folder))


def on_delete(services: Services, board: RunBoard, run_id: Any) -> list[Any]:
    """Move a run to the trash; return message and panels."""
    try:
        services.catalog.delete(run_id)
    except MrpcError as error:
        return [render_alert(str(error)), *open_panel()]
    board.forget_summaries()
    held = render_bytes(services.store.trash_bytes())
    said = f'<p class="notice notice-good" role="status">Moved to the trash, which holds {held}.</p>'
    return [said, *open_panel()]
