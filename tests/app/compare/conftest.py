"""One finished run of the tiny BERT for all tests of comparisons; each file has a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.data.load import LoadedData, load_data
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="session")
def data(tiny_data_dir: Path) -> LoadedData:
    """The data that the run was trained on."""
    return load_data("folder", tiny_data_dir)


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, data: LoadedData, tiny_checkpoint_dir: Path
) -> Run:
    """The run itself. Nobody writes to it."""
    return make_finished_run(tmp_path_factory.mktemp("finished"), data, tiny_checkpoint_dir)


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory, finished_run: Run) -> Path:
    """A runs folder with a copy of the run in it."""
    runs_dir = tmp_path_factory.mktemp("runs")
    shutil.copytree(finished_run.paths.run_dir, runs_dir / finished_run.run_id)
    return runs_dir


@pytest.fixture(scope="module")
def run(runs_dir: Path, finished_run: Run) -> Run:
    """The run of this file of tests."""
    return RunStore(runs_dir).open(finished_run.run_id)


@pytest.fixture(scope="module")
def comparisons(runs_dir: Path, data: LoadedData, run: Run) -> Comparisons:
    """What compares its sides."""
    return Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))


@pytest.fixture(scope="session")
def left(finished_run: Run) -> str:
    """The name of its base."""
    return f"{finished_run.run_id}:base"


@pytest.fixture(scope="session")
def right(finished_run: Run) -> str:
    """The name of its best model."""
    return f"{finished_run.run_id}:best"
