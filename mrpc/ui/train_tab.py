"""The Train tab: settings, start and stop, and the live view of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

if TYPE_CHECKING:
    from mrpc.services.container import Services


def build_train_tab(services: Services) -> None:
    """Build the tab."""
    with gr.Tab("Train", id="train"):
        gr.HTML("<p>Soon.</p>")
