"""Which process this is, and whether another one still lives.

A pid alone is not enough: the operating system gives it away again. The start time tells two processes
with one pid apart, and the boot id tells that the machine was restarted in between.
"""

from __future__ import annotations

import os
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


def describe_this_process(attempt: int, run_dir: Path | None = None) -> ProcessInfo:
    """Describe the running process for ``process.json``.

    Args:
        attempt: 1, and one more for each resume.
        run_dir: the folder of the run that it trains.
    """
    process = psutil.Process()
    return ProcessInfo(
        pid=process.pid,
        started_at=process.create_time(),
        boot_id=boot_id(),
        process_group=os.getpgid(0) if hasattr(os, "getpgid") else process.pid,
        folder=folder_id(run_dir) if run_dir is not None else "",
        attempt=attempt,
        command=[sys.executable, *sys.argv],
        versions=installed_versions(),
    )


def find_process(info: ProcessInfo) -> psutil.Process | None:
    """Return the very process that wrote ``info`` if it still lives; a zombie does not."""
    if info.boot_id != boot_id():
        return None
    try:
        process = psutil.Process(info.pid)
        if abs(process.create_time() - info.started_at) > START_TIME_TOLERANCE_S:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
