"""A Chromium for the browser tests: found where there is one, installed where there is none.

``find_chromium()`` and ``LAUNCH_ARGS`` are for ``conftest.py``; ``python tests/browser.py`` prints the path,
and ``--install`` first gets a Chromium where none is found: Debian's package as root, else Playwright's own.
Imports nothing but the standard library.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LAUNCH_ARGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # Chromium refuses to start its sandbox as root.
    *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
)
"""What Chromium is started with: no traffic of its own, so that a test sees the page's alone."""

_PRINT_PLAYWRIGHT_PATH = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


class BrowserError(Exception):
    """No Chromium can be had; the message says what to do."""


@functools.cache
def find_chromium() -> str | None:
    """Return the path of a Chromium that starts, or None.

    Looks at ``CHROMIUM``, then on ``PATH``, then for the one that Playwright downloaded.

    Raises:
        BrowserError: ``CHROMIUM`` names something that does not start.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        path = shutil.which(named)
        if path is None or not _starts(path):
            raise BrowserError(f"CHROMIUM={named} is not a browser that starts. Correct it, or unset it.")
        return path
    for command in COMMANDS:
        path = shutil.which(command)
        if path is not None and _starts(path):
            return path
    path = _playwright_path()
    return path if path is not None and _starts(path) else None


def install_chromium() -> str:
    """Install a Chromium where none is found, and return its path.

    Raises:
        BrowserError: none of the ways led to a Chromium that starts; names each with its last words.
    """
    failures = []
    for way in (_install_debian_package, _install_playwright_build):
        path = find_chromium()
        if path is not None:
            return path
        print(f"No Chromium here. Trying {way.__doc__}", file=sys.stderr)
        failure = way()
        if failure is not None:
            failures.append(failure)
        find_chromium.cache_clear()
    path = find_chromium()
    if path is None:
        tried = "\n".join(f"  - {failure}" for failure in failures)
        raise BrowserError(
            "The browser tests need Chromium, and none could be installed:\n"
            f"{tried}\n"
            "Install Chromium or Chrome by hand, or set CHROMIUM=/path/to/it, and run this again."
        )
    return path


def _install_debian_package() -> str | None:
    """Debian's package, as root."""
    if shutil.which("apt-get") is None:
        return "Debian's package: there is no apt-get here."
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "Debian's package: only root may install it (sudo apt-get install chromium)."
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A package source that does not answer fails `update` though the others are there: `install` decides.
    _run(["apt-get", "update", "-q"], environment)
    failure = _run(
        [
            *("apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-q", "-y", "--no-install-recommends"),
            *("chromium", "fonts-liberation"),
        ],
        environment,
    )
    return None if failure is None else f"Debian's package: {failure}"


def _install_playwright_build() -> str | None:
    """Playwright's own build."""
    failure = _run([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))
    return None if failure is None else f"Playwright's own build: {failure}"


def _run(command: list[str], environment: dict[str, str]) -> str | None:
    """Run a command; return None when it went well, else its exit code and what it said of the error."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stdout.strip().splitlines()] or ["(it printed nothing)"]
    # The last line may be the end of a stack trace; a line that calls itself an error says more.
    errors = [line for line in lines if line.startswith(("E: ", "Error: ", "Failed "))]
    return f"`{' '.join(command)}` ended with {done.returncode}: {(errors or lines)[-1]}"


def _starts(path: str) -> bool:
    """Tell whether this is a browser: Ubuntu's ``chromium-browser`` may be a stub that asks for a snap."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _playwright_path() -> str | None:
    """Return where Playwright keeps its own Chromium, whether or not it is there; None without Playwright."""
    # In a process of its own: Playwright's sync API refuses to start inside a running event loop.
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_PLAYWRIGHT_PATH],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def main() -> int:
    """Print the path of a Chromium, or say on standard error why there is none."""
    parser = argparse.ArgumentParser(description="Find the Chromium that the browser tests use.")
    parser.add_argument("--install", action="store_true", help="get one where none is found")
    arguments = parser.parse_args()
    try:
        path = install_chromium() if arguments.install else find_chromium()
    except BrowserError as error:
        print(error, file=sys.stderr)
        return 1
    if path is None:
        print("No Chromium found; python tests/browser.py --install gets one.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
