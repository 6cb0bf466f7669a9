"""Who may do what, whichever way a handler is reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from mrpc.app.access import COOKIE, Access, Mode, RateLimits, access_guards, mode_of
from mrpc.app.page import Page
from mrpc.app.view import api
from mrpc.errors import AccessError, InputError
from mrpc.settings import Settings

Serve = Callable[[Access], "Browser"]

KEY = "a-key-that-is-long-enough"


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (Settings(), Mode.LOCAL),
        (Settings(host="localhost"), Mode.LOCAL),
        (Settings(share=True), Mode.LINK),
        (Settings(host="0.0.0.0"), Mode.LINK),
        (Settings(host="192.168.1.7"), Mode.LINK),
        (Settings(host="0.0.0.0", auth=("ann", "secret")), Mode.LOGIN),
        (Settings(share=True, open_to_all=True), Mode.OPEN),
        (Settings(host="0.0.0.0", space_id="ann/lab"), Mode.SPACE),
        (Settings(host="0.0.0.0", space_id="ann/lab", open_to_all=True), Mode.SPACE),
    ],
)
def test_how_the_app_is_served(settings: Settings, mode: Mode) -> None:
    assert mode_of(settings) is mode
    assert Access(settings).is_guarded == (mode in {Mode.LINK, Mode.SPACE})


@pytest.fixture
def served() -> Iterator[Serve]:
    """Serve a page with a handler for everybody, one for the owner, and one that says nothing."""
    clients: list[httpx.AsyncClient] = []

    async def build(access: Access) -> httpx.AsyncClient:  # Gradio makes an event loop where none runs
        with Page(access) as demo:

            def look(text: str) -> str:
                """Look."""
                return f"saw {text}"

            def change(text: str) -> str:
                """Change something."""
                return f"changed {text}"

            def forgotten(text: str) -> str:
                """Nobody said whether visitors may call it."""
                return f"forgot {text}"

            def refuse(text: str) -> str:
                """Refuse."""
                raise InputError(f"<b> is no {text}.")

            api(look)
            api(change, changes=True)
            box = gr.Textbox()
            box.submit(forgotten, box, box, queue=False, api_name="forgotten")
            api(refuse)
        demo.max_file_size = None  # as a launch sets it
        app = gr.routes.App.create_app(
            demo, app_kwargs={"middleware": access_guards(access)}, auth_dependency=None
        )
        app.configure_app(demo)
        transport = httpx.ASGITransport(app=app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30)

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one

        def serve(access: Access) -> Browser:
            clients.append(portal.call(build, access))
            return Browser(portal, clients[-1])

        yield serve
        for client in clients:
            portal.call(client.aclose)


class Browser:
    """Asks an app in this process; keeps its cookies."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self.portal = portal
        self.cookies = client.cookies
        self.client = client

    def get(self, path: str) -> httpx.Response:
        return self.portal.call(self.client.get, path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.portal.call(partial(self.client.post, path, **options))


def run(client: Browser, name: str, **headers: str) -> Any:
    return client.post(f"/gradio_api/run/{name}", json={"data": ["x"]}, headers=headers)


def run_by_index(client: Browser, number: int, **headers: str) -> Any:
    body = {"data": ["x"], "fn_index": number, "session_hash": "s"}
    return client.post("/gradio_api/run/predict", json=body, headers=headers)


def test_a_visitor_looks_and_the_owner_changes(served: Serve) -> None:
    access = Access(Settings(share=True))
    client = served(access)
    assert run(client, "look").json()["data"] == ["saw x"]
    for refused in (run(client, "change"), run(client, "forgotten"), run_by_index(client, 1)):
        assert refused.status_code == 500
        said = refused.json()["error"]
        assert "Only the owner of this app may do that. Open the owner's link" in said
        assert "MRPC_OWNER_KEY" in said  # for a script; a page has no such header
    in_page = {"x-gradio-user": "app"}
    assert "MRPC_OWNER_KEY" not in run(client, "change", **in_page).json()["error"]
    opened = client.get(access.owner_path() or "")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert opened.headers["referrer-policy"] == "no-referrer"
    assert "HttpOnly" in opened.headers["set-cookie"]
    assert run(client, "change").json()["data"] == ["changed x"]
    assert run(client, "forgotten").json()["data"] == ["forgot x"]
    assert run_by_index(client, 1).json()["data"] == ["changed x"]


def test_what_is_refused_is_escaped_for_a_page_and_plain_for_a_script(served: Serve) -> None:
    client = served(Access(Settings()))
    assert run(client, "refuse").json()["error"] == "<b> is no x."
    assert run(client, "refuse", **{"x-gradio-user": "app"}).json()["error"] == "&lt;b&gt; is no x."


def test_the_link_works_once_and_a_guess_never(served: Serve) -> None:
    access = Access(Settings(host="0.0.0.0"))
    client = served(access)
    other = served(access)
    path = access.owner_path() or ""
    assert other.get("/?owner=guess").status_code == 403
    assert client.get(path).status_code == 303
    assert access.owner_path() is None
    assert other.get(path).status_code == 403
    assert run(other, "change").status_code == 500
    other.cookies.set(COOKIE, "guess")
    assert run(other, "change").status_code == 500


def test_a_script_has_a_lasting_key(served: Serve) -> None:
    client = served(Access(Settings(share=True, owner_key=KEY)))
    assert run(client, "change", Authorization=f"Bearer {KEY}").json()["data"] == ["changed x"]
    for wrong in ("Bearer", "Bearer no", f"Basic {KEY}", KEY, f"Bearer {KEY}x"):
        assert run(client, "change", Authorization=wrong).status_code == 500
    assert client.get(f"/?owner={KEY}").status_code == 303
    with pytest.raises(InputError, match="too short"):
        Access(Settings(owner_key="short"))


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(host="0.0.0.0", auth=("a", "b")), Settings(share=True, open_to_all=True)],
)
def test_where_everybody_may_everything_there_is_no_key(settings: Settings, served: Serve) -> None:
    access = Access(settings)
    assert access.owner_path() is None
    client = served(access)
    assert run(client, "change").json()["data"] == ["changed x"]


