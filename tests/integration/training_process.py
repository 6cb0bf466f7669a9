"""Start, kill and inspect real training processes on the tiny checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mrpc.config import build_config
from mrpc.core.data.load import load_data
from mrpc.runs.layout import DataRef
from mrpc.runs.log import read_events
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore

PROJECT_DIR = Path(__file__).resolve().parents[2]


def create_run(runs_dir: Path, data_dir: Path, checkpoint_dir: Path, **values: Any) -> Run:
    """Make a run of the tiny checkpoint that nobody trains yet."""
    config = build_config(
        {"preset": "course", "checkpoint": f"local:{checkpoint_dir.name}", "learning_rate": 1e-3, **values}
    )
    data = DataRef.model_validate(load_data("folder", data_dir))
    return RunStore(runs_dir).create(config, data, checkpoint_dir)


NEW_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Starts another command as the first process of a PID namespace, as a container does."""


def can_make_namespaces() -> bool:
    """Tell whether this user may make PID namespaces."""
    try:
        return subprocess.run([*NEW_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def spawn(run: Run, *arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start ``python -m mrpc.training RUN_DIR`` with one thread, so that many fit on a machine.

    Args:
        run: to train.
        arguments: further ones.
        prefix: a command that starts it, such as :data:`NEW_NAMESPACE`.
    """
    with run.paths.log.open("ab") as log:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "mrpc.training", str(run.paths.run_dir), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT_DIR,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def train(run: Run, timeout_s: float = 180) -> int:
    """Train a run to its end and return the exit code."""
    return spawn(run).wait(timeout_s)


def wait_for_event(run: Run, process: subprocess.Popen[bytes], kind: str, timeout_s: float = 120) -> Any:
    """Wait until the log has an event of a type that this attempt wrote, and return it."""
    deadline = time.monotonic() + timeout_s
    attempt = None
    while time.monotonic() < deadline:
        info = run.read_process()
        attempt = info.attempt if info is not None and info.pid == process.pid else None
        for event in read_events(run.paths.events):
            if event.type == kind and event.attempt == attempt:
                return event
        assert process.poll() is None, run.paths.log.read_text()
        time.sleep(0.01)
    raise AssertionError(f"no {kind} event within {timeout_s} s")


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def step_losses(run: Run) -> dict[int, float]:
    """Return step -> loss, where the last write wins."""
    return {e.step: e.loss for e in read_events(run.paths.events) if e.type == "step"}


def terminal(run: Run) -> Any:
    """Return the event that ended the newest attempt."""
    ends = ("finished", "stopped", "failed")
    return [event for event in read_events(run.paths.events) if event.type in ends][-1]
