"""The public link, with a stand-in for the program that makes it: no network is asked."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio import networking, tunneling
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mrpc.app.share import FOR_ROBOTS, close_link, open_link
from mrpc.errors import UnavailableError
from mrpc.files import hash_file
from mrpc.settings import PROXIES

WORKS = """
print("start proxy success: http://abc.gradio.live", flush=True)
import time
time.sleep(60)
"""
FAILS = """
print("login to server failed: dial tcp: i/o timeout", flush=True)
"""


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep Gradio's files in a folder of the test, name a share server, and end what was started."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(tunneling, "BINARY_FOLDER", tmp_path / "frpc")
    monkeypatch.setattr(tunneling, "BINARY_PATH", str(tmp_path / "frpc" / "frpc"))
    monkeypatch.setattr(networking, "GRADIO_SHARE_SERVER_ADDRESS", "127.0.0.1:1")
    yield
    close_link()


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in that works, where Gradio keeps its program, and with the hash that is asked for."""
    return put(tmp_path, WORKS, monkeypatch)


def put(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = folder / "frpc" / "frpc"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setitem(tunneling.CHECKSUMS, tunneling.BINARY_URL, hash_file(path))
    return path


def problem() -> str:
    with pytest.raises(UnavailableError, match=r"Serving locally\.$") as caught:
        open_link("127.0.0.1", 7860, "token")
    return str(caught.value)


def test_a_link_and_its_end(program: Path) -> None:
    assert open_link("127.0.0.1", 7860, "token") == "https://abc.gradio.live"
    (tunnel,) = tunneling.CURRENT_TUNNELS
    process = tunnel.proc
    assert process is not None
    close_link()
    assert process.wait(60) is not None
    assert tunneling.CURRENT_TUNNELS == []


def test_a_link_is_kept_out_of_search_engines() -> None:
    with TestClient(Starlette(routes=[FOR_ROBOTS])) as client:
        assert client.get("/robots.txt").text == "User-agent: *\nDisallow: /"


def test_a_changed_program_is_never_run(program: Path, tmp_path: Path) -> None:
    assert open_link("127.0.0.1", 7860, "token")
    close_link()
    mark = tmp_path / "was-run"
    program.write_text(f"#!{sys.executable}\nopen({str(mark)!r}, 'w')\n{WORKS}")
    said = problem()
    assert "SHA-256" in said
    assert str(program) in said
    assert not mark.exists()
    assert tunneling.CURRENT_TUNNELS == []


def test_a_bad_download_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, content=b"something else", request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", answer)
    assert "SHA-256" in problem()
    assert "SHA-256" in problem()  # what lies there now is checked too


def test_no_network(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    def refuse(*_: object, **__: object) -> httpx.Response:
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(httpx, "get", refuse)
    monkeypatch.setattr(networking, "GRADIO_SHARE_SERVER_ADDRESS", None)
    assert "cannot be reached" in problem()
    program.unlink()
    assert "cannot be reached" in problem()


def test_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path, FAILS, monkeypatch)
    assert "cannot be reached" in problem()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert "the proxy of HTTPS_PROXY" in problem()


def test_a_machine_without_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunneling, "CHECKSUMS", {})
    assert "no program for it on this machine" in problem()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_folders_that_cannot_be_written_by_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "HF_HOME" in problem()
    finally:
        tmp_path.chmod(0o700)


def test_folders_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, program: Path, tmp_path: Path
) -> None:
    def answer(url: str, **_: object) -> httpx.Response:
        return httpx.Response(
            200,
            json=[{"host": "127.0.0.1", "port": 1, "root_ca": "x"}],
            request=httpx.Request("GET", url),
        )

    monkeypatch.setattr(httpx, "get", answer)
    monkeypatch.setattr(networking, "GRADIO_SHARE_SERVER_ADDRESS", None)
    (tmp_path / ".gradio").write_text("a file where a folder should be")
    monkeypatch.chdir(tmp_path)
    said = problem()
    assert f"certificate in {tmp_path / '.gradio'}, which cannot be written" in said
