"""The page: a header, three tabs, and nothing of its own beside them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.tab import build_compare_tab
from mrpc.app.theme import render_header
from mrpc.app.tokenize.tab import build_tokenize_tab
from mrpc.app.train.tab import build_train_tab
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

TITLE = "MRPC Lab"
LOADING_LINE = "Data: looking for it …"


def build_app(services: Services) -> gr.Blocks:
    """Build the page. Nothing is started, loaded or read here."""
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 24 * 3600),
    ) as demo:
        header = gr.HTML(render_header(LOADING_LINE), elem_id="masthead", apply_default_css=False)
        # Outside the tabs: a tab that is not open has no widgets yet that could know what the browser kept.
        run_id = gr.BrowserState("", storage_key="mrpc-lab-run", secret="mrpc-lab")
        with gr.Tabs(elem_id="tabs"):
            build_tokenize_tab(services)
            build_train_tab(services, run_id)
            build_compare_tab(services)
        demo.load(
            partial(on_load_header, services),
            outputs=header,
            api_visibility="private",
            show_progress="hidden",
            concurrency_limit=None,
        )
    demo.api_open = False  # as demo.queue(api_open=False) does, which would build the whole server once more
    return demo


def on_load_header(services: Services) -> str:
    """Say which data is in use once it is known."""
    services.page_is_up.set()
    try:
        return render_header(f"Data: {services.data.reason}")
    except MrpcError as error:
        return render_header(f"Data cannot be used: {error}")
