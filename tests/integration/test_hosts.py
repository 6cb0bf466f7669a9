"""The live app answers to names that are really used, and tells its end."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request

import pytest

from tests.live_app import LiveApp, running_app

pytestmark = pytest.mark.integration


def status_of(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("evil.example", 400),
        ("evil.example:{port}", 400),
        ("abc.gradio.live", 400),
    ],
)
def test_host_header(live_app: LiveApp, host: str, status: int):
    assert status_of(live_app.url, Host=host.format(port=live_app.port)) == status


@pytest.mark.parametrize("path", ["/config", "/gradio_api/info", "/assets-plotly/plotly.min.js"])
def test_every_path_is_guarded(live_app: LiveApp, path: str):
    assert status_of(live_app.url + path) == 200
    assert status_of(live_app.url + path, Host="evil.example") == 400


@pytest.mark.parametrize(
    "path",
    [
        "/assets-plotly/../../../../etc/passwd",
        "/assets-plotly/%2e%2e/%2e%2e/METADATA",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=app.py",
        "/monitoring",
    ],
)
def test_no_other_file_is_served(live_app: LiveApp, path: str):
    assert status_of(live_app.url + path) in {403, 404}


def test_login_and_further_hosts(tmp_path):
    with running_app(tmp_path, "--auth", "ann:secret", "--allowed-host", "lab.example") as app:
        assert status_of(app.url, Host="lab.example") in {200, 401}
        assert status_of(app.url + "/config") == 401
        app.process.send_signal(signal.SIGINT)
        said, _ = app.process.communicate(timeout=120)
        assert f"MRPC Lab is at {app.url}" in said
        assert "No training is under way." in said
        assert app.process.returncode == 0
        assert "Traceback" not in said
