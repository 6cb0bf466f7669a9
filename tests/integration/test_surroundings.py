"""The real app where people run it: behind proxies, beside other users, under a path, on a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.integration.test_hosts import status_of
from tests.live_app import PROJECT_DIR, LiveApp, running_app

pytestmark = pytest.mark.integration

NOBODY = ["setpriv", "--reuid", "4242", "--clear-groups"]


def test_a_proxy_a_path_and_every_address_at_once(tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9"
    environment = {
        **{name: dead for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")},
        **dict.fromkeys(("NO_PROXY", "no_proxy", "GRADIO_TEMP_DIR")),
        "GRADIO_ROOT_PATH": "/lab",
        "TMPDIR": str(tmp_path),
    }
    (tmp_path / "gradio").write_text("something else has the name")
    with running_app(tmp_path / "runs", "--host", "0.0.0.0", environment=environment) as app:
        assert status_of(app.url, Host="192.168.7.9:7860") == 200
        assert status_of(app.url, Host="evil.example") == 400
        with urllib.request.urlopen(f"{app.url}/assets-plotly/plotly.min.js", timeout=60) as answer:
            assert "javascript" in answer.headers["content-type"]
            assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
        page = urllib.request.urlopen(f"{app.url}/config", timeout=60).read().decode()
        assert "/lab/assets-plotly/plotly.min.js" in page


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs the right to be another user"
)
def test_another_users_temp_folder_and_no_home(tmp_path: Path) -> None:
    shared = Path("/tmp") / f"shared-{os.getpid()}"
    shared.mkdir(mode=0o777)
    shared.chmod(0o1777)
    (shared / "gradio").mkdir(mode=0o700)
    runs = shared / "runs"
    environment = {"TMPDIR": str(shared), "HOME": None, "GRADIO_TEMP_DIR": None, "HF_HOME": None}
    try:
        with running_app(runs, prefix=NOBODY, environment=environment) as app:
            client = Client(app.url, verbose=False)
            assert client.predict("One.", "Two.", "", api_name="/inspect_pair")["tokens"]
    finally:
        subprocess.run(["rm", "-rf", str(shared)], check=True)


@pytest.mark.parametrize(
    ("prefix", "environment", "arguments", "said"),
    [
        ((), {"HTTP_PROXY": "::x::"}, (), "HTTP_PROXY is '::x::', which is no address of a proxy"),
        ((), {"GRADIO_TEMP_DIR": "/proc/nope"}, (), "GRADIO_TEMP_DIR is /proc/nope, which cannot be written"),
        ((), {}, ("--runs-dir", "/proc/nope/runs"), "The runs folder /proc/nope/runs cannot be used"),
        (("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh"), {}, (), "Only 64 open files are allowed here"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    prefix: tuple[str, ...],
    environment: dict[str, str],
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
) -> None:
    command = [*prefix, sys.executable, "app.py", "--runs-dir", str(tmp_path), *arguments]
    done = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_errors_are_plain_for_scripts_and_safe_in_the_page(live_app: LiveApp) -> None:
    client = Client(live_app.url, verbose=False)
    with pytest.raises(AppError) as refused:
        client.predict("<b>&'\"", "accelerate", api_name="/export_code")
    assert "There is no run '<b>&\\'\"'" in str(refused.value)
    client.close()

    def ask(**headers: str) -> str:
        body = json.dumps({"data": ["<img src=x>", "accelerate"]}).encode()
        url = f"{live_app.url}/gradio_api/call/export_code"
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(url, body, headers)
        event_id = json.load(urllib.request.urlopen(request, timeout=60))["event_id"]
        return urllib.request.urlopen(f"{url}/{event_id}", timeout=60).read().decode()

    assert "'<img src=x>'" in ask()
    assert "'<img src=x>'" in ask(**{"X-Gradio-User": "api"})
    assert "<img" not in ask(**{"X-Gradio-User": "app"})
    assert "&lt;img src=x&gt;" in ask(**{"X-Gradio-User": "app"})


SETTINGS = {"preset": "course", "checkpoint": "local:tiny-bert", "num_epochs": 1, "max_steps": 2}
CHANGES = (("start_run", (SETTINGS,)), ("queue_run", (SETTINGS,)))


def refusals(app: LiveApp, calls: Sequence[tuple[str, tuple[object, ...]]]) -> list[str]:
    """Make calls that fail, and return what is said each time."""
    client = Client(app.url, verbose=False)
    said = []
    for name, arguments in calls:
        with pytest.raises(AppError) as refused:
            client.predict(*arguments, api_name=f"/{name}")
        said.append(str(refused.value))
    assert client.predict(api_name="/list_runs")["runs"] == []
    client.close()
    return said


def printed(app: LiveApp) -> str:
    """End the app and return what it printed."""
    app.process.send_signal(signal.SIGINT)
    return app.process.communicate(timeout=60)[0]


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs the right to be another user"
)
def test_a_runs_folder_that_may_not_be_written_is_said_in_words(
    tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as shared:
        base = Path(shared)
        base.chmod(0o755)
        runs = base / "runs"
        runs.mkdir(mode=0o555)
        data, checkpoint = base / "data", base / "tiny-bert"
        shutil.copytree(tiny_data_dir, data)
        shutil.copytree(tiny_checkpoint_dir, checkpoint)
        named = ("--data-dir", str(data), "--checkpoint-dir", str(checkpoint))
        environment = {"TMPDIR": None, "HOME": None, "GRADIO_TEMP_DIR": None, "HF_HOME": None}
        with running_app(runs, *named, prefix=NOBODY, environment=environment) as app:
            for words in refusals(app, CHANGES):
                assert "Permission denied" in words
                assert "Make the runs folder writable, or choose another with --runs-dir." in words
            assert "Traceback" not in printed(app)


def test_a_full_runs_folder_is_said_in_words(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    script = f"mount -t tmpfs -o size=16k,mode=0755 tmpfs {runs} && head -c 16384 /dev/zero > {runs}/.full; "
    script += 'exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    try:
        tried = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        tried = 1
    if tried != 0:
        pytest.skip("needs the right to mount a small disk")
    named = ("--data-dir", str(tiny_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    with running_app(runs, *named, prefix=prefix) as app:
        for words in refusals(app, CHANGES):
            assert "No space left on device" in words
            assert "Free some space." in words
        assert "Traceback" not in printed(app)


def test_a_read_only_project_folder(tmp_path: Path) -> None:
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", mount, str(PROJECT_DIR)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    probe = [*prefix, "touch", str(PROJECT_DIR / "probe")]
    assert subprocess.run(probe, capture_output=True, check=False).returncode != 0
    environment = {"HOME": None, "HF_HOME": None, "GRADIO_TEMP_DIR": None, "TMPDIR": str(tmp_path)}
    with running_app(tmp_path / "runs", prefix=prefix, environment=environment) as app:
        client = Client(app.url, verbose=False)
        assert client.predict("One.", "Two.", "", api_name="/inspect_pair")["tokens"]
        assert client.predict(api_name="/list_runs") == {"runs": []}
