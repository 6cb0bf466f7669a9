"""The tab: what is compared on top, then its views in the order in which one works through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.endpoints import register_endpoints
from mrpc.app.compare.own_view import build_own_view
from mrpc.app.compare.pair_view import build_pair_view
from mrpc.app.compare.scores_view import build_scores_view
from mrpc.app.compare.sides_view import build_sides
from mrpc.app.compare.where_view import build_where_view
from mrpc.app.view import view_tab

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine


def build_compare_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    with gr.Column(elem_id="compare"):
        row = build_sides(services, spine)
        with gr.Tabs(elem_id="compare-views"):
            with view_tab("Pair", "compare/pair"):
                build_pair_view(services, spine, row)
            with view_tab("Scores", "compare/scores"):
                build_scores_view(services, row)
            with view_tab("Where it fails", "compare/where"):
                build_where_view(services, spine, row)
            with view_tab("Your pairs", "compare/own"):
                build_own_view(services, row)
    register_endpoints(services)
