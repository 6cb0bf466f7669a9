"""Every handler and every tool, by every way, for everybody who may ask: over HTTP, on the whole page.

What a handler would do is left out; whether it is reached is what counts. The table that comes of it stands
in ``docs/deploy.md``, with its counts.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from mrpc.app.access import access_guards
from mrpc.app.hosts import host_guards
from mrpc.app.page import build_app
from mrpc.app.services import Services
from mrpc.app.tools import PATH, tool_routes
from mrpc.settings import Settings
from tests.app.test_access import (
    KEY,
    OWNERS,
    OWNERS_TOOLS,
    PREVIEWS,
    PREVIEWS_TOOLS,
    VISITORS,
    VISITORS_TOOLS,
    name_of,
)
from tests.live_app import free_port

pytestmark = pytest.mark.timeout(900)

DEPLOY = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"

SPACE = Settings(host="127.0.0.1", space_id="ann/lab", space_host="a-b.hf.space", owner_key=KEY)
BY_KEY = {"Authorization": f"Bearer {KEY}"}
KNOWN = {"Cookie": "mrpc_visitor=" + "v" * 22}
HANDLERS = frozenset(OWNERS | PREVIEWS | VISITORS)
TOOLS = frozenset(OWNERS_TOOLS | PREVIEWS_TOOLS | VISITORS_TOOLS)


@dataclass(frozen=True)
class Who:
    """Somebody who asks an app that is served in some way.

    Attributes:
        name: as the table calls them.
        settings: how the app is served.
        headers: what their requests carry.
        may: the handlers and tools that they may call.
    """

    name: str
    settings: Settings
    headers: dict[str, str] = field(default_factory=dict)
    may: frozenset[str] = HANDLERS | TOOLS


LOOKING = frozenset(VISITORS | VISITORS_TOOLS)
TRAINING = LOOKING | PREVIEWS | PREVIEWS_TOOLS

PEOPLE = [
    Who("local", Settings()),
    Who("link, visitor", Settings(share=True, owner_key=KEY), may=LOOKING),
    Who("link, owner", Settings(share=True, owner_key=KEY), BY_KEY),
    Who("host, visitor", Settings(host="127.0.0.2", owner_key=KEY), may=LOOKING),
    Who("host, owner", Settings(host="127.0.0.2", owner_key=KEY), BY_KEY),
    Who("Space, visitor", SPACE, KNOWN, LOOKING),
    Who("Space, visitor who trains", replace(SPACE, visitors_train=True), KNOWN, TRAINING),
    Who("Space, owner by key", SPACE, BY_KEY),
    Who("Space, owner who signed in", SPACE, {"x-signed-in": "ann"}),
    Who("Space, stranger who signed in", SPACE, {"x-signed-in": "ben"}, LOOKING),
]

WAYS = ("event", "endpoint", "fn_index", "MCP")


class SignedIn:
    """Does what Gradio's sign-in does to a request, for who the header names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers", [])).get(b"x-signed-in", b"").decode()
        if name:
            scope = {**scope, "session": {"oauth_info": {"userinfo": {"preferred_username": name}}}}
        await self.app(scope, receive, send)


@dataclass
class Served:
    """The page of some settings, behind its guards, whose handlers do nothing."""

    url: str
    demo: Any
    handlers: dict[int, Any]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Serve pages on loopback, each of these settings once."""
    patch = pytest.MonkeyPatch()
    served: dict[Settings, Served] = {}

    async def reached(self: Any, block_fn: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return {
            **{"data": [{"became": "reached"}], "is_generating": False, "iterator": None, "duration": 0.0},
            **{"average_duration": 0.0, "render_config": None, "changed_state_ids": []},
        }

    patch.setattr(gr.Blocks, "process_api", reached)
    patch.setenv("no_proxy", "127.0.0.1,127.0.0.2")

    async def launch(settings: Settings) -> Any:  # Gradio makes an event loop where none runs
        services = Services(replace(settings, runs_dir=tmp_path_factory.mktemp("runs")))
        demo = build_app(services)
        demo.launch(
            server_name=settings.host,
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            share=False,
            app_kwargs={
                "middleware": [
                    Middleware(SignedIn),
                    *host_guards(settings),
                    *access_guards(services.access),
                ],
                "routes": tool_routes(demo, services.access),
            },
        )
        return demo

    def get(settings: Settings) -> Served:
        if settings not in served:
            with (
                start_blocking_portal() as portal
            ):  # in a thread: Playwright's loop may be running in this one
                demo = portal.call(launch, settings)
            handlers = {number: one for number, one in demo.fns.items() if one.fn is not None}
            served[settings] = Served(f"http://{settings.host}:{demo.server_port}", demo, handlers)
        return served[settings]

    yield get
    for one in served.values():
        one.demo.close(verbose=False)
    patch.undo()


def verdict(text: str) -> str:
    """Tell whether a handler was reached, refused to a visitor, or is not to be had by this way."""
    if "Only the owner" in text:
        return "refused"
    return "reached" if "reached" in text else "closed"


def ask_all(client: httpx.Client, page: Served, way: str) -> dict[tuple[int, str], str]:
    """Ask for every handler by one way; return what became of each, by its number and name."""
    if way == "MCP":
        return by_tool(client)
    names = {number: (number, name_of(page.demo, handler)) for number, handler in page.handlers.items()}
    if way == "event":
        return {names[number]: became for number, became in by_event(client, page).items()}
    told = {}
    for number, handler in page.handlers.items():
        body = {"data": [], "fn_index": number, "session_hash": way}
        name = "predict" if way == "fn_index" else handler.api_name
        text = ""
        if name and way == "fn_index":
            text = client.post("/gradio_api/run/predict", json=body).text
        elif name:
            text = client.post(f"/gradio_api/run/{name}", json={"data": [], "session_hash": way}).text
            if verdict(text) == "closed":
                asked = client.post(f"/gradio_api/call/{name}", json={"data": []}).json()
                if "event_id" in asked:
                    text = client.get(f"/gradio_api/call/{name}/{asked['event_id']}").text
        told[names[number]] = verdict(text)
    return told


def by_event(client: httpx.Client, page: Served) -> dict[int, str]:
    """Send every event as a page does, and read what comes of them from the page's one stream."""
    session = {"session_hash": f"{threading.get_ident()}-{len(page.handlers)}-{id(client)}"}
    events: dict[str, int] = {}
    told: dict[int, str] = {}
    for number in page.handlers:
        asked = client.post("/gradio_api/queue/join", json={"data": [], "fn_index": number, **session})
        if asked.status_code == 200:
            events[asked.json()["event_id"]] = number
        else:
            told[number] = verdict(asked.text)
    with client.stream("GET", "/gradio_api/queue/data", params=session) as stream:
        for line in stream.iter_lines():
            news = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if news.get("msg") == "process_completed":
                told[events[news["event_id"]]] = verdict(json.dumps(news["output"]))
            if len(told) == len(page.handlers):
                break
    return told


