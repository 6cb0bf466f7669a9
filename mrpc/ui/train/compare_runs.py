"""Runs beside each other: the chosen ones overlaid, and the repeats of a run with other seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.errors import UnknownRunError
from mrpc.ui.render.curves import take_series
from mrpc.ui.render.overlay import NUM_SLOTS, OverlaidRun, overlay_figures, render_differences
from mrpc.ui.render.progress import run_caption
from mrpc.ui.render.seeds import render_seeds, seeds_caption, seeds_figure
from mrpc.ui.theme import PLOTLY_URL
from mrpc.ui.train.board import RunBoard

if TYPE_CHECKING:
    from mrpc.services.container import Services
    from mrpc.services.monitoring import RunSummary

LIVE_PLOTS_JS = f"mrpcLivePlots(element, props, watch, {PLOTLY_URL!r})"
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


def build_overlay() -> list[Any]:
    """Build the place of the chosen runs, empty; return what :func:`overlay_updates` fills."""
    with gr.Column(visible=False, elem_id="overlay") as place:
        gr.HTML("<h3>Chosen runs</h3>", apply_default_css=False)
        table = gr.HTML(elem_id="overlay-table", apply_default_css=False)
        plots = gr.HTML(
            html_template=OVERLAY_TEMPLATE,
            js_on_load=LIVE_PLOTS_JS,
            elem_id="overlay-plots",
            apply_default_css=False,
        )
    return [place, table, plots]


def build_seeds() -> list[Any]:
    """Build the place of the repeats of a run, empty; return what :func:`seeds_updates` fills."""
    with gr.Column(visible=False, elem_id="seeds") as place:
        gr.HTML("<h3>The same settings with other seeds</h3>", apply_default_css=False)
        plot = gr.HTML(
            html_template=SEEDS_TEMPLATE,
            js_on_load=LIVE_PLOTS_JS,
            elem_id="seeds-plot",
            apply_default_css=False,
        )
        table = gr.HTML(elem_id="seeds-table", apply_default_css=False)
    return [place, plot, table]


def read_slots(value: Any) -> list[tuple[int, str]]:
    """Return the chosen runs with their places, as far as what a browser sent makes sense."""
    parts = str(value or "").split(",")[:NUM_SLOTS]
    chosen = {run_id: slot for slot, run_id in reversed(list(enumerate(parts))) if run_id}
    return sorted((slot, run_id) for run_id, slot in chosen.items())


def overlay_updates(services: Services, chosen: Any) -> list[Any]:
    """Show the curves of the chosen runs, from two on; with fewer say how to compare."""
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
        return [gr.update(visible=False), "", None]
    hint = '<p class="quiet">Choose another run to compare it with.</p>' if len(runs) == 1 else ""
    return [gr.update(visible=True), render_differences(runs) + hint, overlay_figures(runs)]


def seeds_updates(services: Services, board: RunBoard, run_id: str) -> list[Any]:
    """Show the repeats of the run that is looked at; nothing when there are none."""
    members = group_of(board.summaries(), run_id)
    if len(members) < 2:
        return [gr.update(visible=False), None, ""]
    view = services.monitoring.watch(run_id)
    with view.lock:
        caption = seeds_caption(members, run_caption(view.run, view.history))
    group = members[0].group or members[0].run_id
    plots = {"seeds": seeds_figure(members, group), "caption": caption}
    return [gr.update(visible=True), plots, render_seeds(members)]


def group_of(summaries: list[RunSummary], run_id: str) -> list[RunSummary]:
    """Return the runs that differ from this one in their seed alone, and itself, by seed."""
    own = next((summary for summary in summaries if summary.run_id == run_id), None)
    if own is None:
        return []
    group = own.group or own.run_id
    members = [summary for summary in summaries if group in (summary.group, summary.run_id)]
    return sorted(members, key=lambda summary: (summary.seed, summary.created_at))
