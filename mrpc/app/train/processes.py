"""Training processes as the operating system sees them: start, wait for the lock, end.

They belong to nobody: they live on when the page, or the app, is closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from mrpc.app.train.accelerate_config import remedy
from mrpc.errors import BusyError, RunStateError
from mrpc.files import PROJECT_DIR, read_tail
from mrpc.runs.process import ExitCode
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from mrpc.settings import accelerate_config_file, training_environment

START_TIMEOUT_S = 5.0
LAUNCHER_START_S = 30.0
"""What ``accelerate launch`` may take beyond that: it imports torch before it starts anything, in seconds."""

LAUNCHER = "accelerate.commands.launch"
"""The module behind ``accelerate launch``."""

NICENESS = 10
LOG_TAIL_BYTES = 2000


def start_process(
    command: Sequence[str], output: IO[bytes], errors: IO[bytes] | None = None, *, is_detached: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process of this project; without ``errors`` it writes these to ``output``, too."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors or subprocess.STDOUT,
        cwd=PROJECT_DIR,
        env=training_environment(),
        start_new_session=is_detached,
    )


def spawn(run: Run, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process for a run niced, detached, with its output in the run's log.

    Args:
        run: the run.
        command: see :func:`training_command`.
    """
    with run.paths.log.open("ab") as log:
        child = start_process(command, log, is_detached=True)
    threading.Thread(target=child.wait, name="collect", daemon=True).start()  # or it stays as a zombie
    process = psutil.Process(child.pid)
    signal_quietly(lambda: process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS))
    return child


def training_command(run: Run, *arguments: str) -> list[str]:
    """Return how the training process of a run is started.

    ``accelerate launch`` starts it where ``accelerate config`` wrote a file, or where there are several GPUs.
    """
    module = ["-m", "mrpc.training", str(run.paths.run_dir), *arguments]
    if run.config.hyperparameters.loop != "accelerate" or arguments:
        return [sys.executable, *module]
    launch = [sys.executable, "-m", LAUNCHER]
    if accelerate_config_file() is not None:
        return [*launch, *module]
    num_gpus = count_gpus()
    if num_gpus < 2:
        return [sys.executable, *module]
    machine = ["--multi_gpu", f"--num_processes={num_gpus}", "--num_machines=1"]
    return [*launch, *machine, "--mixed_precision=no", "--dynamo_backend=no", *module]


def count_gpus() -> int:
    """Count the NVIDIA GPUs that a training may use; torch is imported only where there may be several."""
    return count_cuda_devices() if count_gpu_files() > 1 else 1


def count_gpu_files() -> int:
    """Count the NVIDIA GPUs of this machine, without torch."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def count_cuda_devices() -> int:
    """Count the GPUs that torch sees; imports it."""
    import torch

    return torch.cuda.device_count()


def spawn_attempt(run: Run) -> None:
    """Start the next attempt at a run, and return once its process holds the lock.

    Raises:
        BusyError: when another process held it.
        RunStateError: when the process ended at once, or its launcher did not start it within its limit and
            was ended.
    """
    before = run.read_process()
    attempt = before.attempt + 1 if before is not None else 1
    command = training_command(run)
    is_launched = LAUNCHER in command
    child = spawn(run, command)
    config_file = accelerate_config_file() if is_launched else None
    launched_by = f" It was launched as {config_file} says. {remedy(config_file)}" if config_file else ""
    deadline = time.monotonic() + START_TIMEOUT_S + (LAUNCHER_START_S if is_launched else 0.0)
    while time.monotonic() < deadline:
        info = run.read_process()
        if info is not None and info.attempt == attempt:
            return
        code = child.poll()
        if code == ExitCode.BUSY or (code is not None and is_launched and _is_busy(run)):
            raise BusyError("A training is under way already in this runs folder.")
        if code is not None:
            raise RunStateError(
                f"The training process ended at once (exit code {code}): "
                f"{_last_line(run.paths.log)}{launched_by}"
            )
        time.sleep(0.02)
    if is_launched:
        kill_group(child)
        raise RunStateError(
            f"accelerate launch did not start the training within {START_TIMEOUT_S + LAUNCHER_START_S:g} s, "
            f"and was ended.{launched_by}"
        )


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or only waits to be collected."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and all it started."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        signal_quietly(member.kill)
    psutil.wait_procs(family, timeout=2.0)


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that :func:`spawn` started, and all of its process group, orphans too."""
    signal_quietly(lambda: kill_tree(psutil.Process(child.pid)))
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def signal_quietly(send: Callable[[], object]) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        send()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def _is_busy(run: Run) -> bool:
    holder = RunStore(run.paths.run_dir.parent).holder()
    return holder is not None and holder.run_id != run.run_id


def _last_line(path: Path) -> str:
    lines = read_tail(path, LOG_TAIL_BYTES).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
