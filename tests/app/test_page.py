"""Arguments, host names, what is said in the terminal, and what building the page costs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import app
from mrpc.app.access import Access, Standing
from mrpc.app.hosts import answered_hosts, host_guards, network_addresses
from mrpc.app.server import describe_address, describe_end, serve
from mrpc.app.services import Services
from mrpc.app.share import NO_NETWORK
from mrpc.app.spine import render_head
from mrpc.recent import built_once
from mrpc.settings import Settings
from tests.written_run import write_running

PROJECT_DIR = Path(__file__).resolve().parents[2]
HEAVY = (
    *("torch", "datasets", "transformers", "evaluate", "accelerate", "safetensors", "tokenizers"),
    *("plotly", "scipy", "sklearn", "mrpc.training"),
)


class TestArguments:
    def test_defaults(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        settings = app.parse_arguments([])
        assert settings == Settings(runs_dir=tmp_path / "runs")
        assert (settings.host, settings.port, settings.share) == ("127.0.0.1", 7860, False)

    def test_everything(self, tmp_path):
        settings = app.parse_arguments(
            [
                *("--host", "::1", "--port", "8000", "--share", "--auth", "ann:pass:word"),
                *("--allowed-host", "lab.example", "--allowed-host", "other.example"),
                *("--runs-dir", str(tmp_path / "new"), "--data-dir", str(tmp_path)),
                *("--checkpoint-dir", str(tmp_path)),
            ]
        )
        assert settings == Settings(
            runs_dir=tmp_path / "new",
            data_dir=tmp_path,
            checkpoint_dirs=(tmp_path,),
            host="::1",
            port=8000,
            share=True,
            auth=("ann", "pass:word"),
            allowed_hosts=("lab.example", "other.example"),
        )

    def test_environment_names_the_folders(self, monkeypatch, tmp_path):
        monkeypatch.setenv("MRPC_RUNS_DIR", str(tmp_path / "r"))
        monkeypatch.setenv("MRPC_DATA_DIR", str(tmp_path))
        settings = app.parse_arguments([])
        assert settings.runs_dir == tmp_path / "r"
        assert settings.data_dir == tmp_path

    def test_a_space_binds_all_addresses(self, monkeypatch):
        monkeypatch.setenv("SPACE_ID", "someone/mrpc")
        monkeypatch.setenv("SPACE_HOST", "someone-mrpc.hf.space")
        settings = app.parse_arguments([])
        assert (settings.host, settings.port) == ("0.0.0.0", 7860)
        assert settings.space_host == "someone-mrpc.hf.space"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--port", "0"], "not a port from 1 to 65535"),
            (["--port", "x"], "not a port from 1 to 65535"),
            (["--auth", "ann"], "USER:PASSWORD"),
            (["--auth", ":secret"], "USER:PASSWORD"),
            (["--data-dir", "/no/such/folder"], "is not a folder"),
            (["--checkpoint-dir", "/no/such/folder"], "is not a folder"),
        ],
    )
    def test_mistakes_are_said_before_anything_is_started(self, capsys, arguments, words):
        with pytest.raises(SystemExit) as caught:
            app.parse_arguments(arguments)
        assert caught.value.code == 2
        assert words in capsys.readouterr().err

    def test_a_busy_port_is_said(self, capsys):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert app.main(["--port", str(port)]) == 1
        said = capsys.readouterr().err
        assert f"Port {port} on 127.0.0.1 is in use" in said
        assert f"--port {port + 1}" in said


class TestHosts:
    @pytest.mark.parametrize(
        ("settings", "host", "status"),
        [
            ({}, "localhost:7860", 200),
            ({}, "127.0.0.1", 200),
            ({}, "[::1]:7860", 200),
            ({}, "LOCALHOST", 200),
            ({}, "evil.example", 400),
            ({}, "localhost.evil.example", 400),
            ({}, "", 400),
            ({}, "abc.gradio.live", 400),
            ({"share": True}, "abc.gradio.live", 200),
            ({"share": True}, "gradio.live.evil.example", 400),
            ({"host": "192.0.2.7"}, "192.0.2.7:7860", 200),
            ({"host": "2001:db8::7"}, "[2001:db8::7]:7860", 200),
            ({"host": "0.0.0.0"}, "evil.example", 400),
            ({"allowed_hosts": ("lab.example",)}, "lab.example:80", 200),
            ({"allowed_hosts": ("lab.example",)}, "www.lab.example", 400),
            ({"space_id": "a/b", "space_host": "a-b.hf.space"}, "a-b.hf.space", 200),
            ({"space_id": "a/b", "space_host": "a-b.hf.space, lab.example"}, "lab.example", 200),
            ({"space_id": "a/b", "space_host": "a-b.hf.space"}, "a.probe", 200),  # the platform's own
        ],
    )
    def test_only_names_in_use_are_answered(self, settings, host, status):
        assert ask(Settings(**settings), headers={"host": host}).status_code == status

    @pytest.mark.parametrize(
        ("settings", "origin", "status"),
        [
            ({}, None, 200),
            ({}, "http://localhost:7860", 200),
            ({}, "http://[::1]:7860", 200),
            ({}, "http://evil.example", 403),
            ({}, "null", 403),
            ({}, "http://[broken", 403),
            ({"share": True}, "https://abc.gradio.live", 200),
            ({"allowed_hosts": ("lab.example",)}, "https://lab.example", 200),
            ({"host": "0.0.0.0"}, "http://6.6.6.6", 403),
            ({"space_id": "a/b", "host": "0.0.0.0"}, "https://elsewhere.example", 403),
            ({"space_id": "a/b", "host": "0.0.0.0"}, "http://6.6.6.6", 403),
            ({"space_id": "a/b", "space_host": "a-b.hf.space,lab.example"}, "https://lab.example", 200),
            ({"space_id": "a/b", "space_host": "a-b.hf.space"}, "https://c-d.hf.space", 403),
        ],
    )
    def test_only_our_pages_may_change_something(self, settings, origin, status):
        headers = {"host": "localhost"} | ({"origin": origin} if origin else {})
        assert ask(Settings(**settings), "POST", headers).status_code == status
        assert ask(Settings(**settings), "GET", headers).status_code == 200

    def test_each_host_once(self):
        assert answered_hosts(Settings(host="127.0.0.1")) == ["localhost", "127.0.0.1", "[::1]"]


def ask(settings: Settings, method: str = "GET", headers: dict[str, str] | None = None):
    async def answer(request):
        return PlainTextResponse("here")

    guarded = Starlette(
        routes=[Route("/", answer, methods=["GET", "POST"])], middleware=host_guards(settings)
    )
    with TestClient(guarded) as client:
        return client.request(method, "/", headers=headers)


def address_of(settings: Settings, link: str = "") -> str:
    return describe_address(settings, Access(settings), link)


class TestTerminal:
    def test_address(self):
        assert "http://127.0.0.1:7860" in address_of(Settings(host="0.0.0.0"))
        assert "http://[2001:db8::7]:7860" in address_of(Settings(host="2001:db8::7"))

    def test_no_share_link(self):
        assert "No public link" in address_of(Settings(share=True), NO_NETWORK)
        assert "https://x.gradio.live" in address_of(Settings(share=True), "https://x.gradio.live")
        assert "public" not in address_of(Settings()).lower()

    def test_where_agents_find_tools_and_with_which_key(self):
        assert "Agents" not in address_of(Settings())
        local = address_of(Settings(mcp=True))
        assert "http://127.0.0.1:7860/gradio_api/mcp/" in local
        assert "MRPC_OWNER_KEY" not in local
        shared = Settings(host="0.0.0.0", mcp=True)
        assert "Start, stop and resume ask for a key" in address_of(shared)
        assert "ask for a key" not in address_of(replace(shared, owner_key="a-key-that-is-long-enough"))
        assert "Every tool asks for a key" in address_of(replace(shared, auth=("a", "b")))

    def test_tools_without_the_package_are_a_sentence(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr("mrpc.app.server.can_serve_tools", lambda: False)
        assert serve(Services(Settings(runs_dir=tmp_path, mcp=True))) == 1
        assert "pip install -r requirements/mcp.txt" in capsys.readouterr().err

    def test_a_space_forgets(self):
        said = address_of(Settings(host="0.0.0.0", space_id="a/b"))
        assert "runs vanish when it restarts" in said

    def test_an_address_that_others_reach(self):
        said = address_of(Settings(host="0.0.0.0"))
        assert re.search(
            r"You are the owner, once you have opened: http://127.0.0.1:7860/\?owner=\S{20,}", said
        )
        assert "Everybody else may look" in said
        assert all(f"http://{address}:7860" in said for address in network_addresses())
        assert "Others in its network" not in address_of(Settings())
        for settings in (Settings(host="0.0.0.0", auth=("a", "b")), Settings()):
            assert "owner" not in address_of(settings)
        opened = address_of(Settings(host="0.0.0.0", open_to_all=True))
        assert "Everybody who reaches this app can start, stop and delete trainings" in opened
        assert "owner=" not in opened

    def test_the_end_names_the_training_that_goes_on(self, tmp_path):
        services = Services(Settings(runs_dir=tmp_path))
        assert "No training is under way" in describe_end(services)
        run = write_running(tmp_path)
        said = describe_end(services)
        assert f"{run.run_id} goes on" in said
        assert f"kill {run.read_process().pid}" in said


class TestHeader:
    def test_data_is_escaped(self):
        line = "Data: folder /tmp/<img src=x>"
        assert "<img" not in render_head(line, Standing())


class TestBuiltOnce:
    def test_once_for_many_threads(self):
        built = []

        class Holder:
            @built_once
            def thing(self) -> object:
                """A thing."""
                built.append(1)
                return object()

        holder = Holder()
        things = []
        threads = [threading.Thread(target=lambda: things.append(holder.thing)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(built) == 1
        assert len(set(map(id, things))) == 1
        assert Holder.thing.__doc__ == "A thing."

    def test_tries_again_after_an_error(self):
        attempts = []

        class Holder:
            @built_once
            def thing(self) -> int:
                attempts.append(1)
                if len(attempts) == 1:
                    raise ValueError("not yet")
                return 7

        holder = Holder()
        with pytest.raises(ValueError, match="not yet"):
            _ = holder.thing
        assert holder.thing == 7


BUILD = f"""
import json, sys
import app
from mrpc.app.services import Services
from mrpc.app.hosts import network_addresses
from mrpc.app.page import build_app
settings = app.parse_arguments([])
demo = build_app(Services(settings))
from mrpc.app.theme import build_theme, collect_css, collect_head, static_routes
build_theme(), collect_css(), collect_head(), static_routes()
endpoints = {{
    name.removeprefix("/"): [one["parameter_name"] for one in told["parameters"]]
    for name, told in demo.get_api_info()["named_endpoints"].items()
}}
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([heavy, endpoints, len(demo.blocks), len(demo.fns)]))
"""


@pytest.fixture(scope="module")
def build() -> tuple[list[str], dict[str, list[str]], int, int]:
    """What was imported to build the page, its endpoints with their parameters, its components and events."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BUILD],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heavy, endpoints, num_components, num_events = json.loads(done.stdout)
    return heavy, endpoints, num_components, num_events


def test_nothing_heavy_is_imported_to_build_the_page(build):
    assert build[0] == []


def test_endpoints_have_stable_names(build):
    assert {"list_runs", "resume_run", "run_status", "start_run", "stop_run"} <= set(build[1])
    assert {"compare_pair", "inspect_pair"} <= set(build[1])


def test_endpoints_that_share_components_keep_the_names_of_their_parameters(build):
    assert build[1]["stop_run"] == ["run_id", "save"]
    assert build[1]["inspect_pair"] == ["sentence1", "sentence2", "checkpoint"]
    assert build[1]["compare_pair"] == ["run_id", "sentence1", "sentence2"]
    assert build[1]["flips"] == ["left", "right", "split", "cell"]


def test_the_page_has_no_more_parts_than_it_needs(build):
    _, _, num_components, num_events = build
    assert num_components <= 250
    assert num_events <= 100
