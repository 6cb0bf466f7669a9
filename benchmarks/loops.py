"""Accuracy, F1 and seconds of the three training loops, with the course preset and the bundled checkpoint.

Two parts, each run in a training process of its own, one after the other:

    python -m benchmarks.loops --data-dir ../mrpc --part subset     # all loops, 800 pairs, 3 seeds
    python -m benchmarks.loops --data-dir ../mrpc --part full       # Accelerate, Trainer, all pairs, one seed
    python -m benchmarks.loops --data-dir ../mrpc                   # both

Writes benchmarks/loops.json after every run: a part that was cut goes on, a whole one is measured anew, one
that is not run keeps what it holds. Scores are fractions in [0, 1], of validation, after the last epoch and
after the best by F1; seconds are training time with validations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from mrpc.runs.events import EvaluationEvent, FinishedEvent, StartedEvent, StepEvent
from mrpc.runs.log import read_events
from mrpc.runs.process import installed_versions

PROJECT_DIR = Path(__file__).resolve().parents[1]

RESULTS = PROJECT_DIR / "benchmarks" / "loops.json"
PARTS: dict[str, dict[str, Any]] = {
    "subset": {"loops": ("accelerate", "pytorch", "trainer"), "num_train_pairs": 800, "seeds": (1, 2, 3)},
    "full": {"loops": ("accelerate", "trainer"), "num_train_pairs": 0, "seeds": (42,)},
}


def train(runs_dir: Path, data_dir: Path, loop: str, num_train_pairs: int, seed: int) -> dict[str, Any]:
    """Train once and return what the run recorded."""
    arguments = {
        "--preset": "course",
        "--loop": loop,
        "--num-train-pairs": str(num_train_pairs),
        "--seed": str(seed),
        "--data-dir": str(data_dir),
        "--runs-dir": str(runs_dir),
    }
    before = set(runs_dir.iterdir())
    command = [sys.executable, "-m", "mrpc.training", *(part for pair in arguments.items() for part in pair)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (run_dir,) = {path for path in runs_dir.iterdir() if path.is_dir()} - before
    events = read_events(run_dir / "events.jsonl")
    evaluations = [e for e in events if isinstance(e, EvaluationEvent)]
    (started,) = [e for e in events if isinstance(e, StartedEvent)]
    (finished,) = [e for e in events if isinstance(e, FinishedEvent)]
    steps = [e for e in events if isinstance(e, StepEvent)]
    best = next(e for e in evaluations if e.epoch == finished.best_epoch)
    return {
        "loop": loop,
        "seed": seed,
        "num_train_pairs": started.num_train_pairs,
        "num_steps": started.num_steps,
        "num_threads": started.num_threads,
        "last": {"accuracy": evaluations[-1].accuracy, "f1": evaluations[-1].f1},
        "best": {"epoch": best.epoch, "accuracy": best.accuracy, "f1": best.f1},
        "train_s": round(finished.train_s, 1),
        "steps_s": round(sum(step.duration_s for step in steps), 1),
        "peak_memory_bytes": finished.peak_memory_bytes,
        "first_losses": [step.loss for step in steps[:5]],
    }


def summarize(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a loop: means over the seeds, with their spread where there are several."""
    rows = []
    for loop in dict.fromkeys(run["loop"] for run in runs):
        own = [run for run in runs if run["loop"] == loop]
        row: dict[str, Any] = {"loop": loop, "num_seeds": len(own)}
        for name in ("accuracy", "f1"):
            values = [run["last"][name] for run in own]
            row[f"{name}_mean"] = statistics.mean(values)
            row[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
        row["train_s_median"] = statistics.median(run["train_s"] for run in own)
        rows.append(row)
    return rows


def print_table(part: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n| {part} | seeds | accuracy | F1 | seconds |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        scores = []
        for name in ("accuracy", "f1"):
            spread = row[f"{name}_std"]
            scores.append(f"{row[f'{name}_mean']:.3f}" + (f" ± {spread:.3f}" if spread is not None else ""))
        print(f"| {row['loop']} | {row['num_seeds']} | {' | '.join(scores)} | {row['train_s_median']:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--part", choices=list(PARTS), help="run this part alone")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"parts": {}}
    results["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "num_cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "versions": installed_versions(),
    }
    for name in [options.part] if options.part else list(PARTS):
        part = PARTS[name]
        wanted = [(seed, loop) for seed in part["seeds"] for loop in part["loops"]]
        runs = results["parts"].get(name, {}).get("runs", [])
        if len(runs) == len(wanted):
            runs = []
        # The loops take turns: what disturbs the machine disturbs them alike.
        for seed, loop in wanted[len(runs) :]:
            with tempfile.TemporaryDirectory() as folder:
                data_dir = options.data_dir.resolve()
                runs.append(train(Path(folder), data_dir, loop, part["num_train_pairs"], seed))
            print(json.dumps(runs[-1]), flush=True)
            rows = summarize(runs)
            results["parts"][name] = {"date": date.today().isoformat(), "rows": rows, "runs": runs}
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print_table(name, rows)


if __name__ == "__main__":
    main()
