"""The runs of one folder: make, list and open them, limit their disk, and the lock of the one that trains."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock

from mrpc.config import TrainConfig
from mrpc.errors import BusyError, RunStateError, UnavailableError, UnknownRunError
from mrpc.files import disk_errors_explained, read_model, read_small, write_model
from mrpc.runs.layout import (
    DATA,
    RUN_FOLDERS,
    RUN_ID_PATTERN,
    SCHEMA_VERSION,
    TRAINING_LOCK,
    TRASH,
    DataRef,
    RunConfig,
    RunPaths,
    TrackerName,
)
from mrpc.runs.queue import QUEUE_FILE, QUEUE_LOCK
from mrpc.runs.record import RunRecords
from mrpc.runs.run import ALIVE_STATES, Run, RunState

UNUSED_DATA_AGE_S = 24 * 3600.0
"""Pairs that were kept for a run are left alone for this long, in seconds: the run may still be made."""


class RunStore:
    """The runs of one folder.

    Attributes:
        runs_dir: the folder.
        records: what the runs have recorded.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.records = RunRecords()

    def create(
        self,
        hyperparameters: TrainConfig,
        data: DataRef,
        checkpoint_dir: Path | None = None,
        group: str | None = None,
        log_with: TrackerName | None = None,
        visitor: str | None = None,
    ) -> Run:
        """Make a new run directory with its ``config.json``."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        run_id = f"{stamp}-{hyperparameters.preset}-{secrets.token_hex(2)}"
        config = RunConfig(
            run_id=run_id,
            created_at=time.time(),
            hyperparameters=hyperparameters,
            data=data,
            checkpoint_dir=checkpoint_dir,
            group=group,
            log_with=log_with,
            visitor=visitor,
        )
        paths = RunPaths(self.runs_dir / run_id)
        paths.run_dir.mkdir(parents=True)
        write_model(paths.config, config)
        return Run(paths, config)

    def open(self, run_id: object) -> Run:
        """Open a run by its id, which may come from outside.

        Raises:
            UnknownRunError: when there is no such run, or its ``config.json`` cannot be read here.
        """
        run = self._read(run_id) if isinstance(run_id, str) and RUN_ID_PATTERN.fullmatch(run_id) else None
        if run is None:
            raise UnknownRunError(f"There is no run {str(run_id)[:80]!r} in this runs folder.")
        return run

    def list(self) -> list[Run]:
        """Return all runs, the newest first. Foreign folders, files and links are passed over."""
        if not self.runs_dir.is_dir():
            return []
        names = [path.name for path in self.runs_dir.iterdir() if RUN_ID_PATTERN.fullmatch(path.name)]
        runs = [run for run in map(self._read, names) if run is not None]
        return sorted(runs, key=lambda run: (run.config.created_at, run.run_id), reverse=True)

    def foreign(self) -> dict[str, str]:
        """Return what lies in the folder and is no run, by name, with the reason."""
        if not self.runs_dir.is_dir():
            return {}
        known = {TRAINING_LOCK, QUEUE_FILE, QUEUE_LOCK}
        names = sorted(path.name for path in self.runs_dir.iterdir() if not path.name.startswith("."))
        return {
            name: _why_foreign(self.runs_dir / name)
            for name in names
            if name not in known and (not RUN_ID_PATTERN.fullmatch(name) or self._read(name) is None)
        }

    def remove(self, run: Run) -> None:
        """Delete a run directory that never trained."""
        shutil.rmtree(run.paths.run_dir, ignore_errors=True)

    @disk_errors_explained()
    def move_to_trash(self, run: Run) -> None:
        """Take a run out of the list; :meth:`empty_trash` deletes it for good.

        Raises:
            RunStateError: while it trains or waits.
        """
        state = run.state()
        if state in ALIVE_STATES or state is RunState.QUEUED:
            raise RunStateError(f"Run {run.run_id} is {state}; stop it before deleting it.")
        if run.is_evaluated():
            raise RunStateError(f"Run {run.run_id} predicts test; wait for its end before deleting it.")
        trash = self.runs_dir / TRASH
        trash.mkdir(exist_ok=True)
        target = trash / run.run_id
        if target.exists():
            shutil.rmtree(target)
        run.paths.run_dir.rename(target)

    def empty_trash(self) -> int:
        """Delete the runs in the trash for good and return the bytes that were freed."""
        trash = self.runs_dir / TRASH
        num_bytes = folder_bytes(trash)
        shutil.rmtree(trash, ignore_errors=True)
        self.remove_unused_data()
        return num_bytes

    def disk_bytes(self) -> dict[str, int]:
        """Return the size of every run, in bytes."""
        return {run.run_id: folder_bytes(run.paths.run_dir) for run in self.list()}

    def plan_retention(self, limit_bytes: int) -> dict[str, int]:
        """Tell which runs would have to go so that all together fit a limit: the oldest ended ones first.

        Returns:
            Their ids, each with its size in bytes.
        """
        sizes = self.disk_bytes()
        over = sum(sizes.values()) - limit_bytes
        plan: dict[str, int] = {}
        for run in reversed(self.list()):
            if over <= sum(plan.values()):
                break
            state = run.state()
            if state not in ALIVE_STATES and state is not RunState.QUEUED:
                plan[run.run_id] = sizes[run.run_id]
        return plan

    def apply_retention(self, limit_bytes: int, run_ids: Iterable[str]) -> dict[str, int]:
        """Move the runs of a plan to the trash, as far as it still stands; return those that went.

        Args:
            limit_bytes: the limit of the plan.
            run_ids: the runs that a person saw in it; no other goes.
        """
        plan, seen = self.plan_retention(limit_bytes), set(run_ids)
        went = {run_id: plan[run_id] for run_id in plan if run_id in seen}
        for run_id in went:
            self.move_to_trash(self.open(run_id))
        return went

    @property
    def data_dir(self) -> Path:
        """Where pairs are kept that runs were trained on."""
        return self.runs_dir / DATA

    def remove_unused_data(self) -> None:
        """Delete kept pairs that no run refers to, also none in the trash, and nobody kept lately."""
        if not self.data_dir.is_dir():
            return
        folders = [*self.runs_dir.iterdir(), *(self.runs_dir / TRASH).glob("*")]
        configs = [read_model(RunPaths(folder).config, RunConfig) for folder in folders]
        used = {config.data.data_dir.name for config in configs if config and config.data.data_dir}
        for folder in self.data_dir.iterdir():
            if folder.name not in used and time.time() - folder.stat().st_mtime > UNUSED_DATA_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)

    def trash_bytes(self) -> int:
        """Return how much the trash holds, in bytes."""
        return folder_bytes(self.runs_dir / TRASH)

    def holder(self) -> Run | None:
        """Return the run that a living process trains or evaluates, or None."""
        for run in self.list():
            if run.is_trained() or run.is_evaluated():
                return run
        return None

    def _read(self, run_id: str) -> Run | None:
        run_dir = self.runs_dir / run_id
        if run_dir.is_symlink() or not run_dir.is_dir() or _linked_folder(run_dir):
            return None
        config = read_model(RunPaths(run_dir).config, RunConfig)
        if config is None or config.schema_version > SCHEMA_VERSION:
            return None
        if config.run_id != run_id:  # a folder that was copied or renamed is a run of its own
            config = config.model_copy(update={"run_id": run_id})
        kept = config.data.data_dir
        if kept is not None and kept.parent.name == DATA:  # beside the run, wherever the runs are now
            data = config.data.model_copy(update={"data_dir": self.data_dir.absolute() / kept.name})
            config = config.model_copy(update={"data": data})
        return Run(RunPaths(run_dir), config)


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of the files below a folder, in bytes, following no links."""
    num_bytes = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                num_bytes += os.lstat(os.path.join(directory, name)).st_size
            except FileNotFoundError:  # pruned meanwhile
                continue
    return num_bytes


