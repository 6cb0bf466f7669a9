"""Who goes first on a processor that pages and a training share.

A step of a training needs every core: while an answer takes one of them, the others wait. Twenty visitors
took 10 % of two cores, and a training lost 28 %. So an app that others reach comes second, with all threads
that it begins, and the trainings that it starts come first. On one's own machine it is the other way round:
whoever looks at the page is the one who waits for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil

Started = TypeVar("Started")

NICENESS_OF_A_TRAINING = 10
NICENESS_OF_PAGES = 8
"""Of an app that others reach. With 5 a training lost 19 %; with 10, 11 %, and a pair waited for 4 s."""

AUTOGROUP = Path("/proc/self/autogroup")
"""A desktop's Linux shares the processor between sessions first; a training has a session of its own."""

_first = ThreadPoolExecutor(max_workers=1, thread_name_prefix="first")
_pages_come_second = False


@contextlib.contextmanager
def pages_second() -> Iterator[None]:
    """Give this thread, and all that begin after it, a lower priority than a training. Linux alone can."""
    global _pages_come_second
    if sys.platform != "linux":
        yield
        return
    start_first(os.getpid)  # its thread has begun now, and keeps its priority: nobody may take one back
    os.nice(NICENESS_OF_PAGES)
    _pages_come_second = True
    before = _set_autogroup(str(NICENESS_OF_PAGES))
    try:
        yield
    finally:
        _set_autogroup(before)  # the session may be that of a terminal, which lives on


def _set_autogroup(niceness: str) -> str:
    """Set the niceness of this session, where Linux has such a thing, and return what it was."""
    try:
        before = AUTOGROUP.read_text().split()[-1]
        AUTOGROUP.write_text(niceness)
    except OSError:
        return "0"
    return before


def start_first(start: Callable[[], Started]) -> Started:
    """Start a process with the priority that this app was started with."""
    return _first.submit(start).result()


def lower(training: psutil.Process) -> None:
    """Let a training come after the pages, unless they come after it already."""
    if not _pages_come_second:
        training.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS_OF_A_TRAINING)
