"""View 3: the same pair through the tokenizers of other checkpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.address import Linked
from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.render_encodings import render_checkpoints
from mrpc.app.tokenize.view import View, code_fold, intro, or_notice, view_html
from mrpc.config import DEFAULT_CHECKPOINT

if TYPE_CHECKING:
    from mrpc.app.services import Services

FIRST_SHOWN = [DEFAULT_CHECKPOINT, "distilbert/distilbert-base-uncased", "FacebookAI/roberta-base"]
MAX_SHOWN = 3
COMPARED_KEY = "with"


def build_checkpoints_view(services: Services) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "The same pair, other tokenizers",
            "Each checkpoint comes with the tokenizer that it was trained with: its own vocabulary, its own "
            "special tokens. DistilBERT has no token types, RoBERTa puts two separators between the "
            "sentences.",
        )
        compared = gr.CheckboxGroup(
            [(name, name) for name in FIRST_SHOWN],
            value=FIRST_SHOWN,
            label=f"Checkpoints, up to {MAX_SHOWN}",
            elem_id="tk-compared",
        )
        shown = view_html(elem_id="tk-checkpoints")
        code = code_fold()
    return View(
        "checkpoints",
        column,
        [compared],
        [shown, code],
        partial(on_checkpoints, services),
        (Linked(COMPARED_KEY, compared, parse_names),),
    )


def parse_names(value: str) -> list[str] | None:
    """Read names of checkpoints from an address; whether there are such is known later."""
    names = [name for name in value.split(",") if 0 < len(name) <= 100]
    return names[:MAX_SHOWN] or None


def on_checkpoints(
    services: Services, sentence1: Any, sentence2: Any, checkpoint: Any, compared: Any
) -> list[Any]:
    """Draw one column a checkpoint."""

    def render() -> list[str]:
        columns = services.inspection.compare_checkpoints(sentence1, sentence2, compared)
        labels = {spec.name: spec.label for spec in services.inspection.tokenizers.specs()}
        hub_names = [services.inspection.tokenizers.hub_name(column.checkpoint) for column in columns]
        code = snippets.compare_checkpoints(hub_names, sentence1, sentence2)
        return [render_checkpoints(columns, labels), render_code(code)]

    return or_notice(render, 2)
