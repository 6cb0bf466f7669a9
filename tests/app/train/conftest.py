from __future__ import annotations

from pathlib import Path

import pytest

from mrpc.app.train.live import Live, RunBoard
from tests.app.train.services import FakeServices


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def board(services: FakeServices) -> RunBoard:
    return RunBoard(services)


@pytest.fixture
def live(services: FakeServices, board: RunBoard) -> Live:
    return Live(services, board)
