"""One measurement under way: its processes, how far each is, how much memory they take, and their end.

Who may measure what is decided in :mod:`mrpc.app.tokenize.speed`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import psutil

from mrpc.settings import training_environment

WayState = Literal["waiting", "starting", "running", "done", "failed", "cancelled"]

MAX_SECONDS = 600.0
"""A way of tokenizing is ended after this long."""


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


@dataclass
class Measurement:
    """One measurement under way, shared by the thread that runs it and who looks at it."""

    ways: list[WayProgress]
    process: subprocess.Popen[bytes] | None = None
    base_bytes: int = 0
    started_at: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    reason: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, place: int, **changes: object) -> None:
        """Note a change of one way."""
        with self.lock:
            self.ways[place] = replace(self.ways[place], **changes)  # type: ignore[arg-type]

    def end(self, reason: str = "") -> None:
        """End the process that is running, with its workers."""
        self.reason = reason
        self.cancelled.set()
        with self.lock:
            if self.process is not None:
                _kill(self.process)


def run_way(job: Measurement, place: int, arguments: list[str]) -> None:
    """Run one way in a process and follow what it says until it ends."""
    deadline = time.monotonic() + MAX_SECONDS
    job.update(place, state="starting")
    with tempfile.TemporaryFile() as errors:
        with job.lock:
            if job.cancelled.is_set():
                return
            job.base_bytes = 0
            job.process = process = subprocess.Popen(
                [sys.executable, "-m", "mrpc.core.text.tokenization_speed", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=Path(__file__).resolve().parents[3],
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


def sample(job: Measurement) -> None:
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


def _environment(way: str) -> dict[str, str]:
    """Return the environment of a measuring process: no network, and one thread a worker where two work."""
    return {
        **training_environment(),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false" if way == "two_processes" else "true",
    }
