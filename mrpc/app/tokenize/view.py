"""What all views of this tab have in common: an intro, a fold with code, and the notice for bad input."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mrpc.app.address import Linked
from mrpc.app.alerts import render_alert
from mrpc.errors import MrpcError

LIVE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "always_last",
    "queue": False,  # one request and its answer: the queue looks for work twenty times a second alone
}
"""How a quick event is bound: a view that follows what is typed."""

SLOW: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "minimal",
    "concurrency_limit": 2,
    "trigger_mode": "once",
}
"""How an event is bound that runs a model."""


LOADING = '<p class="tk-empty" role="status">Loading …</p>'
"""What stands in a view until the server has drawn it: on a fresh start the libraries take some seconds."""


@dataclass(frozen=True)
class View:
    """One view of the tab.

    Attributes:
        name: what an address calls it.
        column: everything in it, to show and hide.
        inputs: the widgets that it shows the effect of; drawn anew when one of them changes.
        outputs: what it draws.
        render: values of the shared inputs and of ``inputs`` to values of ``outputs``.
        links: what of it stands in the page's address.
        on_demand: drawn by a button of its own, not when it is opened.
    """

    name: str
    column: gr.Column
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    render: Callable[..., list[Any]]
    links: Sequence[Linked] = ()
    on_demand: bool = False


def view_html(**options: Any) -> gr.HTML:
    """Make a place for HTML that the server draws, without the styles for running text."""
    return gr.HTML(**{"apply_default_css": False, "js_on_load": None, **options})


def intro(title: str, text: str) -> gr.HTML:
    """Say what a view is about, in a sentence or two of HTML."""
    return view_html(value=f'<div class="tk-intro"><h2>{html.escape(title)}</h2><p>{text}</p></div>')


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
