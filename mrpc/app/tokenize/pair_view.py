"""View 1: one pair, token by token."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.address import Linked, choice, flag, whole
from mrpc.app.code import render_code, render_raw
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.render_tokens import format_raw, render_inspection
from mrpc.app.tokenize.view import LOADING, View, code_fold, intro, or_notice, view_html

if TYPE_CHECKING:
    from mrpc.app.services import Services

TRUNCATION_CHOICES = [
    ("longest first", "longest_first"),
    ("only sentence 1", "only_first"),
    ("only sentence 2", "only_second"),
    ("do not truncate", "do_not_truncate"),
]


def build_pair_view(services: Services) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step") as column:
        intro(
            "A pair becomes one list of ids",
            "The tokenizer cuts both sentences into pieces of its vocabulary and joins them with special "
            "tokens. Point at a piece, or walk with the arrow keys, to see where it came from.",
        )
        with gr.Row(elem_classes="tk-controls"):
            max_length = gr.Slider(
                8, 512, 128, step=1, label="Max length, in tokens", elem_id="tk-max-length"
            )
            truncation = gr.Radio(
                TRUNCATION_CHOICES, value="longest_first", label="Cut first", elem_id="tk-truncation"
            )
            padding = gr.Checkbox(False, label="Pad to max length", elem_id="tk-pad")
        shown = view_html(elem_id="tk-pair", value=LOADING)
        with gr.Accordion("What the tokenizer returns", open=False, elem_classes="tk-fold"):
            raw = view_html(elem_id="tk-raw")
        code = code_fold()
    return View(
        "pair",
        column,
        [max_length, truncation, padding],
        [shown, raw, code],
        partial(on_pair, services),
        (
            Linked("length", max_length, whole(8, 512)),
            Linked("cut", truncation, choice(*(name for _, name in TRUNCATION_CHOICES))),
            Linked("pad", padding, flag),
        ),
    )


def on_pair(
    services: Services,
    sentence1: Any,
    sentence2: Any,
    checkpoint: Any,
    max_length: Any,
    truncation: Any,
    padding: Any,
) -> list[Any]:
    """Draw one pair: the linked view, the raw dictionary, and the code."""

    def render() -> list[str]:
        inspection = services.inspection.inspect_pair(
            sentence1, sentence2, checkpoint, max_length, truncation, padding is True
        )
        raw = (
            render_raw(format_raw(inspection.raw), "dictionary")
            + "<h3><code>convert_ids_to_tokens</code></h3>"
            + render_raw(str(inspection.tokens), "tokens")
            + "<h3><code>decode</code></h3>"
            + render_raw(inspection.decoded, "decoded text")
        )
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        code = snippets.inspect_pair(
            hub_name, sentence1, sentence2, int(max_length), truncation, padding is True
        )
        return [render_inspection(inspection), raw, render_code(code)]

    return or_notice(render, 3)
