"""The run that is looked at as ONNX: a fold with a button, what was measured, and a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.downloads import zip_onnx
from mrpc.app.layout import field_row, fold
from mrpc.app.spine import Spine
from mrpc.app.templates import render, render_part
from mrpc.app.train.publishing import can_export, export_in_process
from mrpc.app.view import View, bind, stage
from mrpc.publish.onnx import FILES, INSTALL, read_export

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.task import Task

INTRO = (
    "The best model of this run as a file that needs no PyTorch: for onnxruntime, and for transformers.js in "
    "a browser. Once in float32, which answers as PyTorch does, and once with its weights in int8: a quarter "
    "of the size, and often faster, but not quite the same model. Compare shows what that costs."
)


def build_onnx_fold(services: Services, spine: Spine) -> None:
    """Build the fold."""
    with fold("Use this model without PyTorch: ONNX", "onnx-fold"):
        intro = render_part("quiet", INTRO, "publish.md#without-pytorch-onnx", "More on ONNX")
        shown = stage("onnx", intro=intro)
        with field_row("onnx-buttons"):
            export = gr.Button("Export to ONNX", variant="primary", elem_id="onnx-export", min_width=180)
            take = gr.Button("Download the export", elem_id="onnx-take", min_width=180)
        download = gr.DownloadButton("Download", visible="hidden", elem_id="onnx-download")
    folder = Path(download.GRADIO_CACHE)
    one = {"run": spine.run}

    def on_export(run: object, task: Task) -> str:
        export_in_process(services.store.open(run), task)
        return onnx_html(services, run)

    def on_take(run: object) -> dict[str, object]:
        return {"download": str(zip_onnx(services.store.open(run), folder))}

    View("onnx", one, {"onnx": shown}, lambda run: onnx_html(services, run)).bind()
    bind(export.click, on_export, one, {"onnx": shown}, tasks=services.tasks, changes=True)
    bind(take.click, on_take, one, {"message": shown, "download": download}, queue=True).success(
        None, js="() => document.querySelector('#onnx-download')?.click()", api_visibility="private"
    )


def onnx_html(services: Services, run_id: object) -> str:
    """Show what was exported of a run, or what to do.

    Raises:
        UnknownRunError: there is no such run.
    """
    if not run_id:
        return render_part("quiet", "Start or pick a run: what was exported of it will stand here.")
    run = services.store.open(run_id)
    return render(
        "train/onnx.html",
        run_id=run.run_id,
        has_weights=run.has_weights(),
        export=read_export(run),
        files=FILES,
        can_export=can_export(),
        install=INSTALL,
    )
