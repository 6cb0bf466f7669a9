"""What all tests share: an environment of their own, a tiny BERT, a small folder of pairs, a browser.

Tests need no network and no real weights. The environment is set before anything heavy is imported,
because the libraries read it when they are.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests import browser
from tests.tiny import write_tiny_checkpoint, write_tiny_data

_HOME = Path(tempfile.mkdtemp(prefix="mrpc-lab-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

_KEPT = "TESTS_NAMED_DATA_DIR"
_NAMED_DATA_DIR = os.environ.get("MRPC_DATA_DIR") or os.environ.get(_KEPT, "")
"""The real corpus, if there is one here. No other test may see it, so it leaves the environment below; under
another name the processes that share the suite find it: they begin with the environment of this one."""
os.environ[_KEPT] = _NAMED_DATA_DIR

_FOREIGN = ("MRPC_", "HF_", "SPACE_", "GRADIO_", "TRANSFORMERS_OFFLINE")
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]
os.environ.update(
    HF_HOME=str(_HOME / "huggingface"),
    HF_HUB_OFFLINE="1",
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_TEMP_DIR=str(_HOME / "gradio"),
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",  # models are tiny, and the suite runs in as many processes as there are cores
)


@pytest.fixture(scope="session")
def mrpc_data_dir() -> Path:
    """The folder of the real corpus; without MRPC_DATA_DIR the test is skipped."""
    if not _NAMED_DATA_DIR:
        pytest.skip("needs the real corpus: set MRPC_DATA_DIR to its folder")
    return Path(_NAMED_DATA_DIR)


@pytest.fixture(scope="session")
def tiny_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 2 layers, 32 wide, without a classification head, as a checkpoint folder."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 64, 16 and 16 pairs; every second pair is equivalent."""
    return write_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def long_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 5,000, 16 and 16 pairs: a training on all of them does not end while a test looks on."""
    return write_tiny_data(tmp_path_factory.mktemp("long-data"), num_train=5_000)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that starts."""
    path = browser.find_chromium()
    if path is None:
        pytest.fail("the browser tests need Chromium: python tests/browser.py --install gets one")
    return path


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], chromium: str) -> dict[str, Any]:
    """How pytest-playwright starts the browser.

    Pages of one app share a process, and with it the compiled scripts: a third of what a page costs.
    """
    arguments = [*browser.LAUNCH_ARGS, "--process-per-site"]
    return {**browser_type_launch_args, "executable_path": chromium, "args": arguments}


LONG_FILES = ("e2e", "integration", "training", "publish")
"""Folders of the files that take longest."""

PATIENCE_S = 900
"""What a test in one of them may take: a machine that trains something else at the same time is slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that processes which share the suite end together."""

    def place(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(LONG_FILES) if name in item.path.parts), len(LONG_FILES))

    items.sort(key=place)
    for item in items:
        if place(item) < len(LONG_FILES) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))
