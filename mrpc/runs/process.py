"""Which process this is, and whether another one still lives.

A pid alone is not enough: the operating system gives it away again. The start time tells two processes
with one pid apart, and the boot id tells that the machine was restarted in between.
"""

from __future__ import annotations

import os
import socket
import sys
from enum import IntEnum
from importlib import metadata
from pathlib import Path

import psutil

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

    One of another container or machine cannot be reached, though it may live: see :mod:`mrpc.runs.lock`.
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
