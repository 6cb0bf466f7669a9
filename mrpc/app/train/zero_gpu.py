"""Training on a ZeroGPU Space, which lends a GPU for about a minute at a call: a run is trained in slices.

A slice is one attempt at a run. The loan runs :func:`train_slice` in a thread of a forked process; there the
very training process that trains anywhere else is started as a child, or, where a child is refused the GPU,
runs in that thread. At the end of its time it is asked to stop by the marker file, as by a person, writes its
checkpoint, and the next slice goes on exactly from there.

``spaces`` must be imported before torch and Gradio, and a function must be registered before the page is
launched: see ``app.py``. Off such a Space nothing here is used.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from mrpc.app.train.processes import kill_tree, start_process, training_command
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore

MIN_SLICE_S = 30.0
START_S = 20.0
"""Imports, data and checkpoint at the start of a slice, in seconds."""

END_S = 20.0
"""What a loan lasts beyond its slice: the step is finished, the checkpoint is written."""

PROBE = """
import ctypes, sys
cuda, num = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
sys.exit(cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(num)) or num.value < 1)
"""
"""Tells by its exit code whether a child process may use the GPU; a tenth of a second, without torch."""


@dataclass(frozen=True)
class Loans:
    """What borrows a GPU.

    Attributes:
        train: trains a run, by its directory, for so many seconds, on a GPU that is lent for it.
        longest_s: the longest training in one loan, in seconds, its start included.
    """

    train: Callable[[str, float], int]
    longest_s: float


def register(longest_s: float) -> Loans:
    """Register what a loan runs, as ZeroGPU asks for. Imports ``spaces``."""
    spaces = importlib.import_module("spaces")
    return Loans(spaces.GPU(duration=loan_s)(train_slice), longest_s)


def loan_s(run_dir: str, budget_s: float) -> int:
    """Return how long the GPU is asked for, in seconds."""
    return round(budget_s + END_S)


def slice_s(run: Run, longest_s: float) -> float:
    """Return how long the next slice of a run may train, in seconds: what is left of it, as far as known."""
    status = run.read_status()
    if not status.step or not status.num_steps:
        return longest_s
    left_s = START_S + 1.2 * (status.num_steps - status.step) * status.train_s / status.step
    return min(longest_s, max(MIN_SLICE_S, left_s))


def borrow(loans: Loans, run: Run) -> Future[int]:
    """Train a slice of a run in the background, for whoever asks now, and return its exit code to be.

    The loan counts on the quota of the person whose request this is, so it gets this request's context.
    """
    ended: Future[int] = Future()
    in_context = contextvars.copy_context().run
    budget_s = slice_s(run, loans.longest_s)

    def work() -> None:
        try:
            ended.set_result(in_context(loans.train, str(run.paths.run_dir), budget_s))
        except BaseException as error:
            ended.set_exception(error)
        finally:
            left = run.living_process()  # a child that outlived a loan which was cut off
            if left is not None:
                kill_tree(left)

    threading.Thread(target=work, name="gpu-slice", daemon=True).start()
    return ended


def train_slice(run_dir: str, budget_s: float) -> int:
    """Train a run until its end, or for so many seconds; return the exit code of the training.

    Runs where the GPU is: in a thread of a forked daemon process.
    """
    path = Path(run_dir)
    run = RunStore(path.parent).open(path.name)
    ended = threading.Event()
    threading.Thread(target=_end_in_time, args=[run, budget_s, ended], daemon=True).start()
    try:
        return _train_in_child(run, budget_s) if _child_may_use_gpu() else _train_here(run)
    finally:
        ended.set()


def _end_in_time(run: Run, budget_s: float, ended: threading.Event) -> None:
    if not ended.wait(budget_s):
        run.request_stop(save=True, reason="gpu time")


def _child_may_use_gpu() -> bool:
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False)
    return probe.returncode == 0


def _train_in_child(run: Run, budget_s: float) -> int:
    """Train in the training process that any machine has, and make sure that it does not outlive the loan."""
    deadline = time.monotonic() + budget_s + END_S
    with run.paths.log.open("ab") as log:
        child = start_process(training_command(run), log)
    try:
        return child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _train_here(run: Run) -> int:
    """Train in this very process, on one thread of the CPU: after a fork, torch's others are not there."""
    importlib.import_module("torch").set_num_threads(1)
    before = sys.argv
    sys.argv = ["mrpc.training", str(run.paths.run_dir)]
    with (
        run.paths.log.open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            runpy.run_module("mrpc.training", run_name="__main__")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.argv = before
    return 0
