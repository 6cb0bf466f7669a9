"""View 6: a batch as a grid, padded in several ways, and what padding costs over the split."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.link import Linked, choice, text, whole
from mrpc.app.tokenize.render_batches import CHOICE_NAMES, render_batch, render_split_padding
from mrpc.app.tokenize.view import LIVE, LOADING, View, code_fold, intro, or_notice, view_html
from mrpc.core.data.pairs import SPLITS
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

FIRST_ROWS = "0-7"


def build_padding_view(services: Services) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "Dynamic padding: each batch as short as it can be",
            "Rows of a tensor must be equally long. Padding to the longest of the batch instead of the "
            "longest of all saves work; on tensor cores and TPUs a multiple of 8, or one fixed length, can "
            "be quicker still.",
        )
        with gr.Row(elem_classes="tk-controls"):
            split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="tk-b-split")
            rows = gr.Textbox(
                FIRST_ROWS, label="Rows, up to 16", max_lines=1, elem_id="tk-b-rows", min_width=200
            )
            draw = gr.Button("Draw 8 at random", size="md", elem_id="tk-b-draw", scale=0, min_width=160)
        pad_to = gr.Radio(
            [(name, value) for value, name in CHOICE_NAMES.items()],
            value="longest",
            label="Pad to",
            elem_id="tk-b-pad",
        )
        shown = view_html(elem_id="tk-batch", value=LOADING)
        batch_size = gr.Slider(1, 64, 8, step=1, label="Batch size for the whole split", elem_id="tk-b-size")
        whole_split = view_html(elem_id="tk-split-padding")
        code = code_fold()
    draw.click(partial(on_draw, services), inputs=split, outputs=rows, **LIVE)
    return View(
        "padding",
        column,
        [split, rows, pad_to, batch_size],
        [shown, whole_split, code],
        partial(on_padding, services),
        (
            Linked("batch_of", split, choice(*SPLITS)),
            Linked("pick", rows, text(120)),
            Linked("to", pad_to, choice(*CHOICE_NAMES)),
            Linked("size", batch_size, whole(1, 64)),
        ),
    )


def on_padding(
    services: Services,
    sentence1: Any,
    sentence2: Any,
    checkpoint: Any,
    split: Any,
    rows: Any,
    pad_to: Any,
    batch_size: Any,
) -> list[Any]:
    """Draw the batch and the report of the split."""

    def render() -> list[str]:
        batch = services.padding.batch(split, rows, checkpoint, pad_to)
        report = services.padding.report(split, checkpoint, batch_size)
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        numbers = [row.number for row in batch.rows]
        code = snippets.pad_batch(hub_name, split, numbers, pad_to, batch.lengths_by_choice["split"])
        return [render_batch(batch), render_split_padding(report, int(batch_size), split), render_code(code)]

    return or_notice(render, 3)


def on_draw(services: Services, split: Any) -> Any:
    """Draw the numbers of 8 rows at random."""
    try:
        return ", ".join(map(str, services.padding.draw_rows(split, 8)))
    except MrpcError:
        return gr.skip()
