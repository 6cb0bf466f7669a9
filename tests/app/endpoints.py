"""The named endpoints of a tab, to be called as Gradio calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from anyio.from_thread import start_blocking_portal


def endpoints_of(add_endpoints: Callable[[Any], None], services: Any) -> dict[str, Callable[..., Any]]:
    """Return the endpoints that a tab adds, by name, behind the check of their arguments."""

    async def build() -> dict[str, Callable[..., Any]]:
        with gr.Blocks() as demo:
            add_endpoints(services)
        return {str(handler.api_name): handler.fn for handler in demo.fns.values()}

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
        return portal.call(build)
