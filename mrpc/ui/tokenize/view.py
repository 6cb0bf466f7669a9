"""What all views of this tab have in common: an intro, a fold with code, and the notice for bad input."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mrpc.errors import MrpcError
from mrpc.ui.errors import render_alert

LIVE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "always_last",
}
"""How a quick event is bound: a view that follows what is typed."""


@dataclass(frozen=True)
class View:
    """One view of the tab.

    Attributes:
        name: what an address calls it.
        tab: its tab.
        inputs: the widgets that it shows the effect of.
        outputs: what it draws.
        render: values of ``inputs`` to values of ``outputs``.
    """

    name: str
    tab: gr.Tab
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    render: Callable[..., Any]


def view_html(**options: Any) -> gr.HTML:
    """Make a place for HTML that the server draws, without the styles for running text."""
    return gr.HTML(apply_default_css=False, js_on_load=None, **options)


def intro(title: str, text: str) -> gr.HTML:
    """Say what a view is about, in a sentence or two."""
    return gr.HTML(
        f'<div class="tk-intro"><h2>{html.escape(title)}</h2><p>{text}</p></div>',
        apply_default_css=False,
        js_on_load=None,
    )


def code_fold() -> gr.HTML:
    """Make a closed fold for the code of a view and return the place in it."""
    with gr.Accordion("Code: the same with the plain libraries", open=False, elem_classes="tk-fold"):
        return view_html()


def or_notice(render: Callable[[], Sequence[Any]], num_outputs: int) -> list[Any]:
    """Render, or put an error that a person can mend in the first place and empty the others."""
    try:
        return list(render())
    except MrpcError as error:
        return [render_alert(str(error)), *[""] * (num_outputs - 1)]
