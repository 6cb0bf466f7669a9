"""Which process this is, whether another one still lives, and the locks that tell it from everywhere.

A pid alone is not enough: the operating system gives it away again. The start time tells two processes
with one pid apart, and the boot id tells that the machine was restarted in between.

A lock is held by a process until it ends, however it ends: the operating system frees it with its holder. So
a lock says the truth where a process id cannot: from another PID namespace, from another host that shares the
folder, after the clock was set.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from importlib import metadata
from pathlib import Path

import filelock
import psutil

from mrpc.errors import BusyError
from mrpc.files import open_regular
from mrpc.runs.layout import ProcessInfo

PACKAGES = ("torch", "transformers", "datasets", "evaluate", "accelerate", "tokenizers", "numpy")
START_TIME_TOLERANCE_S = 0.05


class ExitCode(IntEnum):
    """Exit codes of the training process."""

    FINISHED = 0
    FAILED = 1
    USAGE = 2
    BUSY = 75
    STOPPED = 130


def boot_id() -> str:
    """Return an id that changes at every boot of the machine."""
    path = Path("/proc/sys/kernel/random/boot_id")
    if path.exists():
        return path.read_text().strip()
    return f"booted-{psutil.boot_time():.0f}"


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a training computes, without importing them."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def folder_id(folder: Path) -> str:
    """Return what tells a folder from a copy of it, wherever both lie; "" where there is no folder."""
    try:
        stat = folder.stat()
    except OSError:
        return ""
    return f"{stat.st_dev}:{stat.st_ino}"


def pid_namespace(pid: int | str = "self") -> str:
    """Return what tells apart the places where pids are counted anew (containers); "" where there is none."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def start_ticks(pid: int | str = "self") -> int | None:
    """Return when a process started, in clock ticks since boot; None where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def describe_this_process(
    attempt: int, run_dir: Path | None = None, *, has_lock: bool = False
) -> ProcessInfo:
    """Describe the running process for ``process.json``.

    Args:
        attempt: 1, and one more for each resume.
        run_dir: the folder of the run that it trains.
        has_lock: whether it holds the run's lock for as long as it lives.
    """
    process = psutil.Process()
    return ProcessInfo(
        pid=process.pid,
        started_at=process.create_time(),
        boot_id=boot_id(),
        process_group=os.getpgid(0) if hasattr(os, "getpgid") else process.pid,
        folder=folder_id(run_dir) if run_dir is not None else "",
        has_lock=has_lock,
        host=socket.gethostname(),
        pid_namespace=pid_namespace(),
        start_ticks=start_ticks(),
        attempt=attempt,
        command=[sys.executable, *sys.argv],
        versions=installed_versions(),
    )


def find_process(info: ProcessInfo) -> psutil.Process | None:
    """Return the very process that wrote ``info`` if it lives and can be reached here; a zombie does not.

    One of another container or machine cannot be reached, though it may live: see :func:`is_held`.
    """
    if info.boot_id != boot_id() or info.pid_namespace not in ("", pid_namespace()):
        return None
    try:
        process = psutil.Process(info.pid)
        if info.start_ticks is not None:
            is_same = start_ticks(info.pid) == info.start_ticks
        else:
            is_same = abs(process.create_time() - info.started_at) <= START_TIME_TOLERANCE_S
        if not is_same:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


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
