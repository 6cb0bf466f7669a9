"""The page: the bar with the current pair and run, three tabs, and what stands in the address."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.access import Page, Standing
from mrpc.app.address import Linked, read_address
from mrpc.app.compare.tab import build_compare_tab
from mrpc.app.spine import build_spine, render_head, run_update
from mrpc.app.tokenize.tab import build_inspect_tab
from mrpc.app.train.tab import build_train_tab
from mrpc.app.view import QUICK, bind_changes, for_visitors
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

TITLE = "MRPC Lab"
FILES_S = (3600, 24 * 3600)
FILES_OF_VISITORS_S = (600, 3600)
"""How often old uploads and downloads are looked for, and how old they become, in seconds."""

OPENED_JS = """
() => {
  mrpc.ready();
  const at = new URLSearchParams(location.search).get("at");
  if (at) mrpc.go(at);
  mrpc.unfold(new URLSearchParams(location.search).get("open"));
}"""


def build_app(services: Services) -> Page:
    """Build the page. Nothing is started, loaded or read here."""

    def load_head(request: gr.Request) -> str:
        return on_load_head(services, services.access.standing(request))

    with Page(
        services.access,
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=FILES_OF_VISITORS_S if services.access.is_guarded else FILES_S,
    ) as demo:
        spine = build_spine(services)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("1 Inspect", id="inspect", elem_id="at-inspect"):
                build_inspect_tab(services, spine)
            with gr.Tab("2 Fine-tune", id="train", elem_id="at-train"):
                build_train_tab(services, spine)
            with gr.Tab("3 Compare", id="compare", elem_id="at-compare"):
                build_compare_tab(services, spine)
        address = gr.Textbox(visible=False)
        linked = [link.widget for link in spine.links]
        demo.load(
            for_visitors(partial(on_open, services, spine.links)),
            inputs=address,
            outputs=linked,
            js="() => [window.location.search]",
            **QUICK,
        ).then(None, js=OPENED_JS, api_visibility="private").then(
            for_visitors(load_head), outputs=spine.head, **QUICK
        )
        bind_changes(demo, spine.links)
    demo.api_open = False  # as demo.queue(api_open=False) does, which would build the whole server once more
    return demo


def on_open(services: Services, links: Sequence[Linked], query: object) -> list[object]:
    """Set what the page's address says; the rest stays as it is, and the run becomes the newest one."""
    found = read_address(query, links)
    updates = []
    for link in links:
        value = found.get(link.key)
        if link.key == "run":
            updates.append(run_update(services, value))
        else:
            updates.append(gr.skip() if value is None else value)
    return updates


def on_load_head(services: Services, standing: Standing) -> str:
    """Say which data is in use once it is known, and to a visitor what they may do."""
    services.page_is_up.set()
    try:
        line = f"Data: {services.data.reason}"
    except MrpcError as error:
        line = f"Data cannot be used: {error}"
    return render_head(line, standing)
