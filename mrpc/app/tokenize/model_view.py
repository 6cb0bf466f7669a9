"""View 7: from the tokenized split to the first logits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.link import Linked, choice, whole
from mrpc.app.tokenize.render_steps import render_model_input
from mrpc.app.tokenize.view import SLOW, View, code_fold, intro, or_notice, view_html
from mrpc.core.data.pairs import SPLITS

if TYPE_CHECKING:
    from mrpc.app.services import Services


def build_model_view(services: Services, checkpoint: gr.Dropdown) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "Ready for the model",
            "Columns that the model does not know are removed, <code>label</code> is renamed to what it "
            "expects, and the format is set to torch. Then the loader hands out batches. This is the first "
            "batch of a training with the same seed.",
        )
        with gr.Row(elem_classes="tk-controls"):
            split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="tk-m-split")
            batch_size = gr.Slider(1, 16, 8, step=1, label="Batch size", elem_id="tk-m-size")
            seed = gr.Number(
                42, label="Seed", precision=0, minimum=0, elem_id="tk-m-seed", scale=0, min_width=120
            )
        run = gr.Button(
            "Run a batch through the model",
            size="md",
            variant="primary",
            elem_id="tk-m-run",
            scale=0,
            min_width=260,
        )
        shown = view_html(elem_id="tk-model")
        code = code_fold()
    view = View(
        "model",
        column,
        [split, batch_size, seed],
        [shown, code],
        partial(on_model, services),
        (
            Linked("model_of", split, choice(*SPLITS)),
            Linked("model_size", batch_size, whole(1, 16)),
            Linked("seed", seed, whole(0, 2**31 - 1)),
        ),
        on_demand=True,
    )
    run.click(
        partial(on_run, services),
        inputs=[checkpoint, *view.inputs],
        outputs=view.outputs,
        **SLOW,
    )
    return view


def on_model(
    services: Services,
    sentence1: Any,
    sentence2: Any,
    checkpoint: Any,
    split: Any,
    batch_size: Any,
    seed: Any,
) -> list[Any]:
    """Draw the columns, the batch and the forward pass."""

    def render() -> list[str]:
        ready = services.model_inputs.first_batch(split, checkpoint, batch_size, seed)
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        code = snippets.model_input(hub_name, split, int(batch_size), int(seed))
        return [render_model_input(ready), render_code(code)]

    return or_notice(render, 2)


def on_run(services: Services, checkpoint: Any, split: Any, batch_size: Any, seed: Any) -> list[Any]:
    """Draw it, asked for by the button."""
    return on_model(services, "", "", checkpoint, split, batch_size, seed)
