"""What stands in a closed fold is not made: it would cost imports of seconds."""

from __future__ import annotations

import gradio as gr

from mrpc.app.train.export_view import on_show_code
from mrpc.app.train.loops_view import on_arguments


class NoServices:
    """Fails at any use."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"{name} was asked for")


def test_a_closed_fold_asks_for_nothing():
    assert on_show_code(NoServices(), False, "accelerate") == gr.skip()
    assert on_arguments(NoServices(), False) == (gr.skip(), gr.skip())
