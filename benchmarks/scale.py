"""What 10 and 100 times the data cost: memory of app and training, tokenization, time to the first step.

    python -m benchmarks.scale DATA_DIR                       # 1, 10 and 100 times the training pairs
    python -m benchmarks.scale DATA_DIR --sizes 1 100 --max-steps 50

The larger corpora are the rows of DATA_DIR over and over, each with an idx of its own, written into a
temporary folder; validation and test stay as they are. For each size the real app is started with an empty
cache, its page is opened in Chromium, and a training is started through it. Tokenization is measured apart,
in a process of its own, the sizes in turn. Memory is what Linux counts: "own" leaves out the pages of mapped
files, which the system takes back when it needs them. Other systems do not tell them apart.

Writes benchmarks/scale.json and assets/readme/scale.png.
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
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psutil
from gradio_client import Client
from playwright.sync_api import Page, expect, sync_playwright

from mrpc.runs.events import PhaseEvent, StepEvent
from mrpc.runs.log import read_events
from mrpc.runs.process import find_process
from mrpc.runs.run import Run
from tests.browser import LAUNCH_ARGS, find_chromium
from tests.live_app import LiveApp, running_app

PROJECT_DIR = Path(__file__).resolve().parents[1]

RESULTS = PROJECT_DIR / "benchmarks" / "scale.json"
PICTURE = PROJECT_DIR / "assets" / "readme" / "scale.png"
PATIENCE_MS = 300_000
SAMPLE_EVERY_S = 0.1


def write_corpus(source: Path, target: Path, times: int) -> int:
    """Write a corpus whose training split is that of ``source`` so many times; return its number of pairs."""
    rows = [json.loads(line) for line in (source / "train.jsonl").read_text().splitlines()]
    target.mkdir()
    with (target / "train.jsonl").open("w") as file:
        for idx in range(times * len(rows)):
            row = {**rows[idx % len(rows)], "idx": idx}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for split in ("validation", "test"):
        (target / f"{split}.jsonl").write_bytes((source / f"{split}.jsonl").read_bytes())
    return times * len(rows)


class PeakMemory:
    """The largest memory of a process while it is watched.

    Attributes:
        resident_bytes: everything in physical memory.
        own_bytes: the same without pages of files and shared memory.
    """

    def __init__(self) -> None:
        self.resident_bytes = self.own_bytes = 0

    def look(self, process: psutil.Process) -> None:
        memory = process.memory_info()
        self.resident_bytes = max(self.resident_bytes, memory.rss)
        self.own_bytes = max(self.own_bytes, memory.rss - memory.shared)


@contextmanager
def watched(process: psutil.Process) -> Iterator[PeakMemory]:
    """Look at a process again and again until the block, or the process, has ended."""
    peak, ended = PeakMemory(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            try:
                peak.look(process)
            except psutil.Error:
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def measure_size(data_dir: Path, cache_dir: Path, num_pairs: int, max_steps: int) -> dict[str, Any]:
    """Open the page on a corpus, use it, and train some steps."""
    os.environ["HF_DATASETS_CACHE"] = str(cache_dir)
    with (
        tempfile.TemporaryDirectory() as runs,
        running_app(Path(runs), "--data-dir", str(data_dir), num_threads=None) as app,
    ):
        with watched(psutil.Process(app.process.pid)) as app_peak:
            page_s = use_page(app, num_pairs)
            client = Client(app.url, verbose=False)
            asked_at = time.perf_counter()
            answer = client.predict({"preset": "recommended", "max_steps": max_steps}, api_name="/start_run")
            start_answers_s = time.perf_counter() - asked_at
            run = app.store.open(answer["run_id"])
            with watched(training_process(run)) as training_peak:
                app.wait_for_state(run.run_id, "finished", timeout_s=3600)
            client.close()
        return {
            "num_train_pairs": num_pairs,
            "app_peak_bytes": app_peak.resident_bytes,
            "app_own_peak_bytes": app_peak.own_bytes,
            "training_peak_bytes": training_peak.resident_bytes,
            "training_own_peak_bytes": training_peak.own_bytes,
            "start_answers_s": start_answers_s,
            **first_step(run),
            "page_s": page_s,
        }


def training_process(run: Run) -> psutil.Process:
    """Wait until the training of a run has said which process it is."""
    while (info := run.read_process()) is None:
        time.sleep(0.01)
    process = find_process(info)
    assert process is not None, "the training ended before it was looked at"
    return process


def use_page(app: LiveApp, num_pairs: int) -> dict[str, float]:
    """Use what depends on the size of the data; return the seconds until each part showed its answer."""
    seconds: dict[str, float] = {}

    def timed(name: str, begin: Any, condition: Any) -> None:
        began_at = time.perf_counter()
        begin()
        condition()
        seconds[name] = time.perf_counter() - began_at

    def shows(page: Page, selector: str, text: str) -> Any:
        return lambda: expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        timed(
            "first rows, the data not read before",
            lambda: page.goto(f"{app.url}/?at=inspect/data"),
            shows(page, "#stage-data", f"{num_pairs:,} rows"),
        )
        timed(
            "search",
            lambda: page.locator("#data-query :is(input, textarea)").fill("company"),
            shows(page, "#stage-data", "found"),
        )
        timed(
            "padding report",
            lambda: page.locator("#at-inspect-batch-button").click(),
            lambda: expect(page.locator("#split-padding .tk-bars tbody tr")).to_have_count(
                7, timeout=PATIENCE_MS
            ),
        )
        timed(
            "number of pairs in the form",
            lambda: page.get_by_role("tab", name="2 Fine-tune", exact=True).click(),
            shows(page, "#train-plan", f"{num_pairs:,} pairs"),
        )
        browser.close()
    return seconds


def first_step(run: Run) -> dict[str, float]:
    """Return the seconds from the making of a run to its first step, and those of its phase "tokenizing"."""
    events = read_events(run.paths.events)
    first = next(event for event in events if isinstance(event, StepEvent))
    phases = [event for event in events if isinstance(event, PhaseEvent)]
    begins = {event.phase: event.time for event in reversed(phases)}
    return {
        "first_step_s": first.time - run.config.created_at,
        "loading_s": begins["loading the checkpoint"] - begins["loading the data"],
        "tokenizing_s": begins["training"] - begins["tokenizing"],
    }


TOKENIZE = """
import json, sys, time
from pathlib import Path
import psutil
from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.data.load import load_data
from mrpc.core.text.tokenization import encode_dataset

