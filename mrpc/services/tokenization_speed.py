"""How long it takes to tokenize a split, in each way that the course shows; and the map that fails there.

Every way runs in a fresh process (:mod:`mrpc.core.tokenization_speed`): its memory is its own, it can be
ended at any moment, and the app, which has threads, never forks.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import datasets
import psutil
import pyarrow as pa
from datasets import Dataset

from mrpc.core.tokenization_speed import WAYS
from mrpc.errors import BusyError, InputError
from mrpc.services.limits import check_whole, find_split
from mrpc.settings import training_environment

if TYPE_CHECKING:
    from mrpc.core.data import LoadedData
    from mrpc.services.tokenizers import Tokenizers

WayState = Literal["waiting", "starting", "running", "done", "failed", "cancelled"]

POLL_S = 0.2
MAX_SECONDS = 600.0
"""A measurement is ended after this long."""
ABANDONED_S = 20.0
"""A measurement that nobody looks at for this long is ended."""
EXPERIMENT_ROWS = 1_000
WRITE_ROWS = 10_000


@dataclass(frozen=True)
class WayProgress:
    """How one way is going.

    Attributes:
        way: one of :data:`WAYS`.
        state: what it is doing.
        num_rows: rows to tokenize.
        rows_done: rows tokenized so far.
        seconds: spent tokenizing, without loading libraries.
        added_bytes: memory of the process, at its highest, beyond what it had before it began.
        error: why it failed, or "".
    """

    way: str
    state: WayState
    num_rows: int
    rows_done: int = 0
    seconds: float = 0.0
    added_bytes: int = 0
    error: str = ""

    @property
    def rows_per_second(self) -> float:
        """Rows tokenized in a second; 0 before there are any."""
        return self.rows_done / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class FailedMap:
    """What became of the course's failing experiment.

    Attributes:
        num_rows: rows in the batch.
        error_type: the exception that was raised, with its module.
        message: what it said.
        fixed_columns: the columns after the mended map.
        fixed_rows: the rows after it.
    """

    num_rows: int
    error_type: str
    message: str
    fixed_columns: list[str]
    fixed_rows: int


@dataclass
class _Measurement:
    """One measurement under way, shared by the thread that runs it and who looks at it."""

    job_id: str
    ways: list[WayProgress]
    looked_at: float = field(default_factory=time.monotonic)
    process: subprocess.Popen[bytes] | None = None
    base_bytes: int = 0
    started_at: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, place: int, **changes: object) -> None:
        with self.lock:
            self.ways[place] = replace(self.ways[place], **changes)  # type: ignore[arg-type]

    def end(self, reason: str = "") -> None:
        """End the process that is running, with its workers."""
        self.reason = reason
        self.cancelled.set()
        with self.lock:
            if self.process is not None:
                _kill(self.process)


class TokenizationSpeed:
    """Measures one thing at a time. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData], tokenizers: Tokenizers) -> None:
        self._read_data = read_data
        self._tokenizers = tokenizers
        self._current: _Measurement | None = None
        self._lock = threading.Lock()

    def measure(
        self, split: object, num_rows: object, ways: Sequence[object], checkpoint: str = ""
    ) -> Iterator[tuple[str, list[WayProgress]]]:
        """Tokenize the first rows of a split in several ways, one after the other.

        Args:
            split: which split.
            num_rows: how many of its rows; 0 means all.
            ways: some of :data:`WAYS`.
            checkpoint: whose tokenizer; "" is the default.

        Yields:
            The id of the measurement, for :meth:`cancel`, and how each way is going, some times a second.

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
        job = _Measurement(secrets.token_hex(8), [WayProgress(way, "waiting", count) for way in chosen])
        with self._lock:
            if self._current is not None:
                raise BusyError(
                    "Another measurement is under way. Two at once would slow each other down; wait."
                )
            self._current = job
        thread = threading.Thread(
            target=self._run, args=(job, dataset, count, checkpoint_dir), name="measurement", daemon=True
        )
        thread.start()
        try:
            while thread.is_alive():
                thread.join(POLL_S)
                job.looked_at = time.monotonic()
                _sample(job)
                yield job.job_id, list(job.ways)
            yield job.job_id, list(job.ways)
        finally:
            if thread.is_alive():
                job.end()

    def cancel(self, job_id: object) -> None:
        """End a measurement; one that is over or unknown is left alone."""
        with self._lock:
            job = self._current
        if job is not None and job.job_id == job_id:
            job.end()

    def fail_on_purpose(self, split: object) -> FailedMap:
        """Run the course's failing experiment on the first rows of a split, and then the mended one.

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

    def _run(self, job: _Measurement, dataset: Dataset, count: int, checkpoint_dir: Path) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="mrpc-speed-", ignore_cleanup_errors=True) as work:
                rows_file = Path(work) / "rows.arrow"
                _write_rows(dataset, count, rows_file)
                for place, way in enumerate([progress.way for progress in job.ways]):
                    if job.cancelled.is_set():
                        job.update(place, state="cancelled")
                    else:
                        _run_way(job, place, [str(rows_file), str(checkpoint_dir), way, work])
        finally:
            with self._lock:
                self._current = None


