"""Long work that tells how far it is, and that ends when nobody wants it any more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")

Report = Callable[[str, int, int], None]
"""Takes what is being done, in words, how many are done, and how many there are."""

ShouldStop = Callable[[], bool]
Work = Callable[[Report, ShouldStop], Result]

POLL_S = 0.2


@dataclass(frozen=True)
class Progress:
    """How far some work is.

    Attributes:
        what: what is being done, in words.
        num_done: of ``num_total``.
    """

    what: str
    num_done: int
    num_total: int


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The work has ended, with this result."""

    result: Result


def follow(work: Work[Result]) -> Iterator[Progress | Done[Result]]:
    """Do work in a thread and yield how far it is, at most five times a second, then its result.

    Whoever stops iterating (a browser that cancels) stops the work at its next look at ``should_stop``.
    What the work raises is raised here.
    """
    stopped = threading.Event()
    ended: queue.SimpleQueue[Done[Result] | BaseException] = queue.SimpleQueue()
    newest: list[Progress] = []

    def report(what: str, num_done: int, num_total: int) -> None:
        newest[:] = [Progress(what, num_done, num_total)]

    def run() -> None:
        try:
            ended.put(Done(work(report, stopped.is_set)))
        except BaseException as error:
            ended.put(error)

    threading.Thread(target=run, daemon=True).start()
    shown: Progress | None = None
    try:
        while True:
            try:
                outcome = ended.get(timeout=POLL_S)
            except queue.Empty:
                progress = newest[0] if newest else None
                if progress is not None and progress != shown:
                    shown = progress
                    yield progress
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
            return
    finally:
        stopped.set()


def silent(what: str, num_done: int, num_total: int) -> None:
    """Tell nobody."""


def never() -> bool:
    """Go on to the end."""
    return False
