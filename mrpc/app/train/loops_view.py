"""The three loops side by side, and what the Trainer is told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.train.folds import run_of_open_fold
from mrpc.app.train.render_loops import render_arguments, render_loops, render_trainer_report
from mrpc.errors import UnknownRunError

if TYPE_CHECKING:
    from mrpc.app.services import Services

INTRO = (
    "<p>The same training three times, from the files that run. A <b>+</b> marks what Accelerate and Trainer "
    "have and the plain loop has not, a <b>−</b> what Accelerate no longer needs. What they share (the "
    "model, the batches, records and checkpoints) stands in <code>mrpc/training/session.py</code>.</p>"
)
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", "concurrency_limit": 8}


def build_loops_view(services: Services, run_id: gr.BrowserState) -> None:
    """Build the fold; it is filled when it is opened.

    Args:
        services: what the handlers call.
        run_id: which run the page looks at.
    """
    with gr.Accordion("The three ways to train, side by side", open=False, elem_id="loops-fold") as fold:
        gr.HTML(INTRO, apply_default_css=False)
        sources = gr.HTML(elem_id="loops", apply_default_css=False)
        gr.HTML("<h3>What the Trainer is told</h3>", apply_default_css=False)
        arguments = gr.HTML(elem_id="trainer-arguments", apply_default_css=False)
        report = gr.HTML(elem_id="trainer-report", apply_default_css=False)
    fold.expand(partial(on_sources, services), outputs=sources, **QUIET)
    show: dict[str, Any] = {
        "fn": partial(on_arguments, services),
        "inputs": run_id,
        "outputs": [arguments, report],
        **QUIET,
    }
    fold.expand(**show)
    run_id.change(**show, js=run_of_open_fold("loops-fold"))


def on_sources(services: Services) -> str:
    """Show the loops."""
    return render_loops(services.training_loops.sources())


def on_arguments(services: Services, run_id: Any) -> tuple[Any, Any]:
    """Show the settings of the run that the page looks at in Trainer's words; of the course without one."""
    if run_id is False:
        return gr.skip(), gr.skip()
    loops = services.training_loops
    try:
        run_id = run_id if isinstance(run_id, str) else ""
        rows = loops.trainer_arguments(run_id)
        report = loops.trainer_report(run_id) if run_id else None
    except UnknownRunError:  # deleted meanwhile
        run_id, report, rows = "", None, loops.trainer_arguments()
    whose = f"the run {run_id}" if run_id else "the preset course"
    return render_arguments(rows, whose), render_trainer_report(report)
