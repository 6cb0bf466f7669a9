"""View 8: one training step on two sentences, as in the first cell of the course."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.address import Linked, choice, text
from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.render_steps import render_training_step
from mrpc.app.tokenize.view import SLOW, View, code_fold, intro, or_notice, view_html
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

COURSE_SEQUENCES = ("I've been waiting for a HuggingFace course my whole life.", "This course is amazing!")
RATES = [
    ("1e-3, AdamW’s own default", "0.001"),
    ("5e-5, usual for fine-tuning", "5e-05"),
    ("0, nothing moves", "0.0"),
]
SEED = 42


def build_step_view(services: Services, checkpoint: gr.Dropdown) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "One training step",
            "Two single sentences, both labelled 1, one step of AdamW. The loss of the same batch falls: "
            "that is all that training does, many thousand times and on different batches.",
        )
        with gr.Row(elem_classes="tk-sequences"):
            first = gr.Textbox(
                COURSE_SEQUENCES[0], label="First sequence, label 1", lines=2, elem_id="tk-t-1"
            )
            second = gr.Textbox(
                COURSE_SEQUENCES[1], label="Second sequence, label 1", lines=2, elem_id="tk-t-2"
            )
        rate = gr.Radio(RATES, value="0.001", label="Learning rate", elem_id="tk-t-rate")
        run = gr.Button(
            "Take one step", size="md", variant="primary", elem_id="tk-t-run", scale=0, min_width=180
        )
        shown = view_html(elem_id="tk-training-step")
        code = code_fold()
    view = View(
        "step",
        column,
        [first, second, rate],
        [shown, code],
        partial(on_step, services),
        (
            Linked("t1", first, text(2_000)),
            Linked("t2", second, text(2_000)),
            Linked("rate", rate, choice(*(value for _, value in RATES))),
        ),
        on_demand=True,
    )
    run.click(partial(on_run, services), inputs=[checkpoint, *view.inputs], outputs=view.outputs, **SLOW)
    return view


def on_step(
    services: Services, sentence1: Any, sentence2: Any, checkpoint: Any, first: Any, second: Any, rate: Any
) -> list[Any]:
    """Take the step and draw what it changed."""

    def render() -> list[str]:
        learning_rate = _rate(rate)
        step = services.training_steps.take([first, second], checkpoint, learning_rate, SEED)
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        code = snippets.training_step(hub_name, first, second, learning_rate, SEED)
        return [render_training_step(step, learning_rate), render_code(code)]

    return or_notice(render, 2)


def on_run(services: Services, checkpoint: Any, first: Any, second: Any, rate: Any) -> list[Any]:
    """Draw it, asked for by the button."""
    return on_step(services, "", "", checkpoint, first, second, rate)


def _rate(rate: Any) -> float:
    for _, value in RATES:
        if rate == value:
            return float(value)
    raise MrpcError("Choose one of the learning rates.")