train = load_data("folder", Path(sys.argv[1])).dataset["train"]
tokenizer = load_tokenizer(resolve_pretrained(DEFAULT_CHECKPOINT, None))
encode_dataset(tokenizer, train.select(range(1000)))
began_at, processor_s = time.perf_counter(), time.process_time()
encoded = encode_dataset(tokenizer, train)
print(json.dumps({
    "pairs_per_s": len(encoded) / (time.perf_counter() - began_at),
    "pairs_per_processor_s": len(encoded) / (time.process_time() - processor_s),
}))
"""


def measure_tokenization(data_dir: Path, cache_dir: Path) -> dict[str, float]:
    """Encode the training split once in a process of its own, with all threads; return the rates."""
    done = subprocess.run(
        [sys.executable, "-c", TOKENIZE, str(data_dir)],
        cwd=PROJECT_DIR,
        env={**os.environ, "HF_DATASETS_CACHE": str(cache_dir), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def draw(rows: list[dict[str, Any]], machine: str) -> None:
    """Draw cost against size with matplotlib, where it is installed."""
    try:
        import matplotlib
    except ImportError:
        print("No picture: it needs matplotlib (pip install matplotlib).", file=sys.stderr)
        return

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullFormatter

    sizes = [row["num_train_pairs"] for row in rows]
    figure, (memory, rate, seconds) = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for kind, color, marker in (("training", "#1a9c77", "s"), ("app", "#3a8fc4", "o")):
        for key, style, words in (("peak_bytes", "-", "resident"), ("own_peak_bytes", "--", "own")):
            values = [row[f"{kind}_{key}"] / 1e9 for row in rows]
            memory.plot(sizes, values, style, marker=marker, color=color, label=f"{kind}, {words}")
    memory.set(title="Peak memory (GB)", ylim=(0, None))
    memory.legend(fontsize=8)
    rate.plot(sizes, [row["pairs_per_s"] for row in rows], "-", marker="o", color="#c8741a")
    rate.set(title="Tokenization (pairs/s)", ylim=(0, None))
    for key, style, words in (
        ("first_step_s", "-", "Start to first step"),
        ("tokenizing_s", "--", "of it, tokenizing"),
        ("start_answers_s", ":", "Start answers"),
    ):
        seconds.plot(sizes, [row[key] for row in rows], style, marker="o", color="#8a94a0", label=words)
    seconds.set(title="Time (s)", ylim=(0, None))
    seconds.legend(fontsize=8)
    for axes in (memory, rate, seconds):
        axes.set_xscale("log")
        axes.set_xlabel("training pairs")
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Cost against size, {machine}", fontsize=9)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Measure every size, then write and draw the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100], help="times the training pairs")
    parser.add_argument("--max-steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3, help="of the tokenization")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mrpc-scale-") as folder:
        corpora = {times: Path(folder) / f"times-{times}" for times in options.sizes}
        caches = {times: Path(folder) / f"cache-{times}" for times in options.sizes}
        for times, corpus in corpora.items():
            num_pairs = write_corpus(options.data_dir, corpus, times)
            rows.append({"times": times, **measure_size(corpus, caches[times], num_pairs, options.max_steps)})
            print(json.dumps(rows[-1]), flush=True)
        rates: dict[int, list[dict[str, float]]] = {times: [] for times in options.sizes}
        for _ in range(options.repeats):
            for times, corpus in corpora.items():
                rates[times].append(measure_tokenization(corpus, caches[times]))
    for row in rows:
        for key in ("pairs_per_s", "pairs_per_processor_s"):
            measured = sorted(rate[key] for rate in rates[row["times"]])
            row |= {key: statistics.median(measured), f"{key}_range": [measured[0], measured[-1]]}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    result = {"date": date.today().isoformat(), "machine": machine, "max_steps": options.max_steps}
    RESULTS.write_text(json.dumps(result | {"sizes": rows}, indent=2) + "\n")
    draw(rows, machine)


if __name__ == "__main__":
    main()
