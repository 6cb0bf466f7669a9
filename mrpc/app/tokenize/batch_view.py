"""Inspect, Batch: a batch as a grid, padded in several ways, and what padding costs over the split."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import Linked, choice, text, whole
from mrpc.app.layout import field_row
from mrpc.app.templates import render
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.tokenize.speed_view import build_speed_section
from mrpc.app.view import View, bind, place, stage
from mrpc.core.data.pairs import SPLITS

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine

FIRST_ROWS = "0-7"
NUM_DRAWN = 8
PAD_NAMES = {
    "longest": "the longest of the batch",
    "multiple_of_8": "a multiple of 8",
    "split": "the longest of the split",
    "128": "128",
    "512": "512",
}


def build_batch_view(services: Services, spine: Spine, checkpoint: gr.Dropdown) -> None:
    """Build the view.

    Args:
        services: of the app.
        spine: gets what stands in the address.
        checkpoint: whose tokenizer.
    """
    place(render("tokenize/about.html", view="batch"))
    with field_row(elem_classes="tk-controls"):
        split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="batch-split")
        rows = gr.Textbox(
            FIRST_ROWS, label="Rows, up to 16", max_lines=1, elem_id="batch-rows", min_width=160
        )
        pad_to = gr.Radio(
            [(name, value) for value, name in PAD_NAMES.items()],
            value="longest",
            label="Pad to",
            elem_id="batch-pad",
        )
        draw = gr.Button("Draw 8 at random", size="md", elem_id="batch-draw", scale=0, min_width=160)
    batch = stage("batch")
    batch_size = gr.Slider(1, 64, 8, step=1, label="Batch size for the whole split", elem_id="batch-size")
    report = place(elem_id="split-padding")
    build_speed_section(services, spine, checkpoint, split)

    View(
        "batch",
        {"checkpoint": checkpoint, "split": split, "rows": rows, "pad_to": pad_to, "batch_size": batch_size},
        {"batch": batch, "report": report},
        partial(show_batch, services),
    ).bind()
    bind(draw.click, partial(draw_rows, services), {"split": split}, {"rows": rows})
    spine.links.extend(
        [
            Linked("batch_of", split, choice(*SPLITS)),
            Linked("pick", rows, text(120)),
            Linked("to", pad_to, choice(*PAD_NAMES)),
            Linked("size", batch_size, whole(1, 64)),
        ]
    )


def show_batch(
    services: Services, checkpoint: str, split: str, rows: object, pad_to: str, batch_size: object
) -> dict[str, object]:
    """Draw the batch and the report of the split."""
    batch = services.padding.batch(split, rows, checkpoint, pad_to)
    padding = services.padding.report(split, checkpoint, batch_size)
    spec = services.checkpoints.spec(checkpoint)
    numbers = [row.number for row in batch.rows]
    code = snippet(
        "pad_batch",
        spec.source,
        split,
        numbers,
        pad_to,
        batch.lengths_by_choice["split"],
    )
    return {
        "batch": render("tokenize/batch.html", batch=batch, names=PAD_NAMES, checkpoint=spec.label),
        "report": render(
            "tokenize/split_padding.html", padding=padding, split=split, batch_size=batch_size, code=code
        ),
    }


def draw_rows(services: Services, split: object) -> str:
    """Draw the numbers of some rows at random."""
    return ", ".join(map(str, services.padding.draw_rows(split, NUM_DRAWN)))
