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
from collections.abc import Callable
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


def let_pages_come_second() -> None:
    """Give this thread, and all that begin after it, a lower priority than a training. Linux alone can."""
    global _pages_come_second
    if sys.platform != "linux":
        return
    start_first(os.getpid)  # its thread has begun now, and keeps its priority: nobody may take one back
    os.nice(NICENESS_OF_PAGES)
    with contextlib.suppress(OSError):  # not every Linux has it
        AUTOGROUP.write_text(str(NICENESS_OF_PAGES))
    _pages_come_second = True


def start_first(start: Callable[[], Started]) -> Started:
    """Start a process with the priority that this app was started with."""
    return _first.submit(start).result()


def lower(training: psutil.Process) -> None:
    """Let a training come after the pages, unless they come after it already."""
    if not _pages_come_second:
        training.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS_OF_A_TRAINING)