def by_tool(client: httpx.Client) -> dict[tuple[int, str], str]:
    """Call every tool that is offered, as an agent does."""

    def ask(method: str, **params: object) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = client.post(PATH, json=message, headers={"Accept": "application/json, text/event-stream"})
        return answer.json()["result"]

    told = {}
    for number, tool in enumerate(ask("tools/list")["tools"]):
        arguments = dict.fromkeys(tool["inputSchema"]["required"], "x")
        result = ask("tools/call", name=tool["name"], arguments=arguments)
        told[number, tool["name"]] = verdict(result["content"][0]["text"])
    return told


@pytest.fixture(scope="module")
def table(serve: Any) -> dict[tuple[str, str], dict[tuple[int, str], str]]:
    """Everything: (who, way) -> handler -> what became of it."""
    everything = {}
    for who in PEOPLE:
        page = serve(who.settings)
        with httpx.Client(base_url=page.url, headers=who.headers, timeout=60) as client:
            for way in WAYS:
                everything[who.name, way] = ask_all(client, page, way)
    return everything


@pytest.mark.parametrize("who", PEOPLE, ids=lambda who: who.name)
@pytest.mark.parametrize("way", WAYS)
def test_every_handler_by_every_way(table: Any, who: Who, way: str) -> None:
    told = table[who.name, way]
    assert {name for _, name in told} == (TOOLS if way == "MCP" else HANDLERS), (
        "say in test_access.py for whom a new handler, or tool, is"
    )
    for (_, name), became in told.items():
        if became != "closed":
            assert became == ("reached" if name in who.may else "refused"), name
    if way in {"event", "MCP"}:
        assert "closed" not in told.values()


def test_the_counts_stand_in_the_document(table: Any) -> None:
    lines = ["| who | way | reached | refused | not open by this way |", "| --- | --- | --- | --- | --- |"]
    for (who, way), told in table.items():
        num = Counter(told.values())
        lines.append(f"| {who} | {way} | {num['reached']} | {num['refused']} | {num['closed']} |")
    text = "\n".join(lines)
    print(text)
    assert text in DEPLOY.read_text(), f"docs/deploy.md should have:\n{text}"


SERVER_FUNCTIONS = {("page-courier", "cancel_task"), ("train-courier", "ask")}
"""What a page may call of its elements without an event: both look, or end what only its own page knows."""


def test_server_functions_change_nothing(serve: Any, tmp_path: Path) -> None:
    page = serve(SPACE)
    found = {
        (str(block.elem_id), name): (number, name)
        for number, block in page.demo.blocks.items()
        for name in dir(block)
        if getattr(getattr(block, name, None), "_is_server_fn", False)
    }
    assert set(found) == SERVER_FUNCTIONS, "say here that a new server function changes nothing"
    runs_dir = page.demo.access.settings.runs_dir
    with httpx.Client(base_url=page.url, timeout=60) as client:
        for number, name in found.values():
            for data in (None, "x", {"run_id": "../..", "act": "delete", "page": "p"}, ["x"] * 3):
                body = {"session_hash": "s", "component_id": number, "fn_name": name, "data": data}
                assert client.post("/gradio_api/component_server", json=body).status_code in {200, 500}
            for other in ("process_api", "click", "act", "__init__"):
                body = {"session_hash": "s", "component_id": number, "fn_name": other, "data": None}
                assert client.post("/gradio_api/component_server", json=body).status_code == 404
    assert list(runs_dir.rglob("*")) == []
