"""The Compare tab: what is compared on top, the views below it.

A handler takes names and texts from the browser, asks :mod:`mrpc.app.compare`, and renders. The
browser keeps the choice; nothing is kept here between two calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import shown_errors
from mrpc.app.compare.behavioral_view import build_probes_view, pick_case
from mrpc.app.compare.cartography_view import build_map_view
from mrpc.app.compare.changes_view import build_flips_view
from mrpc.app.compare.endpoints import register_endpoints
from mrpc.app.compare.frame import ACT, EMPTY_TEXT, build_frame, run_choices, side_choices
from mrpc.app.compare.own_view import build_own_view
from mrpc.app.compare.pair_view import build_pair_view, put_pair, take_pair
from mrpc.app.compare.render_sides import render_note, render_scoreboard
from mrpc.app.compare.report_view import build_report_view
from mrpc.app.compare.split_view import build_split_view
from mrpc.app.compare.widgets import selected_id
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

GO_TO_TRAIN = """() => {
  const tabs = [...document.querySelectorAll('#tabs button[role="tab"]')];
  tabs.find((tab) => tab.textContent.trim() === 'Train')?.click();
}"""


@dataclass(frozen=True)
class Choice:
    """What :func:`on_open` and :func:`on_run` set, in the order of their outputs."""

    empty: Any
    body: Any
    run: Any
    left: Any
    right: Any

    def as_list(self) -> list[Any]:
        """Return the updates in order."""
        return [self.empty, self.body, self.run, self.left, self.right]


def build_compare_tab(services: Services) -> None:
    """Build the tab and register its endpoints."""
    with gr.Tab("Compare", id="compare") as tab:
        with gr.Column(visible=False, elem_id="cmp-empty") as empty:
            gr.HTML(EMPTY_TEXT)
            preview = gr.Button("Train a preview", variant="primary", elem_id="cmp-preview", scale=0)
            preview_message = gr.HTML(elem_id="cmp-preview-message")
        with gr.Column(elem_id="cmp-body") as body:
            frame = build_frame()
            with gr.Tabs(elem_id="cmp-views") as views:
                with gr.Tab("One pair", id="pair"):
                    pair_view, answering = build_pair_view(services, frame)
                    board = gr.HTML(elem_id="cmp-board", apply_default_css=False)
                with gr.Tab("The split", id="split"):
                    split, split_filling = build_split_view(services, frame)
                with gr.Tab("Flips", id="flips"):
                    flips, flips_filling = build_flips_view(services, frame, split)
                with gr.Tab("Probes", id="probes"):
                    cases, probe_name, probes_emptying = build_probes_view(services, frame)
                with gr.Tab("Data map", id="map") as map_tab:
                    training_pairs, map_filling = build_map_view(services, frame)
                with gr.Tab("Your pairs", id="own"):
                    build_own_view(services, frame)
                with gr.Tab("Report", id="report"):
                    report_emptying = build_report_view(services, frame, split)
        register_endpoints(services)

    chosen = [empty, body, frame.run, frame.left, frame.right]
    scores = {"fn": partial(on_scores, services), "inputs": frame.sides(), "outputs": board, **ACT}
    opened = tab.select(
        partial(on_open, services), inputs=[frame.run, frame.left, frame.right], outputs=chosen, **ACT
    )
    # Whoever typed before the sides were there is answered now.
    _chain(opened, scores, answering, split_filling, flips_filling)
    chosen_run = frame.run.input(partial(on_run, services), inputs=frame.run, outputs=chosen, **ACT)
    _chain(
        chosen_run,
        scores,
        answering,
        probes_emptying,
        report_emptying,
        split_filling,
        flips_filling,
        map_filling,
    )
    chosen_side = gr.on([frame.left.input, frame.right.input], **scores)
    _chain(
        chosen_side, answering, probes_emptying, report_emptying, split_filling, flips_filling, map_filling
    )
    split.change(**flips_filling).then(**report_emptying)

    def open_pair(left: Any, right: Any, split: Any, event: gr.EventData) -> list[Any]:
        return on_open_pair(services, left, right, split, selected_id(event))

    opened_pair = flips.select(
        open_pair, inputs=[*frame.sides(), split], outputs=[views, *pair_view.picked()], **ACT
    )
    _chain(opened_pair, answering)

    def open_training_pair(left: Any, right: Any, event: gr.EventData) -> list[Any]:
        return on_open_pair(services, left, right, "train", selected_id(event))

    for table in training_pairs:
        opened_pair = table.select(
            open_training_pair, inputs=frame.sides(), outputs=[views, *pair_view.picked()], **ACT
        )
        _chain(opened_pair, answering)
    map_tab.select(**map_filling)

    def open_case(left: Any, right: Any, name: Any, event: gr.EventData) -> list[Any]:
        return on_open_case(services, left, right, name, selected_id(event))

    opened_case = cases.select(
        open_case, inputs=[*frame.sides(), probe_name], outputs=[views, *pair_view.picked()], **ACT
    )
    _chain(opened_case, answering)
    preview.click(partial(on_preview, services), outputs=preview_message, **ACT).success(
        None, js=GO_TO_TRAIN, api_visibility="private"
    )


def _chain(event: Any, *fillings: dict[str, Any]) -> None:
    """Fill one view after the other."""
    for filling in fillings:
        event = event.then(**filling)


def on_open_pair(services: Services, left: Any, right: Any, split: Any, row: object) -> list[Any]:
    """Show a pair that was clicked in a table in the one-pair view."""
    return [gr.Tabs(selected="pair"), *take_pair(services, left, right, split, row)]


def on_open_case(services: Services, left: Any, right: Any, name: Any, number: object) -> list[Any]:
    """Show a case of a probe in the one-pair view."""
    with shown_errors():
        return [gr.Tabs(selected="pair"), *put_pair(*pick_case(services, left, right, name, number))]


def on_open(services: Services, run_id: Any, left: Any, right: Any) -> list[Any]:
    """Show what can be compared now; keep what was chosen as long as it is there."""
    runs = services.comparison.comparable_runs()
    ids = [run.run_id for run in runs]
    if not ids:
        return Choice(gr.update(visible=True), gr.update(visible=False), *[gr.skip()] * 3).as_list()
    if run_id not in ids:
        run_id, left, right = ids[0], None, None
    choices = side_choices(services, run_id)
    names = [name for _, name in choices]
    return Choice(
        empty=gr.update(visible=False),
        body=gr.update(visible=True),
        run=gr.update(choices=run_choices(runs), value=run_id),
        left=gr.update(choices=choices, value=left if left in names else f"{run_id}:base"),
        right=gr.update(choices=choices, value=right if right in names else f"{run_id}:best"),
    ).as_list()


def on_run(services: Services, run_id: Any) -> list[Any]:
    """Compare a run's base and best."""
    return on_open(services, run_id, None, None)


def on_scores(services: Services, left: Any, right: Any) -> str:
    """Draw the scores of both sides on validation."""
    if not left or not right:
        return ""
    try:
        return render_scoreboard(services.comparison.compare_split(left, right))
    except MrpcError as error:
        return render_note(str(error), "bad")


def on_preview(services: Services) -> str:
    """Start a short training."""
    with shown_errors():
        run_id = services.launcher.start({"preset": "quick"})
    return render_note(f"Training {run_id} has started; the Train tab shows it.")
