"""The pair and the checkpoint that the first three views look at, and where the pair can be taken from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.errors import MrpcError
from mrpc.ui.errors import render_alert
from mrpc.ui.tokenize.view import LIVE, view_html

if TYPE_CHECKING:
    from mrpc.services.container import Services

COURSE_SENTENCES = ("This is the first sentence.", "This is the second one.")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class PairPanel:
    """The widgets above the first three views.

    Attributes:
        group: all of them, to show and hide.
        sentence1: the first sentence.
        sentence2: the second.
        checkpoint: whose tokenizer.
        split: the split that a row is taken from.
        row: the number of that row.
        message: what the corpus says about the row, or why there is none.
    """

    group: gr.Group
    sentence1: gr.Textbox
    sentence2: gr.Textbox
    checkpoint: gr.Dropdown
    split: gr.Dropdown
    row: gr.Number
    message: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """What the views look at."""
        return [self.sentence1, self.sentence2, self.checkpoint]


def build_pair_panel(services: Services) -> PairPanel:
    """Build the panel."""
    with gr.Column(elem_classes="tk-panel") as group:
        with gr.Row(elem_classes="tk-sentences"):
            sentence1 = gr.Textbox(
                COURSE_SENTENCES[0], label="Sentence 1", lines=2, max_lines=4, elem_id="tk-s1"
            )
            sentence2 = gr.Textbox(
                COURSE_SENTENCES[1], label="Sentence 2", lines=2, max_lines=4, elem_id="tk-s2"
            )
        with gr.Row(elem_classes="tk-controls", equal_height=False):
            checkpoint = gr.Dropdown(
                [(DEFAULT_CHECKPOINT, DEFAULT_CHECKPOINT)],
                value=DEFAULT_CHECKPOINT,
                label="Checkpoint",
                elem_id="tk-checkpoint",
                filterable=False,
            )
            split = gr.Dropdown(
                list(SPLITS), value="train", label="Split", filterable=False, elem_id="tk-split"
            )
            row = gr.Number(0, label="Row", precision=0, minimum=0, elem_id="tk-row")
            take = gr.Button("Take this row", elem_id="tk-take", scale=0, min_width=140)
        message = view_html(elem_id="tk-row-message")
    panel = PairPanel(group, sentence1, sentence2, checkpoint, split, row, message)
    gr.on(
        [take.click, row.submit],
        partial(on_take_row, services),
        inputs=[split, row],
        outputs=[sentence1, sentence2, message],
        **LIVE,
    )
    return panel


def on_take_row(services: Services, split: Any, row: Any) -> tuple[Any, Any, str]:
    """Put a row of the data into the two sentences."""
    try:
        pair = services.explorer.row(split, row)
    except MrpcError as error:
        return gr.skip(), gr.skip(), render_alert(str(error))
    said = f"Row {pair.number:,} of {split} is idx {pair.idx}, labelled {pair.label_name}."
    return pair.sentence1, pair.sentence2, f'<p class="tk-note" role="status">{said}</p>'