OWNERS = {
    *("resume_run", "upload data-file", "click onnx-export", "click publish-look", "click publish-go"),
}
"""What changes something, and is for the owner alone: endpoints by name, others by event and element."""

PREVIEWS = {
    *("start_run", "queue_run", "stop_run"),
    *("click train-start", "click train-queue", "act train-courier"),
    "select stage-compare-sides",  # trains a preview where there is nothing to compare yet
}
"""What is for the owner, and for visitors who may train previews; what they may, the launcher looks at."""

VISITORS = {
    *("inspect_pair", "list_runs", "run_status", "export_code", "compare_pair", "compare_split", "flips"),
    *("load page", "then page"),
    *("select stage-data", "draw stage-data", "draw stage-pair", "draw stage-one-or-two"),
    *("draw stage-checkpoints", "draw stage-speed", "draw stage-speed-code", "draw stage-failing-map"),
    *("draw stage-batch", "click batch-draw", "draw stage-model-input", "draw stage-training-step"),
    *("input train-preset", "input train-checkpoint", "draw train-checkpoint-note", "draw train-presets"),
    *("draw train-plan", "draw export-code", "draw disk-held", "draw loops", "draw loop-files"),
    "draw accelerate-commands",
    *("draw trainer-arguments", "runs train-courier", "fill train-courier", "take train-courier"),
    *("draw stage-onnx", "draw stage-publish", "draw train-data-report"),
    *(f"draw stage-compare-{name}" for name in ("sides", "answers", "proposals", "words", "what-if")),
    *(f"draw stage-compare-{name}" for name in ("attention", "nearest", "scores", "baselines", "own")),
    *(f"draw stage-compare-{name}" for name in ("calibration", "threshold", "report", "tests", "pairs")),
    *("draw stage-pair-origin", "draw stage-compare-kinds", "draw stage-compare-map"),
    *("select stage-compare-proposals", "select cmp-heads", "select stage-compare-scores"),
    *("select stage-compare-pairs", "select cmp-tests", "select cmp-kinds", "select cmp-pairs"),
}
"""What looks, or works on what a visitor typed."""

VISITORS_TOOLS = {"inspect_pair", "list_runs", "run_status", "compare_pair", "compare_split", "changes"}
PREVIEWS_TOOLS = {"start_run", "stop_run"}
OWNERS_TOOLS = {"resume_run"}
"""For whom each tool of an agent is; see :mod:`mrpc.app.tools`."""

REQUEST_OF = {
    "nobody's": SimpleNamespace(headers={}, request=None),
    "with a wrong cookie": SimpleNamespace(headers={"cookie": f"{COOKIE}=guess"}, request=None),
    "with the key": SimpleNamespace(headers={"Authorization": f"Bearer {KEY}"}, request=None),
}


