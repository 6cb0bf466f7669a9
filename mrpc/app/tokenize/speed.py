"""How long it takes to tokenize a split, in each way that the course shows; and the map that fails there.

Every way runs in a fresh process (:mod:`mrpc.core.text.tokenization_speed`): its memory is its own, it can be
ended at any moment, and the app, which has threads, never forks.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import datasets
import psutil
import pyarrow as pa
from datasets import Dataset

from mrpc.app.inputs import check_whole, find_split
from mrpc.core.text.tokenization_speed import WAYS
from mrpc.errors import BusyError, InputError, TaskCancelled
from mrpc.settings import training_environment

if TYPE_CHECKING:
    from mrpc.app.checkpoints import CheckpointShelf
    from mrpc.core.data.load import LoadedData

WayState = Literal["waiting", "starting", "running", "done", "failed", "cancelled"]

POLL_S = 0.2
MAX_SECONDS = 600.0
"""A way of tokenizing is ended after this long."""

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

    @property
    def has_figures(self) -> bool:
        """Whether something was measured."""
        return self.state in {"running", "done"} or (self.state == "cancelled" and self.rows_done > 0)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in {"done", "failed", "cancelled"}


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


class TokenizationSpeed:
    """Measures one thing at a time. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData], checkpoints: CheckpointShelf) -> None:
        self._read_data = read_data
        self._checkpoints = checkpoints
        self._measuring = threading.Lock()

    def measure(
        self,
        split: object,
        num_rows: object,
        ways: Sequence[object],
        checkpoint: str = "",
        on_progress: Callable[[Sequence[WayProgress]], None] = lambda ways: None,
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
            UnavailableError: the tokenizer is not available now.
        """
        dataset = find_split(self._read_data(), split)
        count = check_whole(num_rows, "rows", 0, len(dataset)) or len(dataset)
        if not isinstance(ways, list | tuple) or not ways or not all(way in WAYS for way in ways):
            raise InputError(f"Choose some of these ways: {', '.join(WAYS)}.")
        checkpoint_dir = self._checkpoints.tokenizer(checkpoint).checkpoint.dir
        if not self._measuring.acquire(blocking=False):
            raise BusyError("Another measurement is under way. Two at once would slow each other down; wait.")
        found = [WayProgress(way, "waiting", count) for way in WAYS if way in ways]
        try:
            with tempfile.TemporaryDirectory(prefix="mrpc-speed-", ignore_cleanup_errors=True) as work:
                rows_file = Path(work) / "rows.arrow"
                _write_rows(dataset, count, rows_file)
                for place, way in enumerate(found):
                    arguments = [str(rows_file), str(checkpoint_dir), way.way, work]
                    with contextlib.closing(_run(way, arguments)) as following:
                        for found[place] in following:
                            on_progress(list(found))
                    if found[place].state == "cancelled":
                        break
        except TaskCancelled:
            pass
        finally:
            self._measuring.release()
        return [way if way.is_over else replace(way, state="cancelled") for way in found]

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


def _run(way: WayProgress, arguments: list[str]) -> Generator[WayProgress, None, None]:
    """Tokenize in one way; yield some times a second how it is going, and at last how it ended.

    Whoever closes the iterator ends the process, with its workers.
    """
    yield (way := replace(way, state="starting"))
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    deadline = time.monotonic() + MAX_SECONDS
    looked_at = started_at = 0.0
    base_bytes = 0
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "mrpc.core.text.tokenization_speed", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).resolve().parents[3],
            env=_environment(way.way),
        )
        reading = threading.Thread(target=_pass_on, args=(process.stdout, lines), name="measurement")
        reading.daemon = True
        reading.start()
        try:
            while (line := _next(lines)) is not None:
                said, now = json.loads(line or "{}"), time.monotonic()
                if "ready" in said:
                    started_at, base_bytes = now, _memory(process.pid)
                    way = replace(way, state="running")
                elif way.state == "running":
                    rows_done = way.rows_done + said.get("rows", 0)
                    way = replace(way, rows_done=rows_done, seconds=said.get("seconds", now - started_at))
                if "seconds" in said:
                    way = replace(way, state="done")
                elif now > deadline:
                    error = f"It was ended after {MAX_SECONDS:.0f} s. Take fewer rows."
                    yield replace(way, state="cancelled", error=error)
                    return
                elif now - looked_at > POLL_S:
                    looked_at = now
                    if way.state == "running" and base_bytes:
                        added_bytes = _memory(process.pid) - base_bytes
                        way = replace(way, added_bytes=max(way.added_bytes, added_bytes))
                    yield way
            if code := process.wait():
                errors.seek(0)
                said_last = errors.read()[-2000:].decode(errors="replace").strip().splitlines()
                way = replace(way, state="failed", error=said_last[-1] if said_last else f"exit code {code}")
            yield way
        finally:
            _kill(process)


def _pass_on(output: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    """Hand on what a process writes, line by line, and None at its end."""
    with output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _next(lines: queue.SimpleQueue[bytes | None]) -> bytes | None:
    """Return the next line, or an empty one if none comes for a moment."""
    try:
        return lines.get(timeout=POLL_S)
    except queue.Empty:
        return b""


def _write_rows(dataset: Dataset, count: int, path: Path) -> None:
    """Write the sentences of the first rows, some at a time so that memory stays flat."""
    table: pa.Table = dataset.with_format("arrow")[:]
    table = table.select(["sentence1", "sentence2"])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        for start in range(0, count, WRITE_ROWS):
            writer.write_table(table.slice(start, min(WRITE_ROWS, count - start)))


def _memory(pid: int) -> int:
    """Return the memory of a process and its children, in bytes; 0 when it is gone.

    Pages that they share count once where the operating system tells (Linux), else not at all.
    """
    try:
        process = psutil.Process(pid)
        infos = [one.memory_full_info() for one in (process, *process.children(recursive=True))]
        return sum(int(getattr(memory, "pss", memory.uss)) for memory in infos)
    except psutil.Error:
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, with its workers."""
    if process.poll() is not None:
        return
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.wait()


def _environment(way: str) -> dict[str, str]:
    """Return the environment of a measuring process: no network, and one thread a worker where two work."""
    return {
        **training_environment(),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false" if way == "two_processes" else "true",
    }
