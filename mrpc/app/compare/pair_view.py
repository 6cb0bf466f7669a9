"""One pair: what both sides say to it, while it is typed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.explain_view import build_explain_view
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_answers, render_note
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

HINT = (
    '<p class="cmp-note">Type two sentences, or take a pair from validation. '
    "Both sides answer while you type.</p>"
)


@dataclass(frozen=True)
class PairView:
    """The widgets of this view that others fill."""

    sentence1: gr.Textbox
    sentence2: gr.Textbox
    row: gr.Number
    split: gr.Textbox
    answers: gr.HTML

    def picked(self) -> list[Any]:
        """Return the widgets that :func:`take_pair` fills."""
        return [self.split, self.row, self.sentence1, self.sentence2, self.answers]

    def sentences(self) -> list[Any]:
        """Return the two sentences."""
        return [self.sentence1, self.sentence2]


def build_pair_view(services: Services, frame: Frame) -> tuple[PairView, dict[str, Any]]:
    """Build the view; return its widgets, and how to answer the pair that is in it."""
    with gr.Row(equal_height=True, elem_id="cmp-sentences"):
        sentence1 = gr.Textbox(
            label="Sentence 1", lines=2, max_lines=6, elem_id="cmp-sentence1", min_width=280
        )
        sentence2 = gr.Textbox(
            label="Sentence 2", lines=2, max_lines=6, elem_id="cmp-sentence2", min_width=280
        )
    with gr.Row(elem_id="cmp-pick", elem_classes="cmp-controls"):
        row = gr.Number(
            label="Pair of validation",
            value=0,
            precision=0,
            minimum=0,
            elem_id="cmp-row",
            scale=0,
            min_width=130,
        )
        take = gr.Button("Take this pair", elem_id="cmp-take", scale=0, min_width=130)
        another = gr.Button("Any other", elem_id="cmp-another", scale=0, min_width=110)
        compare = gr.Button("Compare", variant="primary", elem_id="cmp-compare", scale=0, min_width=130)
        explain = gr.Button("Explain", elem_id="cmp-explain-button", scale=0, min_width=110)
    split = gr.Textbox("validation", visible=False)  # where the pair was taken from
    answers = gr.HTML(HINT, elem_id="cmp-answers")
    build_explain_view(services, frame, [sentence1, sentence2], explain)
    view = PairView(sentence1, sentence2, row, split, answers)

    ask = partial(on_pair, services)
    asked = {"inputs": [*frame.sides(), split, row, sentence1, sentence2], "outputs": answers}
    live = {**asked, **ACT, "show_progress": "hidden", "trigger_mode": "always_last"}
    gr.on([sentence1.input, sentence2.input], ask, **live)
    gr.on([compare.click, sentence1.submit, sentence2.submit], ask, **asked, **ACT)
    picked = {"outputs": view.picked(), **ACT}
    take.click(partial(on_take, services), inputs=[frame.left, frame.right, row], **picked).then(
        ask, **asked, **ACT
    )
    another.click(partial(on_another, services), inputs=frame.sides(), **picked).then(ask, **asked, **ACT)
    return view, {**asked, **ACT, "fn": ask}


def on_pair(
    services: Services, left: Any, right: Any, split: Any, row: Any, sentence1: Any, sentence2: Any
) -> str:
    """Draw the answers of both sides, or what is wrong."""
    if not sentence1 and not sentence2:
        return HINT
    try:
        answers = services.comparison.pair.answer(left, right, sentence1, sentence2)
        label = services.comparison.pair.known_label(left, right, split, row, sentence1, sentence2)
    except MrpcError as error:
        return render_note(str(error), "bad")
    return render_answers(*answers, label)


def put_pair(sentence1: str, sentence2: str) -> list[Any]:
    """Put any two sentences in; the outputs are :meth:`PairView.picked`."""
    return ["", gr.skip(), sentence1, sentence2, gr.skip()]


def take_pair(services: Services, left: Any, right: Any, split: Any, row: Any) -> list[Any]:
    """Put a pair of the data into the sentences; the outputs are :meth:`PairView.picked`."""
    try:
        pair = services.comparison.pair.pick(left, right, split, row)
    except MrpcError as error:
        return [gr.skip(), gr.skip(), gr.skip(), gr.skip(), render_note(str(error), "bad")]
    return [split, row, pair.sentence1, pair.sentence2, gr.skip()]


def on_take(services: Services, left: Any, right: Any, row: Any) -> list[Any]:
    """Take a pair of validation."""
    return take_pair(services, left, right, "validation", row)


def on_another(services: Services, left: Any, right: Any) -> list[Any]:
    """Take any pair of validation."""
    try:
        num = services.comparison.pair.num_pairs(left, right, "validation")
    except MrpcError as error:
        return [gr.skip(), gr.skip(), gr.skip(), gr.skip(), render_note(str(error), "bad")]
    return take_pair(services, left, right, "validation", random.randrange(num))
