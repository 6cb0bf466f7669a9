"""The checkpoint that all views use, and the pair that the first three look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.address import Linked, choice, text, whole
from mrpc.app.alerts import render_alert
from mrpc.app.tokenize.view import LIVE, view_html
from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.data.pairs import SPLITS
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

COURSE_SENTENCES = ("This is the first sentence.", "This is the second one.")
CHECKPOINT_KEY = "checkpoint"


@dataclass(frozen=True)
class PairPanel:
    """The widgets above the views.

    Attributes:
        groups: those of the pair, to show and hide.
        sentence1: the first sentence.
        sentence2: the second.
        checkpoint: whose tokenizer.
        split: the split that a row is taken from.
        row: the number of that row.
        message: what the corpus says about the row, or why there is none.
    """

    groups: Sequence[Any]
    sentence1: gr.Textbox
    sentence2: gr.Textbox
    checkpoint: gr.Dropdown
    split: gr.Dropdown
    row: gr.Number
    message: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """What every view is given first."""
        return [self.sentence1, self.sentence2, self.checkpoint]

    @property
    def links(self) -> Sequence[Linked]:
        """What of it stands in the page's address."""
        return (
            Linked("s1", self.sentence1, text(2_000)),
            Linked("s2", self.sentence2, text(2_000)),
            Linked(CHECKPOINT_KEY, self.checkpoint, text(100)),
            Linked("split", self.split, choice(*SPLITS)),
            Linked("row", self.row, whole(0, 10**9)),
        )


def build_pair_panel(services: Services) -> PairPanel:
    """Build the panel."""
    with gr.Row(elem_classes="tk-line"):
        checkpoint = gr.Dropdown(
            [(DEFAULT_CHECKPOINT, DEFAULT_CHECKPOINT)],  # the others are added when the page is open
            value=DEFAULT_CHECKPOINT,
            label="Checkpoint",
            elem_id="tk-checkpoint",
            filterable=False,
            scale=0,
            min_width=280,
        )
        with gr.Row(elem_classes="tk-line", scale=1) as from_data:
            split = gr.Dropdown(
                list(SPLITS),
                value="train",
                label="A row of the data",
                filterable=False,
                elem_id="tk-split",
                scale=0,
                min_width=150,
            )
            row = gr.Number(0, label="Row", precision=0, minimum=0, elem_id="tk-row", scale=0, min_width=110)
            take = gr.Button("Take this row", size="md", elem_id="tk-take", scale=0, min_width=140)
            message = view_html(elem_id="tk-row-message")
    with gr.Row(elem_classes="tk-sentences") as sentences:
        sentence1 = gr.Textbox(COURSE_SENTENCES[0], label="Sentence 1", lines=2, max_lines=4, elem_id="tk-s1")
        sentence2 = gr.Textbox(COURSE_SENTENCES[1], label="Sentence 2", lines=2, max_lines=4, elem_id="tk-s2")
    panel = PairPanel((from_data, sentences), sentence1, sentence2, checkpoint, split, row, message)
    gr.on(
        [take.click, row.submit],
        partial(on_take_row, services),
        inputs=[split, row],
        outputs=[sentence1, sentence2, message],
        **LIVE,
    )
    gr.on([sentence1.input, sentence2.input], lambda: "", outputs=message, **LIVE)
    return panel


def on_take_row(services: Services, split: Any, row: Any) -> tuple[Any, Any, str]:
    """Put a row of the data into the two sentences."""
    try:
        pair = services.explorer.row(split, row)
    except MrpcError as error:
        return gr.skip(), gr.skip(), render_alert(str(error))
    said = f"Row {pair.number:,} of {split} is idx {pair.idx}: {pair.label_name.replace('_', ' ')}."
    return pair.sentence1, pair.sentence2, f'<p class="tk-note" role="status">{said}</p>'
