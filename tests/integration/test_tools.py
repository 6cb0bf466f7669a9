"""The tools of ``--mcp``, used by the real client of the protocol."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from tests.live_app import LiveApp, running_app, wait_until

pytest.importorskip("mcp", reason="needs the optional package of requirements/mcp.txt")

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Use `streamable_http_client`:DeprecationWarning"),
]

KEY = "a-key-that-is-long-enough"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
SHORT = {"preset": "course", "checkpoint": "local:tiny-bert", "num_train_pairs": 64, "num_epochs": 2}

TOOLS = {
    "inspect_pair": (["sentence1", "sentence2"], ["checkpoint"]),
    "list_runs": ([], []),
    "run_status": (["run_id"], ["cursor"]),
    "compare_pair": (["run_id", "sentence1", "sentence2"], []),
    "compare_split": (["left", "right"], ["split"]),
    "changes": (["left", "right", "split", "cell"], []),
    "start_run": ([], ["config"]),
    "stop_run": (["run_id"], ["save"]),
    "resume_run": (["run_id"], []),
}
"""Every tool, with the arguments that it must and may have."""

CHANGING = {"start_run", "stop_run", "resume_run"}


@pytest.fixture(scope="module")
def serve(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> Callable[..., Any]:
    """Start an app with tools on tiny data."""

    def start(*arguments: str, **options: Any) -> Any:
        data, checkpoint = str(tiny_data_dir), str(tiny_checkpoint_dir)
        common = ("--mcp", "--data-dir", data, "--checkpoint-dir", checkpoint)
        return running_app(tmp_path_factory.mktemp("runs"), *common, *arguments, **options)

    return start


@pytest.fixture(scope="module")
def local_app(serve: Callable[..., Any]) -> Iterator[LiveApp]:
    with serve() as app:
        yield app


def use(
    app: LiveApp, work: Callable[[ClientSession], Awaitable[Any]], headers: dict[str, str] | None = None
) -> Any:
    """Do something in one session of a client."""

    async def connect() -> Any:
        address = f"{app.url}/gradio_api/mcp/"
        async with (
            streamablehttp_client(address, headers=headers) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await work(session)

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
        return portal.call(connect)


def call(app: LiveApp, name: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Call one tool; a refusal is an AssertionError with its sentence."""
    result = use(app, lambda session: session.call_tool(name, arguments), headers)
    text = result.content[0].text
    assert not result.isError, text
    answer = json.loads(text)
    assert answer == result.structuredContent
    return answer


def refusal(app: LiveApp, name: str, headers: dict[str, str] | None = None, **arguments: Any) -> str:
    """Call one tool that does not do it, and return what it says."""
    result = use(app, lambda session: session.call_tool(name, arguments), headers)
    assert result.isError, result.content
    return str(result.content[0].text)


def test_the_tools_are_these_and_no_others(local_app: LiveApp) -> None:
    tools = use(local_app, lambda session: session.list_tools()).tools
    found = {}
    for tool in tools:
        properties = tool.inputSchema["properties"]
        required = tool.inputSchema["required"]
        found[tool.name] = (required, [name for name in properties if name not in required])
        assert tool.description.endswith("."), tool.name
        assert tool.annotations.readOnlyHint == (tool.name not in CHANGING), tool.name
        for name, schema in properties.items():
            assert schema["description"], f"{tool.name}: {name}"
            assert {"type", "oneOf"} & set(schema), f"{tool.name}: {name}"
    assert found == TOOLS
    (start,) = [tool for tool in tools if tool.name == "start_run"]
    settings = start.inputSchema["properties"]["config"]["properties"]
    assert settings["preset"]["enum"] == ["course", "recommended", "quick"]
    assert settings["num_epochs"]["type"] == "integer"


