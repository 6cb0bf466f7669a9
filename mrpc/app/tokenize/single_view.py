"""View 2: two sentences encoded separately and as a pair."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.render_encodings import render_one_or_two
from mrpc.app.tokenize.view import View, code_fold, intro, or_notice, view_html

if TYPE_CHECKING:
    from mrpc.app.services import Services


def build_single_view(services: Services) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "Why two lists cannot just be joined",
            "The model must be told that it sees a pair: one start token, a separator between the sentences, "
            "and token types. BERT learned this from next-sentence prediction: half of the time the second "
            "sentence of a pair really followed the first, and the model had to say whether it did.",
        )
        shown = view_html(elem_id="tk-single")
        code = code_fold()
    return View("single", column, [], [shown, code], partial(on_single, services))


def on_single(services: Services, sentence1: Any, sentence2: Any, checkpoint: Any) -> list[Any]:
    """Draw the sentences alone, joined, and as a pair."""

    def render() -> list[str]:
        both = services.inspection.separate_and_joined(sentence1, sentence2, checkpoint)
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        return [render_one_or_two(both), render_code(snippets.one_or_two(hub_name, sentence1, sentence2))]

    return or_notice(render, 2)
