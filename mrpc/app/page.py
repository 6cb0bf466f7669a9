"""The page: the bar with the current pair and run, three tabs, and what stands in the address."""

from __future__ import annotations

import asyncio
import html
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from gradio.state_holder import SessionState

from mrpc.app.access import Access, Standing
from mrpc.app.compare.tab import build_compare_tab
from mrpc.app.inputs import Linked, read_address
from mrpc.app.spine import build_spine, render_head, run_update
from mrpc.app.task import ends_when
from mrpc.app.templates import render
from mrpc.app.tokenize.tab import build_inspect_tab
from mrpc.app.train.tab import build_train_tab
from mrpc.app.view import QUICK, bind, bind_changes, for_visitors, share_api_components
from mrpc.app.visitors import called_by
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

TITLE = "MRPC Lab"
FILES_S = (3600, 24 * 3600)
FILES_OF_VISITORS_S = (600, 3600)
"""How often old uploads and downloads are looked for, and how old they become, in seconds."""

MAX_SESSIONS = 2000
"""Pages and scripts that are remembered, those used last; each takes 0.02 MB. A page that was forgotten works
on, with the lists of choices that a new page has."""

OPENED_JS = """
() => {
  mrpc.ready();
  const at = new URLSearchParams(location.search).get("at");
  if (at) mrpc.go(at);
  mrpc.unfold(new URLSearchParams(location.search).get("open"));
}"""


UNFIT = (ValueError, TypeError, LookupError, AttributeError, OverflowError, OSError, InvalidPathError)
"""What Gradio's components raise about values that are not of their type."""

MAX_SAID_CHARS = 300

LOOK_S = 1.0
"""How often it is looked whether a visitor still waits for an answer."""


class Page(gr.Blocks):
    """Blocks that ask who may do what before they run a handler, and say in words what one refuses."""

    def __init__(self, access: Access, **options: Any) -> None:
        self.access = access  # first: Gradio looks at expects_oauth while it begins
        super().__init__(**options)

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        """Run a handler, if who asks may; every way to a handler ends here.

        The page renders HTML in what it is told, so there it is escaped; a script gets plain text.
        """
        handler = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        assert not handler.batch, "a batch mixes the requests of several people"
        request = options.get("request", args[1] if len(args) > 1 else None)
        who = self.access.recognise(request)
        is_preview = self.access.trains_visitors and getattr(handler.fn, "for_previews", False)
        try:
            if not is_preview and not getattr(handler.fn, "for_visitors", False):
                self.access.check(who, _is_of_a_page(request))
            with called_by(who):
                if who.is_owner:
                    return await super().process_api(block_fn, inputs, *args, **options)
                async with self._until_gone(request, options.get("event_id")):
                    return await super().process_api(block_fn, inputs, *args, **options)
        except MrpcError as error:
            text = html.escape(str(error), quote=False) if _is_of_a_page(request) else str(error)
            raise gr.Error(text, print_exception=False) from None
        except gr.Error as error:
            error.print_exception = False  # it says in words what is wrong; a terminal needs no stack trace
            raise

    @asynccontextmanager
    async def _until_gone(self, request: Any, event_id: str | None) -> AsyncIterator[None]:
        """End long work inside once its client has closed the connection on which it waits for the answer."""
        left = threading.Event()

        async def watch() -> None:
            while not left.is_set():
                await asyncio.sleep(LOOK_S)
                if event_id is not None:  # Gradio's queue notices who no longer listens
                    jobs = [job for jobs in self._queue.active_jobs for job in jobs or []]
                    is_gone = any(job._id == event_id and not job.alive for job in jobs)
                else:
                    is_gone = await request.request.is_disconnected()
                if is_gone:
                    left.set()

        watching = asyncio.create_task(watch())
        try:
            with ends_when(left):
                yield
        finally:
            watching.cancel()

    @property
    def expects_oauth(self) -> bool:
        """Whether Gradio offers to sign in with Hugging Face."""
        return self.access.has_sign_in

    async def preprocess_data(self, block_fn: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        """Turn what a browser or script sent into a handler's arguments, and refuse in words what fits none.

        The components check it, each its own type, and raise whatever comes of it.
        """
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **options)
        except gr.Error as error:
            said = str(error.message)
        except UNFIT as error:
            said = str(error).partition("\n")[0]
        raise gr.Error(f"This cannot be used: {said[:MAX_SAID_CHARS]}", print_exception=False)

    def new_session(self) -> SessionState:
        """Return what is remembered of a page that was just opened: the widgets that were changed there.

        Gradio also keeps the configuration of every widget for each page, and for each call of a script, so
        that its deep links can restore it. This page has its own address for that. When it had 317 components
        (now some 240) they were half a megabyte and 40 ms of the thread that answers everybody.
        """
        widgets: Any = _NoWidgets(self)
        return SessionState(widgets)

    def keep_sessions_small(self) -> None:
        """Make the sessions of the page, once it is served, so, too."""
        holder: Any = self.state_holder
        holder.blocks = _NoWidgets(self)


class _NoWidgets:
    """As much of a page as Gradio makes a session from, and no widgets to keep the configuration of."""

    def __init__(self, page: Page) -> None:
        self.default_config = page.default_config
        self.blocks: dict[int, gr.blocks.Block] = {}


def _is_of_a_page(request: gr.Request | None) -> bool:
    """Tell whether a page asks: it alone shows messages, and its client always says who it is."""
    return request is None or request.headers.get("x-gradio-user") == "app"


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
        gr.HTML(
            render("templates/next.html"),
            js_on_load="mrpc.next(element);",
            elem_id="next",
            apply_default_css=False,
        )
        bind(
            demo.load,
            partial(on_open, services, spine.links),
            {"query": spine.courier},  # it brings the address along
            {link.key: link.widget for link in spine.links},
            js="() => [window.location.search]",
        ).then(None, js=OPENED_JS, api_visibility="private").then(
            for_visitors(load_head), outputs=spine.head, **QUICK
        )
        bind_changes(demo, spine.links)
        share_api_components(demo)
    demo.api_open = False  # as demo.queue(api_open=False) does, which would build the whole server once more
    return demo


def on_open(services: Services, links: Sequence[Linked], query: object) -> dict[str, object]:
    """Set what the page's address says; the rest stays as it is, and the run becomes the newest one."""
    found = read_address(query, links)
    return found | {"run": run_update(services, found.get("run"))}


def on_load_head(services: Services, standing: Standing) -> str:
    """Say which data is in use once it is known, and to a visitor what they may do."""
    services.page_is_up.set()
    try:
        line = f"Data: {services.data.reason}"
    except MrpcError as error:
        line = f"Data cannot be used: {error}"
    return render_head(line, standing)
