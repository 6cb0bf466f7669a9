"""Trains a slice as ZeroGPU does: in a thread of a forked daemon process; or kills that in the middle.

A script of its own, because the process of the tests has more threads by then, and locks that they
hold, than an app has that forks.

    python -m tests.integration.zero_gpu_worker RUN_DIR BUDGET_S child|worker|cut
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mrpc.app.train import zero_gpu
from mrpc.runs.store import RunStore
from tests.live_app import wait_until


def main(run_dir: str, budget_s: str, place: str) -> int:
    """Train a slice, in a child of the worker or in the worker itself; return its exit code."""
    zero_gpu._child_may_use_gpu = lambda: place == "child"
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def work() -> None:
        with ThreadPoolExecutor(1) as pool:
            answers.put(pool.submit(zero_gpu.train_slice, run_dir, float(budget_s)).result())

    worker = context.Process(target=work, daemon=True)
    worker.start()
    code: int = answers.get(timeout=200)
    worker.join(20)
    return code


def cut(run_dir: str, budget_s: str) -> int:
    """Kill the worker after some steps, as ZeroGPU does when its patience ends."""
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=zero_gpu.train_slice, args=(run_dir, float(budget_s)), daemon=True)
    worker.start()
    run = RunStore(Path(run_dir).parent).open(Path(run_dir).name)
    wait_until(lambda: run.read_status().step > 5)
    worker.kill()
    worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(cut(*sys.argv[1:3]) if sys.argv[3] == "cut" else main(*sys.argv[1:]))
