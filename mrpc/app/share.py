"""The public link of ``--share``: made by a program of Gradio's, checked each time before it is run.

Gradio checks it after the download alone, and runs whatever lies there afterwards. It also serves a page that
loads its scripts from elsewhere once ``launch(share=True)`` was asked for; so the link is made beside it.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx
from gradio import networking, tunneling
from gradio.exceptions import ChecksumMismatchError, ShareCertificateWriteError
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mrpc.errors import UnavailableError
from mrpc.files import hash_file
from mrpc.settings import proxy_variable


async def _forbid_robots(request: Request) -> PlainTextResponse:
    return PlainTextResponse("User-agent: *\nDisallow: /")


FOR_ROBOTS = Route("/robots.txt", _forbid_robots)
"""Keeps a public link out of search engines, as Gradio does with its own."""

NO_NETWORK = "No public link: the share server cannot be reached from here. Serving locally."


def open_link(host: str, port: int, token: str) -> str:
    """Return a public address that leads to this app, for about a week, as long as it runs.

    Args:
        host: that the app is bound to.
        port: that the app is bound to.
        token: names the link to the share server; random.

    Raises:
        UnavailableError: there is no link; says why.
    """
    certificate = Path(tunneling.CERTIFICATE_PATH)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            _require_program()
            address = networking.setup_tunnel(host, port, token, None, None)
    except ShareCertificateWriteError:
        raise UnavailableError(
            f"No public link: it needs a certificate in {certificate.parent.resolve()}, which cannot be "
            "written. Start the app from a folder of yours. Serving locally."
        ) from None
    except (httpx.HTTPError, RuntimeError, ValueError, OSError):
        close_link()
        raise UnavailableError(_unreachable()) from None
    return f"https://{urlsplit(address).netloc}"


def close_link() -> None:
    """End the program, if it runs."""
    with contextlib.redirect_stdout(io.StringIO()):
        while tunneling.CURRENT_TUNNELS:
            tunnel = tunneling.CURRENT_TUNNELS.pop()
            process = cast("subprocess.Popen[bytes] | None", tunnel.proc)
            tunnel.kill()
            if process is not None:
                process.communicate()  # collects it, and closes its pipes


def _require_program() -> None:
    """Download the program if it is not there, and refuse any but the one that Gradio names.

    Raises:
        UnavailableError: it is another, or there is none for this machine.
        httpx.HTTPError: it cannot be downloaded.
        OSError: it cannot be written.
    """
    expected = tunneling.CHECKSUMS.get(tunneling.BINARY_URL)
    if expected is None:
        raise UnavailableError(
            f"No public link: there is no program for it on this machine ({tunneling.machine}). "
            "Serving locally."
        )
    path = Path(tunneling.BINARY_PATH)
    nearest = next(parent for parent in path.parents if parent.exists())
    if not path.exists() and not os.access(nearest, os.W_OK):
        raise UnavailableError(
            f"No public link: the program for it belongs into {path.parent}, which cannot be written. "
            "Name another place in HF_HOME. Serving locally."
        )
    try:
        tunneling.Tunnel.download_binary()
        is_right = hash_file(path) == expected
    except ChecksumMismatchError:
        is_right = False
    if not is_right:
        raise UnavailableError(
            f"No public link: {path} is not the program that Gradio names (its SHA-256 differs), so it "
            "is not run. Delete it and start again. Serving locally."
        )


def _unreachable() -> str:
    proxy = proxy_variable()
    if proxy is None:
        return NO_NETWORK
    return (
        "No public link: it needs a direct line to the share server, and this machine goes through the "
        f"proxy of {proxy}. Serving locally."
    )
