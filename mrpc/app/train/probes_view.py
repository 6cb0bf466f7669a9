"""Pairs pinned to the run that is looked at: how sure the model is of them after every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert
from mrpc.app.train.parts import html_part, plots_part
from mrpc.app.train.queue_view import ACTS_JS
from mrpc.app.train.render_probes import probes_figure, render_probes
from mrpc.app.train.render_progress import run_caption
from mrpc.errors import InputError, MrpcError
from mrpc.runs.store import RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services

PROBES_HELP = (
    '<p class="quiet">Pin up to five pairs, also while it trains: after every evaluation the model says how '
    "sure it is that they are equivalent. Pinning changes nothing in the training.</p>"
)
OVER_HELP = (
    '<p class="quiet">This run is over: its record stays as it is. Ask its model about other pairs in the '
    "Compare tab.</p>"
)
PROBES_TEMPLATE = """
<figure class="plot"><div data-plot="probes"></div></figure>
<p class="plot-caption" data-plot-caption></p>
"""


@dataclass(frozen=True)
class ProbesView:
    """The widgets of the pinned pairs."""

    pairs: gr.HTML
    sentence1: gr.Textbox
    sentence2: gr.Textbox
    pin: gr.Button
    message: gr.HTML


def build_probes() -> ProbesView:
    """Build the fold of the pinned pairs, empty."""
    with gr.Accordion("Pinned pairs", open=False, elem_id="probes"):
        pairs = html_part("probes-list", js=ACTS_JS, after="focus")
        plots_part("probes-plot", PROBES_TEMPLATE)
        with gr.Row(equal_height=False):
            sentence1 = gr.Textbox(label="Sentence 1", lines=1, max_lines=3, elem_id="probe-sentence1")
            sentence2 = gr.Textbox(label="Sentence 2", lines=1, max_lines=3, elem_id="probe-sentence2")
        with gr.Row(elem_classes="button-row"):
            pin = gr.Button("Pin this pair", size="sm", elem_id="probe-pin")
        message = gr.HTML(elem_id="probe-message", apply_default_css=False)
    return ProbesView(pairs, sentence1, sentence2, pin, message)


def probes_parts(services: Services, run_id: str) -> dict[str, Any]:
    """Draw the pinned pairs of a run and their record."""
    if not run_id:
        return {"probes-list": "", "probes-plot": None}
    probes = services.catalog.read_probes(run_id)
    view = services.monitoring.watch(run_id)
    with view.lock:
        events, caption = dict(view.history.pinned_pairs), run_caption(view.run, view.history)
    help_text = OVER_HELP if view.state is RunState.FINISHED else PROBES_HELP
    plots = {"probes": probes_figure(probes, events, run_id), "caption": caption} if probes else None
    return {"probes-list": help_text + render_probes(probes, events), "probes-plot": plots}


def on_pin(services: Services, run_id: Any, sentence1: Any, sentence2: Any) -> list[Any]:
    """Pin a pair to a run; return the message and the two fields."""
    try:
        if not isinstance(sentence1, str) or not isinstance(sentence2, str):
            raise InputError("A pinned pair has two sentences.")
        pairs = _pinned(services, run_id)
        services.catalog.pin_probes(run_id, [*pairs, (sentence1.strip(), sentence2.strip())])
    except MrpcError as error:
        return [render_alert(str(error)), gr.skip(), gr.skip()]
    return ["", "", ""]


def on_unpin(services: Services, run_id: Any, pair_id: Any) -> str:
    """Let a pinned pair go; return the message."""
    try:
        kept = [probe for probe in services.catalog.read_probes(run_id) if probe.pair_id != pair_id]
        services.catalog.pin_probes(run_id, [(probe.sentence1, probe.sentence2) for probe in kept])
    except MrpcError as error:
        return render_alert(str(error))
    return ""


def _pinned(services: Services, run_id: Any) -> list[tuple[str, str]]:
    return [(probe.sentence1, probe.sentence2) for probe in services.catalog.read_probes(run_id)]
