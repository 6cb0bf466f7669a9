"""How long the Compare tab takes for what a person waits for, with the base and the best model of a run.

    python -m benchmarks.compare --runs-dir runs --data-dir ../mrpc                # the newest finished run
    python -m benchmarks.compare --runs-dir runs --data-dir ../mrpc --run RUN_ID

Prints JSON. Seconds and milliseconds are medians of ``--repeats``; ``processor_s`` is what the processors
worked for it, which other work on the machine disturbs less. The run is copied first, so that nothing which
an earlier look left behind helps, and nothing is left in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.analysis.attribution import Attribution
from mrpc.core.data.load import LoadedData, load_data
from mrpc.core.data.pairs import SentencePair
from mrpc.runs.store import RunStore
from mrpc.settings import Settings

NUM_OWN_PAIRS = 10_000
NUM_EXPLAINED = 5


class Stopwatch:
    """Times calls, in seconds of the clock and of the processors."""

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats

    def median(
        self, work: Callable[[], object], prepare: Callable[[], object] = lambda: None
    ) -> dict[str, float]:
        """Return the medians of several calls, each after a preparation that is not timed."""
        rows = []
        for _ in range(self._repeats):
            prepare()
            rows.append(self.once(work))
        return {name: statistics.median(row[name] for row in rows) for name in rows[0]}

    @staticmethod
    def once(work: Callable[[], object]) -> dict[str, float]:
        """Return what one call took."""
        clock, processors = time.perf_counter(), time.process_time()
        work()
        return {"s": time.perf_counter() - clock, "processor_s": time.process_time() - processors}


def measure(store: RunStore, run_id: str, data: LoadedData, repeats: int) -> dict[str, Any]:
    """Return all figures of one run."""
    sides = f"{run_id}:base", f"{run_id}:best"
    watch = Stopwatch(repeats)
    settings = Settings(runs_dir=store.runs_dir)

    def fresh() -> Comparisons:
        return Comparisons(store, lambda: data, settings)

    def all_of_validation() -> None:
        comparison = fresh().compare(*sides)
        comparison.calibration()
        comparison.scores.as_dict()
        comparison.baselines(with_encoder=False)
        assert comparison.changes.kinds

    comparisons = fresh()
    rows = [data.dataset["validation"][number] for number in range(NUM_EXPLAINED)]
    pairs = [SentencePair(row["sentence1"], row["sentence2"]) for row in rows]
    figures: dict[str, Any] = {"validation from stored predictions": watch.median(all_of_validation)}
    first = (pairs[0].sentence1, pairs[0].sentence2)
    figures["first pair, models loaded for it"] = watch.once(lambda: comparisons.answer_pair(*sides, *first))
    figures["one pair"] = watch.median(lambda: comparisons.answer_pair(*sides, *first))
    figures["attributions of both sides"] = [explain(comparisons, sides, pair) for pair in pairs]
    figures["training pairs placed"] = watch.once(lambda: find_nearest(comparisons, sides, pairs[0]))
    figures["nearest training pairs, once placed"] = watch.median(
        lambda: find_nearest(comparisons, sides, pairs[0])
    )
    figures["own pairs"] = own_pairs(comparisons, sides, data)
    return figures


def explain(comparisons: Comparisons, sides: tuple[str, str], pair: SentencePair) -> dict[str, Any]:
    """Return how long the attributions of a pair take, and how exact they become."""
    both, pair = comparisons.look_at(*sides, pair.sentence1, pair.sentence2)
    clock, processors = time.perf_counter(), time.process_time()
    arrived: list[float] = []
    last: dict[str, Attribution] = {}
    for side in both:
        for found in comparisons.explanations.attribute(side, pair):
            arrived.append(time.perf_counter() - clock)
            assert found.attribution is not None
            last[side.name] = found.attribution
    return {
        "first_s": arrived[0],
        "s": arrived[-1],
        "processor_s": time.process_time() - processors,
        "num_words": len(last[both.first.name].words),
        "points": [attribution.num_points for attribution in last.values()],
        "errors": [attribution.error for attribution in last.values()],
    }


def find_nearest(comparisons: Comparisons, sides: tuple[str, str], pair: SentencePair) -> None:
    """Find the training pairs nearest to a pair for the second side."""
    both, pair = comparisons.look_at(*sides, pair.sentence1, pair.sentence2)
    comparisons.explanations.find_nearest(both.second, pair)


def own_pairs(comparisons: Comparisons, sides: tuple[str, str], data: LoadedData) -> dict[str, Any]:
    """Return how long both sides take for 10,000 pairs, made from the sentences of train."""
    train = data.dataset["train"]
    first, second = list(train["sentence1"]), list(train["sentence2"])
    num = len(first)
    lines = (f"{first[n % num]}\t{second[(n + n // num) % num]}" for n in range(NUM_OWN_PAIRS))
    text = "\n".join(line.replace("\n", " ") for line in lines)
    return {"num_pairs": NUM_OWN_PAIRS, **Stopwatch.once(lambda: comparisons.answer_own(*sides, text, None))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs-dir", type=Path, required=True, help="folder with a finished run")
    parser.add_argument("--data-dir", type=Path, help="folder of the corpus; left out, the bundled sample")
    parser.add_argument("--run", help="id of the run; left out, the newest that can be compared")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    data = load_data("folder", arguments.data_dir) if arguments.data_dir else load_data("sample")
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(arguments.runs_dir)
        run_id = arguments.run or newest(store)
        run = store.open(run_id)
        copied = Path(folder) / run_id
        shutil.copytree(run.paths.run_dir, copied, ignore=shutil.ignore_patterns("checkpoints", "derived"))
        figures = measure(RunStore(Path(folder)), run_id, data, arguments.repeats)
    load = os.getloadavg()
    print(
        json.dumps(rounded({"run": run_id, "processors": os.cpu_count(), "load": load, **figures}), indent=2)
    )


def newest(store: RunStore) -> str:
    """Return the id of the newest run that can be compared."""
    runs = Comparisons(store, lambda: load_data("sample"), Settings()).comparable_runs()
    if not runs:
        raise SystemExit("There is no run with a base and a fine-tuned model in this folder.")
    return runs[0].run_id


def rounded(value: Any) -> Any:
    """Return JSON values with four digits after the point."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
