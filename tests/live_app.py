"""The real app as a process of its own, with a runs folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from mrpc.app.train.processes import has_ended, kill_tree
from mrpc.runs.process import find_process
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore

PROJECT_DIR = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 90


@dataclass
class LiveApp:
    """An app that answers at ``url``."""

    url: str
    port: int
    runs_dir: Path
    process: subprocess.Popen[str]

    @property
    def store(self) -> RunStore:
        return RunStore(self.runs_dir)

    def wait_for_state(self, run_id: str, *states: str, timeout_s: float = 120) -> Run:
        """Wait until a run is in one of these states."""
        run = self.store.open(run_id)
        deadline = time.monotonic() + timeout_s
        while run.state() not in {RunState(state) for state in states}:
            assert time.monotonic() < deadline, f"still {run.state()}: {run.paths.log.read_text()[-2000:]}"
            time.sleep(0.1)
        return run

    def suspend_training(self) -> None:
        """Let what trains stop short: it is under way all the same, and leaves the processor to others."""
        wait_until(lambda: any(run.living_process() for run in self.store.list()))
        for run in self.store.list():
            process = run.living_process()
            if process is not None:
                process.suspend()

    def end_trainings(self) -> None:
        """Kill what still trains in the runs folder."""
        for run in self.store.list():
            if run.state() is RunState.STARTING:  # its process may not have said yet who it is
                wait_until(lambda run=run: run.read_process() or run.state() is not RunState.STARTING)
            info = run.read_process()
            process = find_process(info) if info else None
            if process is not None and process.pid != os.getpid():  # a run that a test wrote
                kill_tree(process)
                wait_until_ended(process)


def wait_until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def wait_until_ended(process: psutil.Process, timeout_s: float = 60) -> None:
    """Wait until a process is gone, or a zombie that only its parent can collect."""
    wait_until(lambda: has_ended(process), timeout_s)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def running_app(
    runs_dir: Path,
    *arguments: str,
    num_threads: int | None = 1,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str | None] | None = None,
) -> Iterator[LiveApp]:
    """Start ``python app.py`` and end it, and what it started, afterwards.

    Args:
        runs_dir: where its runs live.
        arguments: further ones of the command line.
        num_threads: torch threads of the app and of its trainings; None leaves it to torch.
        prefix: a command that starts the app's.
        environment: variables that are other than here; None takes one away.
    """
    port = free_port()
    command = [
        *prefix,
        sys.executable,
        "app.py",
        "--port",
        str(port),
        "--runs-dir",
        str(runs_dir),
        *arguments,
    ]
    threads = {} if num_threads is None else {"OMP_NUM_THREADS": str(num_threads)}
    process = subprocess.Popen(
        command,
        cwd=PROJECT_DIR,
        env=_environment({**threads, **(environment or {})}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    app = LiveApp(f"http://127.0.0.1:{port}", port, runs_dir, process)
    try:
        wait_until_up(app)
        yield app
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        app.end_trainings()
        assert process.stdout is not None
        process.stdout.close()


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def wait_until_up(app: LiveApp) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert app.process.poll() is None, app.process.stdout and app.process.stdout.read()
        try:
            with urllib.request.urlopen(app.url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"the app does not answer within {START_TIMEOUT_S} s")
