from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mrpc.app.train import processes
from tests.live_app import LiveApp, running_app


@pytest.fixture(autouse=True)
def _launched_processes_are_gone() -> Iterator[None]:
    """Kill, and wait for, the trainings that a launcher in the process of the tests has started."""
    yield
    processes.reap()
    for child in processes._children:
        processes.kill_group(child)
    processes.reap()


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
