"""The three loops: short ones with what changes, the files that run, and what the Trainer is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.spine import Spine
from mrpc.app.templates import render
from mrpc.app.train.training_loops import find_machine
from mrpc.app.view import View, stage
from mrpc.errors import UnknownRunError

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_VALUE_CHARS = 60


def build_loops_view(services: Services, spine: Spine) -> None:
    """Build the view."""
    loops = stage("loops", elem_id="loops")
    with gr.Accordion("The files that run", open=False, elem_id="loop-files-fold"):
        files = stage("loop-files", elem_id="loop-files")
    with gr.Accordion("What the Trainer is told", open=False, elem_id="arguments-fold"):
        arguments = stage("arguments", elem_id="trainer-arguments")

    def draw_loops() -> str:
        return render("train/loops.html", loops=services.training_loops.short_loops(), machine=find_machine())

    def draw_files() -> str:
        return render("train/loop_files.html", loops=services.training_loops.sources())

    def draw_arguments(run: Any) -> str:
        return arguments_html(services, run)

    View("loops", {}, {"loops": loops}, draw_loops).bind()
    View("loop-files", {}, {"files": files}, draw_files).bind()
    View("arguments", {"run": spine.run}, {"arguments": arguments}, draw_arguments).bind()


def arguments_html(services: Services, run_id: Any) -> str:
    """Show the settings of a run in Trainer's words, those of the course without one."""
    loops = services.training_loops
    try:
        known = run_id if isinstance(run_id, str) else ""
        rows = loops.trainer_arguments(known)
        report = loops.trainer_report(known) if known else None
    except UnknownRunError:  # deleted meanwhile
        known, report, rows = "", None, loops.trainer_arguments()
    whose = f"the run {known}" if known else "the preset course"
    return render("train/arguments.html", rows=rows, report=report, whose=whose, shorten=_shorten)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 3] + "..."
