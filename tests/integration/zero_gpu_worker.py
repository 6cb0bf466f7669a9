"""Trains a slice as ZeroGPU does: in a thread of a forked daemon process.

A script of its own, because the process of the tests has more threads by then, and locks that they
hold, than an app has that forks.

    python -m tests.integration.zero_gpu_worker RUN_DIR BUDGET_S child|worker
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

from mrpc.app.train import zero_gpu


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


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
