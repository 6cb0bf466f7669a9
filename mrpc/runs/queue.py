"""Runs that wait for their turn: ``RUNS_DIR/queue.json``, changed only under ``RUNS_DIR/queue.lock``.

A queued run has its directory and ``config.json`` already. Several apps on one runs folder may look after one
queue: a run is taken from the head under the lock, and the training lock decides who trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from pydantic import BaseModel

from mrpc.errors import RunStateError
from mrpc.files import read_model, write_model

QUEUE_FILE = "queue.json"
QUEUE_LOCK = "queue.lock"
LOCK_TIMEOUT_S = 5.0


class QueueFile(BaseModel):
    """``queue.json``: run ids, the next one first."""

    run_ids: list[str] = []


class RunQueue:
    """The queue of one runs folder."""

    def __init__(self, runs_dir: Path) -> None:
        self._dir = runs_dir
        self._path = runs_dir / QUEUE_FILE

    def read(self) -> list[str]:
        """Return the waiting run ids, the next one first."""
        file = read_model(self._path, QueueFile)
        return file.run_ids if file is not None else []

    def add(self, run_id: str) -> None:
        """Put a run at the end."""
        with self._changing() as run_ids:
            if run_id not in run_ids:
                run_ids.append(run_id)

    def remove(self, run_id: object) -> None:
        """Take a run out.

        Raises:
            RunStateError: when it does not wait.
        """
        with self._changing() as run_ids:
            if run_id not in run_ids:
                raise RunStateError(f"Run {run_id} does not wait in the queue.")
            run_ids.remove(str(run_id))

    def move(self, run_id: object, places: int) -> None:
        """Move a run by so many places; negative ones are towards the head.

        Raises:
            RunStateError: when it does not wait.
        """
        with self._changing() as run_ids:
            if run_id not in run_ids:
                raise RunStateError(f"Run {run_id} does not wait in the queue.")
            place = run_ids.index(str(run_id))
            run_ids.insert(max(0, place + places), run_ids.pop(place))

    @contextmanager
    def _changing(self) -> Iterator[list[str]]:
        self._dir.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self._dir / QUEUE_LOCK, timeout=LOCK_TIMEOUT_S):
            run_ids = self.read()
            yield run_ids
            write_model(self._path, QueueFile(run_ids=run_ids))