def name_of(demo: Page, handler: Any) -> str:
    """Return a name of a handler that stays: that of an endpoint, or of its event and element."""
    if handler.api_visibility != "private":
        return str(handler.api_name)
    element, event = handler.targets[0] if handler.targets else (None, "load")
    block = demo.blocks.get(element)
    return f"{event} {block.elem_id}" if block is not None and block.elem_id else f"{event} page"


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (Settings(), set(REQUEST_OF)),
        (Settings(host="0.0.0.0", auth=("a", "b")), set(REQUEST_OF)),
        (Settings(share=True, open_to_all=True), set(REQUEST_OF)),
        (Settings(share=True, owner_key=KEY), {"with the key"}),
        (Settings(host="0.0.0.0", owner_key=KEY), {"with the key"}),
        (Settings(host="0.0.0.0", space_id="ann/lab", owner_key=KEY), {"with the key"}),
        (Settings(host="0.0.0.0", space_id="ann/lab"), set()),
        (Settings(host="0.0.0.0", space_id="ann/lab", visitors_train=True), set()),
        (Settings(visitors_train=True), set(REQUEST_OF)),
    ],
)
def test_every_handler_of_the_page_in_every_mode(
    settings: Settings, allowed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mrpc.app.page import build_app
    from mrpc.app.services import Services

    async def run_nothing(*_: Any, **__: Any) -> dict[str, Any]:
        return {}

    async def ask_all() -> None:
        demo = build_app(Services(replace(settings, runs_dir=tmp_path)))
        assert isinstance(demo, Page)
        handlers = {number: handler for number, handler in demo.fns.items() if handler.fn is not None}
        names = {name_of(demo, handler) for handler in handlers.values()}
        assert names == OWNERS | PREVIEWS | VISITORS, "say in this test for whom a new handler is"
        for number, handler in handlers.items():
            for who, request in REQUEST_OF.items():
                is_refused = False
                try:
                    await demo.process_api(number, [], None, request)
                except gr.Error as error:
                    is_refused = "Only the owner" in str(error)
                name = name_of(demo, handler)
                is_changing = name in (OWNERS if settings.visitors_train else OWNERS | PREVIEWS)
                assert is_refused == (is_changing and who not in allowed), f"{name}, {who}"

    monkeypatch.setattr(gr.Blocks, "process_api", run_nothing)
    with start_blocking_portal() as portal:
        portal.call(ask_all)


class SignedIn(gr.Request):
    """A request of somebody who signed in with Hugging Face."""

    def __init__(self, name: str, expires_at: float | None = None, **roles: str) -> None:
        super().__init__()
        orgs = [{"preferred_username": org, "roleInOrg": role} for org, role in roles.items()]
        userinfo = {"preferred_username": name, "orgs": orgs}

        told = {"userinfo": userinfo} | ({"expires_at": expires_at} if expires_at else {})
        session = {"oauth_info": told}
        self.request = SimpleNamespace(headers={}, scope={"session": session})  # type: ignore[assignment]


def test_the_author_of_a_space_is_its_owner() -> None:
    access = Access(Settings(host="0.0.0.0", space_id="lab-org/mrpc"))
    assert access.is_owner(SignedIn("lab-org"))
    assert access.is_owner(SignedIn("ann", **{"lab-org": "write"}))
    for visitor in (SignedIn("ann", **{"lab-org": "read"}), SignedIn("ann", other="admin"), SignedIn("mrpc")):
        with pytest.raises(AccessError, match="Duplicate this Space"):
            access.check(access.recognise(visitor), in_page=True)
    assert not access.is_owner(SignedIn("lab-org", expires_at=time.time() - 1))


def test_a_login_cannot_be_guessed_quickly(served: Serve) -> None:
    client = served(Access(Settings(host="0.0.0.0", auth=("a", "b"))))
    answers = [client.post("/login", data={"username": "a", "password": "x"}).status_code for _ in range(12)]
    assert answers[-1] == 429
    assert 429 not in answers[:10]


def test_a_login_cannot_be_guessed_from_addresses_that_are_made_up() -> None:
    guard = RateLimits({"/login": 10})
    refused = [guard.is_too_many("/login", f"10.0.0.{number}", number / 10) for number in range(100)]
    assert refused.index(True) == 60
    assert all(refused[60:])
    assert not guard.is_too_many("/login", "10.0.1.1", 71), "a minute later"
    refused = [guard.is_too_many("/login", "10.0.1.2", 200 + number / 100) for number in range(1000)]
    assert refused == [False] * 10 + [True] * 990
    assert not guard.is_too_many("/login", "10.0.1.3", 211), "one address does not shut the others out"


def test_the_disk_cannot_be_filled_quickly(served: Serve) -> None:
    client = served(Access(Settings(share=True)))
    files = {"files": ("pairs.csv", b"sentence1,sentence2", "text/csv")}
    answers = [client.post("/gradio_api/upload", files=files).status_code for _ in range(22)]
    assert answers[:20] == [200] * 20
    assert answers[-1] == 429