def _linked_folder(run_dir: Path) -> str:
    """Return the name of a folder of a run that is a link, or ""."""
    return next((name for name in RUN_FOLDERS if os.path.islink(os.path.join(run_dir, name))), "")


def _why_foreign(path: Path) -> str:
    if path.is_symlink():
        return "a link, not followed"
    if not path.is_dir():
        return "not a run folder"
    if linked := _linked_folder(path):
        return f"its folder {linked} is a link, not followed: put the folder itself there"
    config = RunPaths(path).config
    if not config.exists():
        return "has no config.json"
    if not RUN_ID_PATTERN.fullmatch(path.name) and read_model(config, RunConfig) is not None:
        return (
            "a run whose folder was renamed: a name of a run has letters, digits, - and _ alone, at most 80. "
            "Rename the folder, and it is listed again"
        )
    try:
        version = json.loads(read_small(config) or b"").get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        return "its config.json cannot be read"
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return f"written by a later version (schema {version}, this one reads {SCHEMA_VERSION})"
    return "its config.json cannot be understood"


def busy_error(holder: Run | None) -> BusyError:
    """Say who holds the training lock, as far as it is known, and what to do."""
    if holder is None:
        return BusyError("A training is under way already: another process. Stop it or wait for its end.")
    if holder.is_evaluated():
        return BusyError(f"Run {holder.run_id} predicts test. Wait for its end.", holder.run_id)
    return BusyError(
        f"A training is under way already: run {holder.run_id}. Stop it or wait for its end.", holder.run_id
    )


@contextmanager
def training_lock(runs_dir: Path) -> Iterator[None]:
    """Hold the lock that allows one training at a time in a runs folder.

    The operating system frees it when the process ends, however it ends.

    Raises:
        BusyError: when another process holds it; the message names its run.
        UnavailableError: when the folder cannot be written.
    """
    lock = filelock.FileLock(runs_dir / TRAINING_LOCK, timeout=0)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise busy_error(RunStore(runs_dir).holder()) from None
    except OSError as error:
        raise UnavailableError(
            f"The runs folder {runs_dir} cannot be used: {error.strerror or error}. "
            "Name another with --runs-dir or MRPC_RUNS_DIR."
        ) from None
    try:
        yield
    finally:
        lock.release()
