"""Append whole lines to an event log, and read it from a byte offset up to the last newline.

Steps are most of a log, so they are read as columns of numbers, without an event object each: a run of
100,000 steps takes 7 MB and a few tenths of a second.
"""

from __future__ import annotations

import contextlib
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from mrpc.errors import UnavailableError
from mrpc.files import open_regular
from mrpc.runs.events import (
    EVENT_ADAPTER,
    BaseEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    StepEvent,
    StoppedEvent,
    TerminalEvent,
)

TAIL_BYTES = 64 * 1024


class LinePage(NamedTuple):
    """What :func:`read_lines` found.

    Attributes:
        lines: whole lines without their newlines, in the order of the file; none of them blank.
        offset: where the next read starts, in bytes.
        is_replaced: whether the file is shorter than the offset was, and was read from its start.
        is_more: whether the limit cut the read short, so that the next one finds more.
    """

    lines: list[bytes]
    offset: int
    is_replaced: bool
    is_more: bool = False


class EventLog:
    """The one writer of an event log. A line is one ``write``, so a reader never sees half of an event."""

    def __init__(self, path: Path, attempt: int) -> None:
        self.path = path
        self.attempt = attempt
        self._seq = last_seq(path)
        self._is_torn = path.exists() and not _ends_with_newline(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, event: BaseEvent) -> None:
        """Write one event, with its sequence number, time and attempt filled in.

        Raises:
            OSError: when it could not be written, or not all of it.
        """
        self._seq += 1
        event = event.model_copy(update={"seq": self._seq, "time": time.time(), "attempt": self.attempt})
        line = b"\n" * self._is_torn + event.model_dump_json().encode() + b"\n"
        written = os.write(self._descriptor, line)
        self._is_torn = 0 < written < len(line)
        if written != len(line):
            raise OSError(
                28, f"only {written} of {len(line)} bytes of an event could be written", str(self.path)
            )

    def sync(self) -> None:
        """Force what is written to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_lines(path: Path, offset: int = 0, limit_bytes: int | None = None) -> LinePage:
    """Read the whole lines after a byte offset; a torn last line is left for the next read.

    Args:
        path: the log; one that does not exist, or is no regular file, is empty.
        offset: where the read before ended, in bytes.
        limit_bytes: read at most about this much.

    Raises:
        UnavailableError: when the log may not be read.
    """
    try:
        with open_regular(path) as file:
            is_replaced = offset > os.fstat(file.fileno()).st_size
            if is_replaced:
                offset = 0
            file.seek(offset)
            content = file.read() if limit_bytes is None else file.read(limit_bytes)
    except FileNotFoundError:
        return LinePage([], 0, offset > 0)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror or error}.") from error
    end = content.rfind(b"\n") + 1
    lines = [line for line in content[:end].splitlines() if line.strip()]
    return LinePage(lines, offset + end, is_replaced, is_more=end > 0 and len(content) == limit_bytes)


def read_events(path: Path, offset: int = 0, limit_bytes: int | None = None) -> list[Event]:
    """Read the events after a byte offset, in the order of the file, as :func:`read_lines` does.

    A line that cannot be understood (torn, foreign or of a later schema) is passed over.
    """
    events = []
    for line in read_lines(path, offset, limit_bytes).lines:
        with contextlib.suppress(ValidationError):
            events.append(EVENT_ADAPTER.validate_json(line))
    return events


def read_terminal_event(path: Path, attempt: int) -> TerminalEvent | None:
    """Return the event that ended an attempt, if the log has it, reading only the end of the file."""
    for event in reversed(_read_tail(path)):
        if isinstance(event, FinishedEvent | StoppedEvent | FailedEvent) and event.attempt == attempt:
            return event
    return None


def read_last_step(path: Path) -> int:
    """Return the newest optimizer step in the log, or 0: ``status.json`` may be half a second behind it."""
    return next((event.step for event in reversed(_read_tail(path)) if isinstance(event, StepEvent)), 0)


def last_seq(path: Path) -> int:
    """Return the sequence number of the last readable event, or 0."""
    events = _read_tail(path)
    return events[-1].seq if events else 0


def identify(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one content of a file from another: inode, bytes, time in ns."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read_tail(path: Path) -> list[Event]:
    try:
        size = path.stat().st_size
    except OSError:
        return []
    return read_events(path, max(0, size - TAIL_BYTES))


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


STEP_MARK = b'"type":"step"'
"""What stands in a line of the log that is a step, and in no other: in a text the quotes are escaped."""


class Step(NamedTuple):
    """What is kept of one optimizer step; see :class:`mrpc.runs.events.StepEvent`."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


class StepColumns:
    """The steps of a run in ascending order, each once: a step that comes again replaces the first."""

    def __init__(self) -> None:
        self._numbers = array("d")  # row after row

    def __len__(self) -> int:
        return len(self._numbers) // _WIDTH

    def put(self, step: tuple[float, ...]) -> None:
        """Take in one step, its numbers in the order of :class:`Step`."""
        numbers = self._numbers
        if not numbers or step[0] > numbers[-_WIDTH]:
            numbers.extend(step)
            return
        row = bisect_left(range(len(self)), step[0], key=lambda row: numbers[row * _WIDTH])
        start = row * _WIDTH
        end = start + _WIDTH if numbers[start] == step[0] else start
        numbers[start:end] = array("d", step)

    def column(self, name: str) -> array[float]:
        """Return one number of every step."""
        return self._numbers[Step._fields.index(name) :: _WIDTH]

    def newest(self, num: int) -> list[Step]:
        """Return the last steps, at most ``num``, in ascending order."""
        starts = range(max(0, len(self) - num) * _WIDTH, len(self._numbers), _WIDTH)
        return [_step(self._numbers[start : start + _WIDTH]) for start in starts]


class StepLine(TypedDict):
    """A line of the log with :class:`mrpc.runs.events.StepEvent`, as far as it is kept.

    A dictionary is checked four times as quickly as an event object is made.
    """

    v: Literal[1]
    attempt: int
    type: Literal["step"]
    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


parse_step = TypeAdapter(StepLine).validate_json
"""Read a line of the log as a :class:`StepLine`; raises ``pydantic.ValidationError``."""

step_numbers = itemgetter(*Step._fields)
"""Take the numbers of :class:`Step` out of a :class:`StepLine`."""

_WIDTH = len(Step._fields)


def _step(numbers: Iterable[float]) -> Step:
    step, epoch, loss, rate, num_pairs, num_tokens, num_padded, duration_s, train_s = numbers
    counts = int(num_pairs), int(num_tokens), int(num_padded)
    return Step(int(step), epoch, loss, rate, *counts, duration_s, train_s)
