"""Errors that are meant for a person, shown in the page or sent to a script."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from mrpc.errors import MrpcError


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show an error that was raised on purpose as a message, escaped: the page renders HTML in it."""
    try:
        yield
    except MrpcError as error:
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from None


def render_alert(message: str) -> str:
    """Draw an error beside the control that caused it."""
    return f'<p class="notice notice-bad" role="alert">{html.escape(message)}</p>' if message else ""