def _run_way(job: _Measurement, place: int, arguments: list[str]) -> None:
    """Run one way in a process and follow what it says until it ends."""
    deadline = time.monotonic() + MAX_SECONDS
    job.update(place, state="starting")
    with tempfile.TemporaryFile() as errors:
        with job.lock:
            if job.cancelled.is_set():
                return
            job.base_bytes = 0
            job.process = process = subprocess.Popen(
                [sys.executable, "-m", "mrpc.core.tokenization_speed", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=Path(__file__).resolve().parents[2],
                env=_environment(arguments[2]),
            )
        assert process.stdout is not None
        done = 0
        for line in process.stdout:
            said = json.loads(line)
            now = time.monotonic()
            if "ready" in said:
                job.started_at, job.base_bytes = now, _memory(process.pid)
                job.update(place, state="running")
            elif "rows" in said:
                done += said["rows"]
                job.update(place, rows_done=done, seconds=now - job.started_at)
            else:
                job.update(place, state="done", rows_done=done, seconds=said["seconds"])
            if now > deadline:
                job.end(f"It was ended after {MAX_SECONDS:.0f} s. Take fewer rows.")
            elif now - job.looked_at > ABANDONED_S:
                job.end("Nobody was looking any more.")
        code = process.wait()
        process.stdout.close()
        errors.seek(0)
        said_last = errors.read()[-2000:].decode(errors="replace").strip().splitlines()
    with job.lock:
        job.process = None
    if job.cancelled.is_set():
        job.update(place, state="cancelled", error=job.reason)
    elif code != 0:
        job.update(place, state="failed", error=said_last[-1] if said_last else f"exit code {code}")


def _sample(job: _Measurement) -> None:
    """Look at the clock and the memory of the running process; the highest is remembered."""
    with job.lock:
        process, base = job.process, job.base_bytes
        running = [place for place, way in enumerate(job.ways) if way.state == "running"]
    if process is None or not running or not base:
        return
    added = _memory(process.pid) - base
    with job.lock:
        way = job.ways[running[0]]
        if way.state == "running":
            job.ways[running[0]] = replace(
                way, seconds=time.monotonic() - job.started_at, added_bytes=max(way.added_bytes, added)
            )


def _memory(pid: int) -> int:
    """Return the memory of a process and its children, in bytes; 0 when it is gone.

    Pages that they share count once where the operating system tells (Linux), else not at all.
    """
    try:
        process = psutil.Process(pid)
        total = 0
        for one in [process, *process.children(recursive=True)]:
            memory = one.memory_full_info()
            total += int(getattr(memory, "pss", memory.uss))
        return total
    except psutil.Error:
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        children = []
    for child in children:
        try:
            child.kill()
        except psutil.Error:
            continue
    process.kill()


def _write_rows(dataset: Dataset, count: int, path: Path) -> None:
    """Write the sentences of the first rows, some at a time so that memory stays flat."""
    table: pa.Table = dataset.with_format("arrow")[:]
    table = table.select(["sentence1", "sentence2"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        for start in range(0, count, WRITE_ROWS):
            writer.write_table(table.slice(start, min(WRITE_ROWS, count - start)))


def _environment(way: str) -> dict[str, str]:
    """Return the environment of a measuring process: no network, and one thread a worker where two work."""
    return {
        **training_environment(),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false" if way == "two_processes" else "true",
    }