def test_a_run_from_start_to_comparison(local_app: LiveApp) -> None:
    run_id = call(local_app, "start_run", config=SHORT)["run_id"]
    wait_until(lambda: call(local_app, "run_status", run_id=run_id)["state"] == "finished")
    status = call(local_app, "run_status", run_id=run_id)
    assert (status["losses"], status["cursor"], status["num_steps"]) == ([], 16, 16)
    losses = call(local_app, "run_status", run_id=run_id, cursor=10)["losses"]
    assert [step for step, _ in losses] == [11, 12, 13, 14, 15, 16]
    newest = call(local_app, "list_runs")["runs"][0]
    assert (newest["run_id"], newest["state"]) == (run_id, "finished")
    pair = {"sentence1": "one two three", "sentence2": "two three"}
    assert call(local_app, "inspect_pair", **pair)["tokens"][0] == "[CLS]"
    answers = call(local_app, "compare_pair", run_id=run_id, **pair)
    assert set(answers) == {"base", "tuned"}
    sides = {"left": f"{run_id}:base", "right": f"{run_id}:best"}
    scores = call(local_app, "compare_split", **sides)
    assert scores["num_pairs"] == 16
    assert scores["left"]["accuracy"] + scores["right"]["accuracy"] > 0
    fixed = call(local_app, "changes", **sides, split="validation", cell="fixed")
    assert fixed["num_pairs"] == len(fixed["pairs"])
    for name in ("stop_run", "resume_run"):
        assert f"Run {run_id} is finished" in refusal(local_app, name, run_id=run_id)


def test_what_cannot_be_done_is_a_sentence(local_app: LiveApp) -> None:
    assert "There is no run 'x'" in refusal(local_app, "run_status", run_id="x")
    assert "num_epochs" in refusal(local_app, "start_run", config={"num_epochs": -1})
    assert "no_such" in refusal(local_app, "start_run", config={"no_such": 1})
    assert "There is no tool 'export_code'" in refusal(local_app, "export_code", run_id="x")
    assert "num_epochs is 'x'" in refusal(local_app, "start_run", config={"num_epochs": "x"})
    assert "config is seven" in refusal(local_app, "start_run", config="seven")
    assert refusal(local_app, "stop_run") == "stop_run needs 'run_id'."
    assert refusal(local_app, "list_runs", limit=3) == "list_runs takes no 'limit'."
    assert "save is perhaps" in refusal(local_app, "stop_run", run_id="x", save="perhaps")
    assert "it must be text" in refusal(local_app, "run_status", run_id=7)
    assert "cursor" in refusal(local_app, "run_status", run_id="x", cursor=-7)


def test_a_foreign_page_and_a_foreign_name_get_nothing(local_app: LiveApp) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepted = {"Accept": "application/json, text/event-stream"}
    address = f"{local_app.url}/gradio_api/mcp/"
    assert httpx.post(address, json=message, headers=accepted).status_code == 200
    assert httpx.get(address, headers=accepted).status_code == 405
    for foreign, status in ({"Origin": "http://evil.example"}, 403), ({"Host": "evil.example"}, 400):
        assert httpx.post(address, json=message, headers={**accepted, **foreign}).status_code == status


def test_without_the_key_nothing_changes(serve: Callable[..., Any]) -> None:
    with serve("--host", "0.0.0.0", environment={"MRPC_OWNER_KEY": KEY}) as app:
        for headers in (None, {"Authorization": "Bearer guess"}):
            assert call(app, "list_runs", headers)["runs"] == []
            for name, arguments in (
                ("start_run", {"config": SHORT}),
                ("stop_run", {"run_id": "x"}),
                ("resume_run", {"run_id": "x"}),
            ):
                assert "Only the owner of this app may do that" in refusal(app, name, headers, **arguments)
        assert app.store.list() == []
        run_id = call(app, "start_run", WITH_KEY, config=SHORT)["run_id"]
        call(app, "stop_run", WITH_KEY, run_id=run_id, save=False)
        app.wait_for_state(run_id, "stopped")


def test_behind_a_login_every_tool_asks_for_the_key(serve: Callable[..., Any]) -> None:
    with serve("--auth", "ann:secret", environment={"MRPC_OWNER_KEY": KEY}) as app:
        address = f"{app.url}/gradio_api/mcp/"
        for headers in ({}, {"Authorization": "Bearer guess"}, {"Cookie": "mrpc_owner=guess"}):
            refused = httpx.post(address, json={}, headers=headers)
            assert refused.status_code == 401
            assert "MRPC_OWNER_KEY" in refused.text
        run_id = call(app, "start_run", WITH_KEY, config=SHORT)["run_id"]
        call(app, "stop_run", WITH_KEY, run_id=run_id, save=False)
        app.wait_for_state(run_id, "stopped")
        assert call(app, "list_runs", WITH_KEY)["runs"][0]["run_id"] == run_id
