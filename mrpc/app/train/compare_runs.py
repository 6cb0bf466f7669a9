"""Runs beside each other: the chosen ones overlaid, and the repeats of a run with other seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.train.board import RunBoard
from mrpc.app.train.parts import html_part, plots_part
from mrpc.app.train.render_curves import take_series
from mrpc.app.train.render_overlay import NUM_SLOTS, OverlaidRun, overlay_figures, render_differences
from mrpc.app.train.render_progress import run_caption
from mrpc.app.train.render_seeds import render_seeds, seeds_caption, seeds_figure
from mrpc.errors import UnknownRunError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.monitoring import RunSummary

OVERLAY_TEMPLATE = """
<div class="plots">
  <figure class="plot plot-wide"><figcaption>Training loss</figcaption><div data-plot="loss"></div></figure>
</div>
<div class="plots plots-3">
  <figure class="plot"><figcaption>Validation loss</figcaption><div data-plot="validation"></div></figure>
  <figure class="plot"><figcaption>Validation accuracy</figcaption><div data-plot="accuracy"></div></figure>
  <figure class="plot"><figcaption>Validation F1</figcaption><div data-plot="f1"></div></figure>
</div>
<p class="plot-caption" data-plot-caption></p>
"""
SEEDS_TEMPLATE = """
<figure class="plot plot-seeds"><div data-plot="seeds"></div></figure>
<p class="plot-caption" data-plot-caption></p>
"""


def build_overlay() -> None:
    """Build the place of the chosen runs; without any it is not seen."""
    with gr.Column(elem_id="overlay"):
        gr.HTML("<h3>Chosen runs</h3>", apply_default_css=False)
        html_part("overlay-table")
        plots_part("overlay-plots", OVERLAY_TEMPLATE)


def build_seeds() -> None:
    """Build the place of the repeats of a run; without any it is not seen."""
    with gr.Column(elem_id="seeds"):
        gr.HTML("<h3>The same settings with other seeds</h3>", apply_default_css=False)
        plots_part("seeds-plot", SEEDS_TEMPLATE)
        html_part("seeds-table")


def read_slots(value: Any) -> list[tuple[int, str]]:
    """Return the chosen runs with their places, as far as what a browser sent makes sense."""
    parts = str(value or "").split(",")[:NUM_SLOTS]
    chosen = {run_id: slot for slot, run_id in reversed(list(enumerate(parts))) if run_id}
    return sorted((slot, run_id) for run_id, slot in chosen.items())


def overlay_parts(services: Services, chosen: Any) -> dict[str, Any]:
    """Draw the chosen runs beside each other; with one say how to compare, with none nothing."""
    runs = []
    for slot, run_id in read_slots(chosen):
        try:
            view = services.monitoring.watch(run_id)
        except UnknownRunError:
            continue
        name = view.run.read_label().name or view.run.run_id
        with view.lock:
            series, caption = take_series(view.history), run_caption(view.run, view.history)
        runs.append(OverlaidRun(slot, name, view.run.config, series, caption))
    if not runs:
        return {"overlay-table": "", "overlay-plots": None}
    hint = '<p class="quiet">Choose another run to compare it with.</p>' if len(runs) == 1 else ""
    return {"overlay-table": render_differences(runs) + hint, "overlay-plots": overlay_figures(runs)}


def seeds_parts(services: Services, board: RunBoard, run_id: str) -> dict[str, Any]:
    """Draw the repeats of the run that is looked at; nothing when there are none."""
    members = group_of(board.summaries(), run_id)
    if len(members) < 2:
        return {"seeds-table": "", "seeds-plot": None}
    view = services.monitoring.watch(run_id)
    with view.lock:
        caption = seeds_caption(members, run_caption(view.run, view.history))
    group = members[0].group or members[0].run_id
    plots = {"seeds": seeds_figure(members, group), "caption": caption}
    return {"seeds-table": render_seeds(members), "seeds-plot": plots}


def group_of(summaries: list[RunSummary], run_id: str) -> list[RunSummary]:
    """Return the runs that differ from this one in their seed alone, and itself, by seed."""
    own = next((summary for summary in summaries if summary.run_id == run_id), None)
    if own is None:
        return []
    group = own.group or own.run_id
    members = [summary for summary in summaries if group in (summary.group, summary.run_id)]
    return sorted(members, key=lambda summary: (summary.seed, summary.created_at))
