"""The tab: the pair at the top, one inner tab a view, and what happens when something changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.ui.errors import shown_errors
from mrpc.ui.tokenize.pair_panel import build_pair_panel
from mrpc.ui.tokenize.pair_view import build_pair_view
from mrpc.ui.tokenize.view import LIVE

if TYPE_CHECKING:
    from mrpc.services.container import Services


def build_tokenize_tab(services: Services) -> None:
    """Build the tab and register its endpoint."""
    with gr.Tab("Tokenize", id="tokenize"):
        panel = build_pair_panel(services)
        with gr.Tabs(elem_id="tk-views", overflow_behavior="wrap"):
            view = build_pair_view(services, panel)
        _register_endpoint(services)
    gr.on(None, view.render, inputs=view.inputs, outputs=view.outputs, **LIVE)


def _register_endpoint(services: Services) -> None:
    def inspect_pair(sentence1: str, sentence2: str, checkpoint: str = "") -> dict[str, Any]:
        """Encode a pair and return its tokens, ids and masks; checkpoint "" is the default."""
        return on_inspect_pair(services, sentence1, sentence2, checkpoint)

    gr.api(inspect_pair, api_name="inspect_pair", concurrency_limit=None)


def on_inspect_pair(services: Services, sentence1: Any, sentence2: Any, checkpoint: Any) -> dict[str, Any]:
    """Answer the endpoint."""
    with shown_errors():
        return services.inspection.inspect_pair(sentence1, sentence2, checkpoint).as_json()
