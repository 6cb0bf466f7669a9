from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mrpc.app.train import processes
from mrpc.app.train.processes import kill_group, start_process
from tests.live_app import LiveApp, running_app


@pytest.fixture(autouse=True)
def _launched_processes_are_gone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill, and wait for, the trainings that a launcher in the process of the tests has started."""
    children: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        children.append(start_process(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(processes, "start_process", start)
    yield
    for child in children:
        if child.poll() is None:
            kill_group(child)


@pytest.fixture(scope="session")
def live_app(
    tmp_path_factory: pytest.TempPathFactory, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> Iterator[LiveApp]:
    """The real app on long data with a tiny checkpoint."""
    data, checkpoint = str(long_data_dir), str(tiny_checkpoint_dir)
    with running_app(
        tmp_path_factory.mktemp("runs"), "--data-dir", data, "--checkpoint-dir", checkpoint
    ) as app:
        yield app
