"""Locks that tell who lives: held by a process until it ends, however it ends, and seen from everywhere.

The operating system frees a lock with its holder. So a lock says the truth where a process id cannot: from
another PID namespace, from another host that shares the folder, after the clock was set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from mrpc.errors import BusyError
from mrpc.files import open_regular

PROBE_TIMEOUT_S = 1.0
"""Who looks whether a lock is held holds it for an instant: so long is that waited for."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock file as long as the block runs.

    Raises:
        BusyError: when another process holds it.
    """
    lock = filelock.FileLock(path, timeout=PROBE_TIMEOUT_S, poll_interval=0.02)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BusyError(f"Another process holds {path}.") from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool | None:
    """Tell whether a living process holds a lock file; None where this file system has no locks.

    Nothing is created or changed, and only a plain file is opened: no link, no FIFO.
    """
    if sys.platform == "win32":
        return _is_held_on_windows(path)
    import fcntl

    try:
        file = open_regular(path)
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
    return False


def _is_held_on_windows(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True
