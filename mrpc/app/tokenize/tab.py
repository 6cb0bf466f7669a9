"""The tab: four views in the order in which one works through them, and its endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.tokenize.batch_view import build_batch_view
from mrpc.app.tokenize.data_view import build_data_view
from mrpc.app.tokenize.pair_view import build_pair_view
from mrpc.app.tokenize.step_view import build_step_view
from mrpc.app.view import api
from mrpc.app.widgets import view_tab

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine


def build_inspect_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    with gr.Tabs(selected="inspect/pair", elem_id="inspect-views"):
        with view_tab("Data", "inspect/data"):
            build_data_view(services, spine)
        with view_tab("Pair", "inspect/pair"):
            checkpoint = build_pair_view(services, spine)
        with view_tab("Batch", "inspect/batch"):
            build_batch_view(services, spine, checkpoint)
        with view_tab("Step", "inspect/step"):
            build_step_view(services, spine, checkpoint)
    add_endpoints(services)


def add_endpoints(services: Services) -> None:
    """Add the named endpoint of this tab, for scripts."""

    def inspect_pair(sentence1: str, sentence2: str, checkpoint: str = "") -> dict[str, object]:
        """Encode a pair as the model gets it: tokens, ids, masks, and where each token comes from.

        Args:
            sentence1: the first sentence.
            sentence2: the second sentence.
            checkpoint: whose tokenizer encodes it; "" is the default, all-MiniLM-L6-v2.
        """
        return services.inspection.inspect_pair(sentence1, sentence2, checkpoint).as_json()

    api(inspect_pair)
