"""The real app as a Hugging Face Space starts it: its hosts, foreign pages, cookies, cores, visitors."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.integration.test_hosts import status_of
from tests.live_app import LiveApp, running_app, wait_until

pytestmark = pytest.mark.integration

KEY = "a-key-that-is-long-enough"
SPACE = {
    **{"SYSTEM": "spaces", "SPACE_ID": "ann/lab", "SPACE_HOST": "a-b.hf.space,lab.example", "CPU_CORES": "2"},
    **{"MRPC_OWNER_KEY": KEY, "MRPC_VISITORS": "train", "OMP_NUM_THREADS": None},
}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, long_data_dir: Path) -> Iterator[LiveApp]:
    """A Space whose visitors may train, with data on which the preset quick takes a while."""
    runs_dir = tmp_path_factory.mktemp("runs")
    arguments = ("--data-dir", str(long_data_dir))
    with running_app(runs_dir, *arguments, num_threads=None, environment=SPACE) as app:
        yield app


def post(app: LiveApp, path: str, body: Any, **headers: str) -> tuple[int, str]:
    """Send JSON as a page does; return status and text."""
    request = urllib.request.Request(
        app.url + path, json.dumps(body).encode(), {"content-type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_every_host_is_answered(space: LiveApp) -> None:
    for host in ("a-b.hf.space", "lab.example", "10.1.2.3:7860", "any.probe"):
        assert status_of(space.url, Host=host) == 200


def test_a_foreign_page_changes_nothing(space: LiveApp) -> None:
    cookie = {"Cookie": f"mrpc_owner={KEY}", "Authorization": f"Bearer {KEY}"}
    paths = ("/gradio_api/run/start_run", "/gradio_api/queue/join", "/gradio_api/upload")
    for path in (*paths, "/gradio_api/component_server", "/gradio_api/call/start_run"):
        for origin in ("https://evil.example", "https://c-d.hf.space", "http://6.6.6.6", "null"):
            status, _ = post(space, path, {"data": [{}]}, Host="a-b.hf.space", Origin=origin, **cookie)
            assert status == 403, (path, origin)
    for origin in ("https://a-b.hf.space", "https://lab.example"):
        body = {"data": ["One.", "Two.", ""]}
        status, text = post(space, "/gradio_api/call/inspect_pair", body, Host="a-b.hf.space", Origin=origin)
        assert status == 200, text


def test_cookies_are_kept_for_the_site_around_a_frame_alone(space: LiveApp) -> None:
    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    opener = urllib.request.build_opener(NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as redirect:
        opener.open(f"{space.url}/?owner={KEY}", timeout=60)
    redirect.value.close()
    with urllib.request.urlopen(space.url, timeout=60) as visitor:
        visitor.read()
    for cookie in (redirect.value.headers["set-cookie"], visitor.headers["set-cookie"]):
        for word in ("SameSite=None", "Secure", "Partitioned", "HttpOnly", "Path=/"):
            assert word in cookie
    assert redirect.value.headers["referrer-policy"] == "no-referrer"
    policy = visitor.headers["content-security-policy"]
    assert policy == "frame-ancestors 'self' https://huggingface.co https://*.hf.space"
    assert "x-frame-options" not in visitor.headers


def client_of(app: LiveApp, visitor: str = "", **headers: str) -> Client:
    cookie = {"Cookie": f"mrpc_visitor={visitor}"} if visitor else {}
    return Client(app.url, verbose=False, headers={**cookie, **headers})


ANN, BEN = "a" * 22, "b" * 22


def test_the_example_then_previews_of_visitors(space: LiveApp) -> None:
    wait_until(lambda: bool(space.store.list()))
    example = space.store.list()[-1]  # the oldest
    wait_until(lambda: example.read_label().name == "Example")
    wait_until(lambda: example.read_status().step > 0, 240)
    start = next(line for line in example.paths.events.read_text().splitlines() if '"started"' in line)
    assert json.loads(start)["num_threads"] == 2  # from CPU_CORES

    ann, ben, nobody = client_of(space, ANN), client_of(space, BEN), client_of(space)
    with pytest.raises(AppError, match="previews of their own"):
        ann.predict(example.run_id, True, api_name="/stop_run")
    with pytest.raises(AppError, match="Only the owner"):
        ann.predict(example.run_id, api_name="/resume_run")
    with pytest.raises(AppError, match="keeps no cookie"):
        nobody.predict({"preset": "quick"}, api_name="/queue_run")
    for values in (
        {"preset": "course", "num_epochs": 5},
        {"preset": "quick", "checkpoint": "google-bert/bert-base-uncased"},
        {"preset": "quick", "train_batch_size": 64},
        {"preset": "quick", "max_length": 256},
        {"preset": "quick", "keep_epochs": "all"},
    ):
        with pytest.raises(AppError, match=r"short previews|not available"):
            ann.predict(values, api_name="/queue_run")
    mine = ann.predict({"preset": "quick"}, api_name="/queue_run")["run_id"]
    with pytest.raises(AppError, match="One preview of yours"):
        ann.predict({"preset": "quick"}, api_name="/queue_run")
    with pytest.raises(AppError, match="previews of their own"):
        ben.predict(mine, False, api_name="/stop_run")

    owner = client_of(space, Authorization=f"Bearer {KEY}")
    if example.is_trained():
        owner.predict(example.run_id, False, api_name="/stop_run")
    run = space.wait_for_state(mine, "running", timeout_s=240)
    wait_until(lambda: run.read_status().step > 0, 240)
    assert run.config.visitor is not None
    assert ANN not in run.paths.config.read_text()
    with pytest.raises(AppError, match="previews of their own"):
        ben.predict(mine, False, api_name="/stop_run")
    ann.predict(mine, True, api_name="/stop_run")
    space.wait_for_state(mine, "stopped")


def test_a_page_sees_which_runs_are_its_own_and_asks_less_often(space: LiveApp) -> None:
    with urllib.request.urlopen(f"{space.url}/config", timeout=60) as answer:
        config = json.loads(answer.read())
    (courier,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "train-courier"]

    def ask(visitor: str) -> dict[str, Any]:
        body = {
            **{"session_hash": "s", "component_id": courier, "fn_name": "ask"},
            "data": {"page": visitor, "run_id": "", "seen": ["runs"], "has": {}},
        }
        status, text = post(space, "/gradio_api/component_server", body, Cookie=f"mrpc_visitor={visitor}")
        assert status == 200, text
        return json.loads(text)

    ann, ben = ask(ANN), ask(BEN)
    assert ann["own"]
    assert ben["own"] == []
    assert ann["wait_s"] >= 2.5
