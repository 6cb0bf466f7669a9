"""Long work ends with the page that asked for it, over HTTP, and many pages take no more than their share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from mrpc.app.access import access_guards
from mrpc.app.page import build_app
from mrpc.app.services import Services
from mrpc.app.task import MAX_RUNNING_A_VISITOR, MAX_RUNNING_AN_ADDRESS
from mrpc.app.tools import PATH, can_serve_tools, tool_routes
from mrpc.core.text.tokenization_speed import WAYS
from mrpc.settings import Settings
from tests.app.test_access import name_of
from tests.live_app import free_port, wait_until

KEY = "a-key-that-is-long-enough"


def measure_for_ever(
    split: object, num_rows: object, ways: object, checkpoint: object, tell: Callable
) -> Any:
    """Take the place of a speed trial: it says how far it is, and never ends by itself."""
    for number in range(1_000_000):
        progress = SimpleNamespace(
            **{"way": next(iter(WAYS)), "state": "running", "rows_done": number, "num_rows": 1_000_000},
            **{"seconds": None, "rows_per_s": None, "reason": "", "num_processes": None},
        )
        tell([progress])
        time.sleep(0.05)


def compare_for_ever(left: object, right: object, split: object, say: Callable) -> Any:
    """Take the place of a comparison, as :func:`measure_for_ever` does of a trial."""
    for number in range(1_000_000):
        say("Predicting", number, 1_000_000)
        time.sleep(0.05)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page with visitors, whose speed trials and comparisons never end."""
    monkeypatch.setattr("mrpc.app.tokenize.batch_view.render_ways", lambda ways: "measuring")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    async def launch() -> Any:  # Gradio makes an event loop where none runs
        services = Services(Settings(runs_dir=tmp_path, share=True, owner_key=KEY))
        services.__dict__["tokenization_speed"] = SimpleNamespace(measure=measure_for_ever)
        services.__dict__["comparisons"] = SimpleNamespace(compare=compare_for_ever)
        demo = build_app(services)
        demo.launch(
            server_name="127.0.0.1",
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            share=False,
            app_kwargs={
                "middleware": access_guards(services.access),
                "routes": tool_routes(demo, services.access) if can_serve_tools() else [],
            },
        )
        (number,) = [
            at for at, one in demo.fns.items() if one.fn and name_of(demo, one) == "draw stage-speed"
        ]
        return SimpleNamespace(
            url=f"http://127.0.0.1:{demo.server_port}", demo=demo, tasks=services.tasks, number=number
        )

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
        one = portal.call(launch)
    yield one
    one.demo.close(verbose=False)


class OpenedPage:
    """Asks for a speed trial, and listens until it is closed."""

    def __init__(self, page: Any, session: str, visitor: str) -> None:
        self.client = httpx.Client(
            base_url=page.url, timeout=60, headers={"Cookie": f"mrpc_visitor={visitor * 22}"}
        )
        body = {
            "data": ["all-MiniLM-L6-v2", "train", 0, []],
            "fn_index": page.number,
            "session_hash": session,
        }
        assert self.client.post("/gradio_api/queue/join", json=body).status_code == 200
        self._listening = self.client.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": session}
        )
        self.lines = self._listening.__enter__().iter_lines()

    def first_answer(self) -> str:
        """Return what is drawn first."""
        for line in self.lines:
            news = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if news.get("msg") in {"process_generating", "process_completed"}:
                return json.dumps(news["output"])
        raise AssertionError("nothing came")

    def close(self) -> None:
        """Close the page."""
        self._listening.__exit__(None, None, None)
        self.client.close()


def test_a_closed_page_ends_its_work(page: Any) -> None:
    opened = OpenedPage(page, "one", "a")
    assert "progress" in opened.first_answer()
    assert len(page.tasks._running) == 1
    opened.close()
    wait_until(lambda: len(page.tasks._running) == 0)


def test_one_visitor_and_one_address_leave_some_to_others(page: Any) -> None:
    opened = []
    for number in range(MAX_RUNNING_A_VISITOR):
        opened.append(OpenedPage(page, f"a{number}", "a"))
        assert "progress" in opened[-1].first_answer()
    other_visitor = OpenedPage(page, "b", "b")
    assert MAX_RUNNING_A_VISITOR == MAX_RUNNING_AN_ADDRESS
    assert "from your address" in other_visitor.first_answer()
    opened.append(OpenedPage(page, "a-more", "a"))
    assert "Other long work is under way" in opened[-1].first_answer()
    assert len(page.tasks._running) == MAX_RUNNING_A_VISITOR
    for one in [*opened, other_visitor]:
        one.close()
    wait_until(lambda: len(page.tasks._running) == 0)


def test_a_script_that_leaves_ends_its_work(page: Any) -> None:
    with httpx.Client(base_url=page.url, timeout=60) as script:
        asked = script.post("/gradio_api/call/compare_split", json={"data": ["a", "b", "test"]})
        with script.stream("GET", f"/gradio_api/call/compare_split/{asked.json()['event_id']}"):
            wait_until(lambda: len(page.tasks._running) == 1)
    wait_until(lambda: len(page.tasks._running) == 0)


@pytest.mark.skipif(not can_serve_tools(), reason="needs mcp")
def test_an_agent_that_leaves_ends_its_work(page: Any) -> None:
    call = {"name": "compare_split", "arguments": {"left": "a", "right": "b", "split": "test"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accept = {"Accept": "application/json, text/event-stream"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{page.url}{PATH}", json=body, headers=accept, timeout=3)
    assert page.tasks._running
    wait_until(lambda: len(page.tasks._running) == 0)
