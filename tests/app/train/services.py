"""Services of a runs folder without data, torch or processes: a launcher that notes what it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrpc.app.access import Access
from mrpc.app.own_data import OwnData
from mrpc.config import build_config
from mrpc.errors import UnavailableError
from mrpc.runs.layout import DataRef
from mrpc.runs.queue import RunQueue
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.written_run import create_run


class FakeLauncher:
    """Notes its calls, and raises what it is told to."""

    def __init__(self, runs_dir: Path) -> None:
        self.queue = RunQueue(runs_dir)
        self.runs_dir = runs_dir
        self.calls: list[tuple[Any, ...]] = []
        self.trained_on: list[DataRef | None] = []
        self.error: Exception | None = None

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    def start(self, values: dict[str, Any], data: DataRef | None = None) -> str:
        self._note("start", values)
        self.trained_on.append(data)
        return create_run(self.runs_dir, seed=build_config(values).seed).run_id

    def add_to_queue(
        self, values: dict[str, Any], data: DataRef | None = None, group: str | None = None
    ) -> str:
        self._note("add", values, group)
        self.trained_on.append(data)
        run = create_run(self.runs_dir, seed=build_config(values).seed)
        self.queue.add(run.run_id)
        return run.run_id

    def remove_from_queue(self, run_id: str) -> None:
        self.queue.remove(run_id)

    def stop(self, run_id: str, save: bool) -> None:
        self._note("stop", run_id, save)

    def kill(self, run_id: str) -> None:
        self._note("kill", run_id)

    def resume(self, run_id: str) -> str:
        self._note("resume", run_id)
        return run_id

    def evaluate_test(self, run_id: str) -> None:
        self._note("evaluate_test", run_id)


class FakeServices:
    """What the tab calls, as far as it needs no model."""

    def __init__(self, runs_dir: Path) -> None:
        self.settings = Settings(runs_dir=runs_dir)
        self.access = Access(self.settings)
        self.store = RunStore(runs_dir)
        self.launcher = FakeLauncher(runs_dir)
        self.own_data = OwnData(self.store, lambda: self.data)

    def import_libraries(self) -> None:
        pass

    @property
    def data(self) -> Any:
        raise UnavailableError("There are no data in this test.")
