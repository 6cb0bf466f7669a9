"""Training processes as the operating system sees them: start, wait for the lock, end.

They belong to nobody: they live on when the page, or the app, is closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

import mrpc
from mrpc.errors import BusyError, RunStateError
from mrpc.runs.store import Run
from mrpc.settings import training_environment

PROJECT_DIR = Path(mrpc.__file__).resolve().parent.parent
EXIT_BUSY = 75
START_TIMEOUT_S = 5.0
NICENESS = 10
LOG_TAIL_BYTES = 2000

_children: list[subprocess.Popen[bytes]] = []
_children_lock = threading.Lock()


def spawn(run: Run, *arguments: str) -> subprocess.Popen[bytes]:
    """Start ``python -m mrpc.training RUN_DIR`` niced, detached, with its output in the run's log."""
    reap()
    with run.paths.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "mrpc.training", str(run.paths.run_dir), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT_DIR,
            env=training_environment(),
            start_new_session=True,
        )
    with _children_lock:
        _children.append(child)
    process = psutil.Process(child.pid)
    signal_quietly(lambda: process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS))
    return child


def spawn_attempt(run: Run) -> None:
    """Start the next attempt at a run, and return once its process holds the lock.

    Raises:
        BusyError: when another process held it.
        RunStateError: when the process ended at once.
    """
    before = run.read_process()
    attempt = before.attempt + 1 if before is not None else 1
    child = spawn(run)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        info = run.read_process()
        if info is not None and info.attempt == attempt:
            return
        code = child.poll()
        if code == EXIT_BUSY:
            raise BusyError("A training is under way already in this runs folder.")
        if code is not None:
            raise RunStateError(
                f"The training process ended at once (exit code {code}): {_last_line(run.paths.log)}"
            )
        time.sleep(0.02)


def reap() -> None:
    """Collect the children that ended, so that they do not stay as zombies."""
    with _children_lock:
        _children[:] = [child for child in _children if child.poll() is None]


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or only waits to be collected."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and all it started."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        signal_quietly(member.kill)
    psutil.wait_procs(family, timeout=2.0)


def signal_quietly(send: Callable[[], Any]) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        send()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def _last_line(path: Path) -> str:
    try:
        return path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        return "its log is empty"
