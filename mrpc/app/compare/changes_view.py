"""Which pairs changed: four cells that lead to pairs, and kinds of pairs on which the right side fails."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import build_table, selected_id
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.compare.changes import SplitPairs
    from mrpc.app.services import Services

CLICK_JS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-id]');
  if (button) trigger('select', {id: button.dataset.id});
});"""
SCROLL_TO_PAIRS = "() => document.querySelector('#cmp-flips-title')?.scrollIntoView({behavior: 'smooth'})"
SLICES_NOTE = (
    "<h3>Kinds of pairs</h3><p class='cmp-quiet'>The worst of the right side first. Whoever looks at many "
    "kinds finds a bad one by luck: the p-values are corrected for that (Benjamini and Hochberg).</p>"
)


def build_flips_view(services: Services, frame: Frame, split: gr.Textbox) -> tuple[gr.HTML, dict[str, Any]]:
    """Build the view; return its table of pairs, and how to fill the view for new sides."""
    status = gr.HTML(elem_id="cmp-flips-status")
    cells = gr.HTML(elem_id="cmp-flip-cells", js_on_load=CLICK_JS, apply_default_css=False)
    title = gr.HTML(elem_id="cmp-flips-title")
    pairs = build_table("cmp-flips")
    gr.HTML(SLICES_NOTE, elem_classes="cmp-section")
    slices = build_table("cmp-slices")

    asked = [*frame.sides(), split]
    shown = {"inputs": asked, "outputs": [cells, title, pairs], **ACT, "show_progress": "hidden"}

    def show_cell(left: Any, right: Any, split: Any, event: gr.EventData) -> list[Any]:
        return on_cell(services, left, right, split, selected_id(event))

    def show_slice(left: Any, right: Any, split: Any, event: gr.EventData) -> list[Any]:
        return on_slice(services, left, right, split, selected_id(event))

    cells.select(show_cell, **shown)
    slices.select(show_slice, **shown).then(None, js=SCROLL_TO_PAIRS, api_visibility="private")
    filling = {
        "fn": partial(on_flips, services),
        "inputs": asked,
        "outputs": [status, cells, title, pairs, slices],
        **ACT,
        "trigger_mode": "always_last",
    }
    return pairs, filling


def on_flips(services: Services, left: Any, right: Any, split: Any) -> Iterator[list[Any]]:
    """Fill the view."""
    if not left or not right:
        yield [gr.skip()] * 5
        return

    def work(report: Any, should_stop: Any) -> SplitPairs:
        services.comparison.compare_split(left, right, split, report, should_stop)
        return services.comparison.split_pairs(left, right, split)

    yield from followed(work, 5, _render_flips)


def _render_flips(pairs: SplitPairs) -> list[Any]:
    from mrpc.app.compare.render_changes import slices_table

    counts = pairs.comparison.transitions
    cell = "fixed" if counts.fixed or not counts.broken else "broken"
    return [*_render_cell(pairs, cell), slices_table(pairs.slice_scores())]


def on_cell(services: Services, left: Any, right: Any, split: Any, cell: object) -> list[Any]:
    """List the pairs of the cell that was clicked."""
    try:
        return _render_cell(services.comparison.split_pairs(left, right, split), cell)
    except MrpcError as error:
        return [gr.skip(), render_note(str(error), "bad"), gr.skip()]


def on_slice(services: Services, left: Any, right: Any, split: Any, name: object) -> list[Any]:
    """List the pairs of the kind that was clicked."""
    from mrpc.app.compare.render_changes import flips_table, render_cells

    try:
        pairs = services.comparison.split_pairs(left, right, split)
        found = pairs.in_slice(name)
    except MrpcError as error:
        return [gr.skip(), render_note(str(error), "bad"), gr.skip()]
    text = f"{len(found):,} pairs: {name}. Those that the right side has most wrong come first."
    return [render_cells(pairs.comparison.transitions, ""), render_note(text), flips_table(found, str(name))]


def _render_cell(pairs: SplitPairs, cell: object) -> list[Any]:
    from mrpc.app.compare.render_changes import CELL_WORDS, flips_table, render_cells

    found = pairs.in_cell(cell)
    text = f"{CELL_WORDS[str(cell)]}: {len(found):,} pairs, the largest change in probability first."
    return [
        render_cells(pairs.comparison.transitions, str(cell)),
        render_note(text),
        flips_table(found, str(cell)),
    ]
