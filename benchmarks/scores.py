"""What a recipe scores over several seeds, in the real training process.

    python -m benchmarks.scores --data-dir ../mrpc --part recommended_bf16  # seeds 101 to 105, test last
    python -m benchmarks.scores --data-dir ../mrpc --part one_order_bf16  # with one order of each pair
    python -m benchmarks.scores --data-dir ../mrpc --part quick           # the preview
    python -m benchmarks.scores --data-dir ../mrpc --part course          # the course as it is
    python -m benchmarks.scores --data-dir ../mrpc --part course_fast     # and with all that makes it fast

Scores are fractions in [0, 1] of the run's best epoch by F1 on validation, the one that the app keeps and
compares; those of the last epoch stand beside them. Test is predicted once, with that best epoch. Seconds, of
recommended and quick alone, are training time with evaluations; the rate of float32 matrix products of this
machine is measured right before and after each run, and ``..._at_140_gflops`` scales the seconds to a machine
of that rate.

Writes its part of ``benchmarks/results.json``; runs that are there already (same settings, same seed) are
kept, so that a part can be done in several goes, or by two processes of one thread each (OMP_NUM_THREADS=1)
with other seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmarks.results import AVX2_ONLY, RESULTS, describe_machine, read_results, write_part
from mrpc.config import CHEAP_STEPS, build_config
from mrpc.runs.events import EvaluationEvent, FinishedEvent, StartedEvent
from mrpc.runs.log import read_events

PROJECT_DIR = Path(__file__).resolve().parents[1]

REFERENCE_GFLOPS = 140.0
PARTS: dict[str, dict[str, Any]] = {
    "recommended": {"preset": "recommended", "mixed_precision": "no"},
    "recommended_bf16": {"preset": "recommended", "mixed_precision": "bf16"},
    "one_order": {"preset": "recommended", "mixed_precision": "no", "both_orders": False},
    "one_order_bf16": {"preset": "recommended", "mixed_precision": "bf16", "both_orders": False},
    "quick": {"preset": "quick"},
    "course": {"preset": "course"},
    "course_fast": {"preset": "course", **CHEAP_STEPS},
}
WITH_TEST = ("recommended", "recommended_bf16", "one_order", "one_order_bf16")
SECONDS = ("train_s", "wall_s", "matmul_gflops", "train_s_at_140_gflops")
TIMED = (*WITH_TEST, "quick")
"""The others show that scores do not fall; what their steps take, training_speed.py measures side by side."""


def train(settings: dict[str, Any], seed: int, data_dir: Path, with_test: bool) -> dict[str, Any]:
    """Train once in a process of its own and return what it recorded."""
    with tempfile.TemporaryDirectory() as runs_dir:
        command = [sys.executable, "-m", "mrpc.training"]
        flags = {**settings, "seed": seed}
        new = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        rate_before = matmul_gflops()
        began_at = time.monotonic()
        _run([*command, *new, "--data-dir", str(data_dir), "--runs-dir", runs_dir], environment)
        wall_s = time.monotonic() - began_at
        rate = (rate_before + matmul_gflops()) / 2
        (run_dir,) = (path for path in Path(runs_dir).iterdir() if path.is_dir())
        if with_test:
            _run([*command, str(run_dir), "--evaluate", "test"], environment)
        events = read_events(run_dir / "events.jsonl")
    evaluations = [e for e in events if isinstance(e, EvaluationEvent)]
    (finished,) = (e for e in events if isinstance(e, FinishedEvent))
    (started,) = (e for e in events if isinstance(e, StartedEvent))
    validation = [e for e in evaluations if e.split == "validation"]
    best = next(e for e in validation if e.epoch == finished.best_epoch)
    row: dict[str, Any] = {
        "seed": seed,
        "by_epoch": [{"epoch": e.epoch, "accuracy": e.accuracy, "f1": e.f1} for e in validation],
        "best": {"accuracy": best.accuracy, "f1": best.f1, "epoch": best.epoch},
        "last": {"accuracy": validation[-1].accuracy, "f1": validation[-1].f1},
        "num_threads": started.num_threads,
        "train_s": round(finished.train_s, 1),
        "wall_s": round(wall_s, 1),
        "matmul_gflops": round(rate, 1),
        "train_s_at_140_gflops": round(finished.train_s * rate / REFERENCE_GFLOPS, 1),
        "peak_memory_bytes": finished.peak_memory_bytes,
    }
    if with_test:
        test = [e for e in evaluations if e.split == "test"][-1]
        row["test"] = {"accuracy": test.accuracy, "f1": test.f1, "epoch": test.epoch}
    return row


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def matmul_gflops() -> float:
    """Return the rate of float32 matrix products on all threads, the median of many."""
    import torch

    x, weights = torch.randn(1024, 384), torch.randn(1536, 384)
    rates = []
    for _ in range(200):
        began_at = time.perf_counter()
        torch.nn.functional.linear(x, weights)
        rates.append(2 * 1024 * 384 * 1536 / (time.perf_counter() - began_at) / 1e9)
    return statistics.median(rates)


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means and spread over the seeds."""
    summary: dict[str, Any] = {"num_seeds": len(runs)}
    for where in ("best", "last", "test"):
        if where not in runs[0]:
            continue
        scores = {}
        for name in ("accuracy", "f1"):
            values = [run[where][name] for run in runs]
            scores[f"{name}_mean"] = statistics.mean(values)
            scores[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
        summary |= scores if where == "best" else {where: scores}
    for name in ("train_s", "train_s_at_140_gflops") if "train_s" in runs[0] else ():
        summary[f"{name}_median"] = statistics.median(run[name] for run in runs)
    return summary


def main() -> None:
    """Train the seeds of a part that are not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--part", choices=list(PARTS), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103, 104, 105])
    parser.add_argument("--avx2", action="store_true", help="hold torch, MKL and oneDNN to AVX2")
    options = parser.parse_args()
    if options.avx2:
        os.environ.update(AVX2_ONLY)  # for this process, which measures the rate, and those that train
    settings = PARTS[options.part]
    resolved = build_config(settings).model_dump(mode="json", exclude={"seed"})
    for seed in options.seeds:
        if any(run["seed"] == seed for run in done_so_far(options.part, resolved)):
            continue
        run = train(settings, seed, options.data_dir.resolve(), options.part in WITH_TEST)
        if options.part not in TIMED:
            run = {name: value for name, value in run.items() if name not in SECONDS}
        print(json.dumps(run), flush=True)
        with FileLock(RESULTS.with_suffix(".lock")):  # others may train other seeds beside
            runs = sorted([*done_so_far(options.part, resolved), run], key=lambda row: int(row["seed"]))
            machine = describe_machine()
            write_part(
                options.part, {"machine": machine, "settings": resolved, **summarize(runs), "runs": runs}
            )


def done_so_far(part: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a part that were made with the very same settings."""
    before = read_results().get(part, {})
    return list(before.get("runs", [])) if before.get("settings") == settings else []


if __name__ == "__main__":
    main()
