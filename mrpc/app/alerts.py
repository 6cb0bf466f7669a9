"""Errors that are meant for a person, shown in the page or sent to a script."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.context import LocalContext

from mrpc.errors import MrpcError


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show an error that was raised on purpose as a message.

    The page renders HTML in it, so there it is escaped; a script gets plain text.
    """
    try:
        yield
    except MrpcError as error:
        text = str(error)
        message = html.escape(text, quote=False) if _is_asked_by_the_page() else text
        raise gr.Error(message, print_exception=False) from None


def _is_asked_by_the_page() -> bool:
    """Tell whether the page asked: it alone shows messages, and its client always says who it is."""
    request = LocalContext.request.get(None)
    return request is None or request.headers.get("x-gradio-user") == "app"
