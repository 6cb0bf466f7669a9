"""The map of the training pairs, its regions, and labels to doubt."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import build_chart, build_table, quiet, selected_id
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.compare.cartography import MappedPair, TrainingMap
    from mrpc.app.services import Services

NOTE = quiet(
    "Each mark is a pair that the right side’s run trained on. The training wrote down every loss as it "
    "passed (dropout on, before the step that used it); this costs nothing more."
)
DOUBT_NOTE = "<h3>Labels to doubt</h3>" + quiet(
    "The pairs whose label the training believed least. Where both sides contradict the corpus, look twice."
)
REGION_CHOICES = [("ambiguous", "ambiguous"), ("hard", "hard"), ("easy", "easy")]


def build_map_view(services: Services, frame: Frame) -> tuple[list[gr.HTML], dict[str, Any]]:
    """Build the view; return its tables of pairs, and how to fill the view for new sides."""
    gr.HTML(NOTE)
    status = gr.HTML(elem_id="cmp-map-status")
    with gr.Column(visible=False) as found:
        chart = build_chart("cmp-map")
        region = gr.Radio(
            REGION_CHOICES, value="hard", label="Show the pairs of a region", elem_id="cmp-region"
        )
        title = gr.HTML(elem_id="cmp-map-title")
        pairs = build_table("cmp-map-pairs")
        gr.HTML(DOUBT_NOTE, elem_classes="cmp-section")
        with gr.Row(elem_classes="cmp-controls"):
            ask = gr.Button("Ask both sides", size="sm", scale=0, elem_id="cmp-doubt")
        doubt_status = gr.HTML(elem_id="cmp-doubt-status")
        doubtful = build_table("cmp-doubtful")

    asked = [*frame.sides(), region]
    listed = [title, pairs]
    quick = {**ACT, "show_progress": "hidden"}
    region.input(partial(on_region, services), inputs=asked, outputs=listed, **quick)

    def show_point(left: Any, right: Any, event: gr.EventData) -> list[Any]:
        return on_point(services, left, right, selected_id(event))

    chart.select(show_point, inputs=frame.sides(), outputs=listed, **quick)
    ask.click(partial(on_doubt, services), inputs=frame.sides(), outputs=[doubt_status, doubtful], **ACT)
    filling = {
        "fn": partial(on_map, services),
        "inputs": asked,
        "outputs": [status, found, chart, *listed, doubtful],
        **ACT,
        "trigger_mode": "always_last",
    }
    return [pairs, doubtful], filling


def on_map(services: Services, left: Any, right: Any, region: Any) -> Iterator[list[Any]]:
    """Fill the view."""
    from mrpc.app.compare.render_cartography import map_figure

    if not left or not right:
        yield [gr.skip()] * 6
        return
    try:
        found = services.comparison.training_map(left, right)
        yield [
            "",
            gr.update(visible=True),
            map_figure(found.points()),
            *_render_region(found, region),
            None,
        ]
    except MrpcError as error:
        yield [render_note(str(error), "warn"), gr.update(visible=False), None, "", None, None]


def on_region(services: Services, left: Any, right: Any, region: Any) -> list[Any]:
    """List the pairs of a region."""
    try:
        return _render_region(services.comparison.training_map(left, right), region)
    except MrpcError as error:
        return [render_note(str(error), "bad"), gr.skip()]


def on_point(services: Services, left: Any, right: Any, row: object) -> list[Any]:
    """Show the pair of a point that was clicked."""
    from mrpc.app.compare.render_cartography import pairs_table

    try:
        pair = services.comparison.training_map(left, right).at(row)
    except MrpcError as error:
        return [render_note(str(error), "bad"), gr.skip()]
    return [render_note(f"Pair {pair.row} of train, {pair.region}."), pairs_table([pair], f"pair {pair.row}")]


def on_doubt(services: Services, left: Any, right: Any) -> Iterator[list[Any]]:
    """List likely label errors with what both sides say."""
    from mrpc.app.compare.render_cartography import pairs_table

    def work(report: Any, should_stop: Any) -> list[MappedPair]:
        return services.comparison.doubt_labels(left, right, report, should_stop)

    yield from followed(work, 2, lambda pairs: [pairs_table(pairs, "labels to doubt")])


def _render_region(found: TrainingMap, region: object) -> list[Any]:
    from mrpc.app.compare.cartography import MAX_LISTED
    from mrpc.app.compare.render_cartography import REGION_WORDS, pairs_table

    pairs = found.in_region(region)
    num = found.counts()[str(region)]
    more = f" The first {MAX_LISTED} are listed." if num > MAX_LISTED else ""
    text = f"{REGION_WORDS[str(region)]} {num:,} pairs over {found.map.num_epochs} epochs.{more}"
    return [render_note(text), pairs_table(pairs, str(region))]
