"""The tab: its views, in the order in which one works through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.spine import Spine
from mrpc.app.templates import render_part
from mrpc.app.train.board import RunBoard
from mrpc.app.train.code_view import build_code_fold
from mrpc.app.train.endpoints import register_endpoints
from mrpc.app.train.live import Live
from mrpc.app.train.live_view import build_courier, build_live_place
from mrpc.app.train.loops_view import build_loops_view
from mrpc.app.train.onnx_view import build_onnx_fold
from mrpc.app.train.publish_view import build_publish_fold
from mrpc.app.train.runs_view import build_runs_view
from mrpc.app.train.start_view import build_start_form
from mrpc.app.view import place, view_tab

if TYPE_CHECKING:
    from mrpc.app.services import Services


def build_train_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    board = RunBoard(services)
    live = Live(services, board)
    with gr.Tabs(elem_id="train-views"):
        with view_tab("Train", "train/start"), gr.Row(elem_id="train-columns"):
            with gr.Column(elem_id="train-form", scale=0, min_width=400):
                form = build_start_form(services, spine)
            with gr.Column(elem_id="train-run"):
                build_live_place("train/run_live.html", "run-live")
                build_code_fold(services, spine)
                build_onnx_fold(services, spine)
                build_publish_fold(services, spine)
                place(render_part("next", "compare/pair", "compare the model before and after"))
        with view_tab("Runs", "train/runs"):
            build_runs_view(services)
            place(render_part("next", "compare/scores", "what the runs score"))
        with view_tab("Three loops", "train/loops"):
            build_loops_view(services, spine)
            place(render_part("next", "train/start", "train with one of them"))
    build_courier(services, live, spine, form)
    register_endpoints(services)
