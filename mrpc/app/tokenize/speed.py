"""How long it takes to tokenize a split, in each way that the course shows; and the map that fails there.

Every way runs in a fresh process (:mod:`mrpc.core.text.tokenization_speed`): its memory is its own, it can be
ended at any moment, and the app, which has threads, never forks.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import datasets
import pyarrow as pa
from datasets import Dataset

from mrpc.app.limits import check_whole, find_split
from mrpc.app.tokenize.measurement import Measurement, WayProgress, run_way, sample
from mrpc.core.text.tokenization_speed import WAYS
from mrpc.errors import BusyError, InputError, TaskCancelled

if TYPE_CHECKING:
    from mrpc.app.tokenize.tokenizers import Tokenizers
    from mrpc.core.data.load import LoadedData

POLL_S = 0.2
OnProgress = Callable[[Sequence[WayProgress]], None]
EXPERIMENT_ROWS = 1_000
WRITE_ROWS = 10_000


@dataclass(frozen=True)
class FailedMap:
    """What became of the course's failing experiment.

    Attributes:
        num_rows: rows in the batch.
        error_type: the exception that was raised, with its module.
        message: what it said.
        fixed_columns: the columns after the fixed map.
        fixed_rows: the rows after it.
    """

    num_rows: int
    error_type: str
    message: str
    fixed_columns: list[str]
    fixed_rows: int


def _tell_nobody(ways: Sequence[WayProgress]) -> None:
    """Take how the ways are going, and leave it at that."""


class TokenizationSpeed:
    """Measures one thing at a time. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData], tokenizers: Tokenizers) -> None:
        self._read_data = read_data
        self._tokenizers = tokenizers
        self._measuring = threading.Lock()

    def measure(
        self,
        split: object,
        num_rows: object,
        ways: Sequence[object],
        checkpoint: str = "",
        on_progress: OnProgress = _tell_nobody,
    ) -> list[WayProgress]:
        """Tokenize the first rows of a split in several ways, one after the other.

        Args:
            split: which split.
            num_rows: how many of its rows; 0 means all.
            ways: some of :data:`WAYS`.
            checkpoint: whose tokenizer; "" is the default.
            on_progress: is told some times a second how each way is going. When it raises
                :class:`TaskCancelled`, the process that is running is ended.

        Returns:
            How each way went; those that were cancelled say so.

        Raises:
            InputError: something given cannot be used.
            BusyError: another measurement is under way.
            UnavailableError: the tokenizer cannot be had now.
        """
        dataset = find_split(self._read_data(), split)
        count = check_whole(num_rows, "rows", 0, len(dataset)) or len(dataset)
        if not isinstance(ways, list | tuple) or not ways or not all(way in WAYS for way in ways):
            raise InputError(f"Choose some of these ways: {', '.join(WAYS)}.")
        chosen = [way for way in WAYS if way in ways]
        checkpoint_dir = self._tokenizers.get(checkpoint).checkpoint.dir
        if not self._measuring.acquire(blocking=False):
            raise BusyError("Another measurement is under way. Two at once would slow each other down; wait.")
        try:
            job = Measurement([WayProgress(way, "waiting", count) for way in chosen])
            thread = threading.Thread(
                target=_run_all, args=(job, dataset, count, checkpoint_dir), name="measurement", daemon=True
            )
            thread.start()
            try:
                while thread.is_alive():
                    thread.join(POLL_S)
                    sample(job)
                    on_progress(list(job.ways))
            except TaskCancelled:
                job.end()
            except BaseException:
                job.end()
                raise
            finally:
                thread.join()
            return list(job.ways)
        finally:
            self._measuring.release()

    def fail_on_purpose(self, split: object) -> FailedMap:
        """Run the course's failing experiment on the first rows of a split, and then the fixed one.

        Raises:
            InputError: there is no such split.
        """
        rows = find_split(self._read_data(), split)
        datasets.disable_progress_bars()
        few = Dataset.from_dict(rows[: min(len(rows), EXPERIMENT_ROWS)])
        try:
            few.map(lambda batch: {"testtest": [3]}, batched=True, new_fingerprint="testtest")
        except pa.ArrowInvalid as error:
            raised: Exception = error
        else:  # a single row is as long as its batch
            raise InputError("With a single row there is nothing to fail. Take a larger split.")
        fixed = few.map(
            lambda batch: {"testtest": [3] * len(batch["sentence1"])}, batched=True, new_fingerprint="fixed"
        )
        kind = type(raised)
        return FailedMap(
            len(few), f"{kind.__module__}.{kind.__name__}", str(raised), fixed.column_names, len(fixed)
        )


def _run_all(job: Measurement, dataset: Dataset, count: int, checkpoint_dir: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mrpc-speed-", ignore_cleanup_errors=True) as work:
        rows_file = Path(work) / "rows.arrow"
        _write_rows(dataset, count, rows_file)
        for place, way in enumerate([progress.way for progress in job.ways]):
            if job.cancelled.is_set():
                job.update(place, state="cancelled")
            else:
                run_way(job, place, [str(rows_file), str(checkpoint_dir), way, work])


def _write_rows(dataset: Dataset, count: int, path: Path) -> None:
    """Write the sentences of the first rows, some at a time so that memory stays flat."""
    table: pa.Table = dataset.with_format("arrow")[:]
    table = table.select(["sentence1", "sentence2"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        for start in range(0, count, WRITE_ROWS):
            writer.write_table(table.slice(start, min(WRITE_ROWS, count - start)))
