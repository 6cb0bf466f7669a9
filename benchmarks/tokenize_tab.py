"""How long the Inspect tab takes to answer, on the server: from the values of a click to the HTML sent.

    python -m benchmarks.tokenize_tab --data-dir DIR

Pair inspector once warm; paging and searching 400,000 rows, with the memory of the process while it does;
the padding report of all splits, with nothing known beforehand. The 400,000 rows are those of DIR, repeated
with a number appended to each sentence, in a temporary folder. Prints medians and 95th percentiles; leaves
nothing behind. The views are drawn as Gradio asks for them, without network and browser.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets.config
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from mrpc.app.services import Services
from mrpc.app.tokenize.batch import Padding
from mrpc.app.tokenize.data_view import draw_data
from mrpc.app.tokenize.pair_view import draw_pair
from mrpc.core.data.load import LoadedData, load_data
from mrpc.settings import Settings

PAIR = (
    "The company, which sold its bakeries last spring, said on Friday that it had no unbelievable offers.",
    "On Friday the company said that nobody had offered anything since it sold its bakeries in spring.",
)
QUERIES = ("the", "company", "No Such Words", "per cent", "399999")


def measure_pair(services: Services, calls: int) -> None:
    """Time a change of the pair: two encodings, chips, table, marked sentences, raw dictionary and code."""
    services.inspection.warm_up()

    def ask(number: int) -> None:
        drawn = draw_pair(services, PAIR[0], f"{PAIR[1]} {number}", "", 128, "longest_first", False)
        assert "tk-chip" in str(drawn["tokens"])

    _print("pair inspector, ms", _times(ask, calls))


def measure_explorer(services: Services, calls: int) -> None:
    """Time pages and searches over the large split, and watch the memory of this process."""
    num_rows = services.explorer.page("train").num_rows
    print(f"explorer, {num_rows:,} rows of train")

    def page(number: int) -> None:
        draw_data(services, "train", "both", "", number * 7919 * 10 % num_rows)

    def search(number: int) -> None:
        draw_data(services, "train", "both", QUERIES[number % len(QUERIES)], 10 * number)

    def search_label(number: int) -> None:
        query = QUERIES[number % len(QUERIES)]
        draw_data(services, "train", ("equivalent", "not_equivalent")[number % 2], query, 0)

    page(1)
    search(1)
    print(f"  {_memory()} before")
    for name, ask in (("page", page), ("search", search), ("search and label", search_label)):
        _print(f"  {name}, ms", _times(ask, calls))
        print(f"  {_memory()} after {calls} of them")


def measure_padding(data: LoadedData, services: Services, repeats: int) -> None:
    """Time the report of every split, each time by a service that knows no lengths yet."""
    num_rows = sum(map(len, data.dataset.values()))
    services.inspection.tokenizers.get("")

    def report(_: int) -> None:
        padding = Padding(lambda: data, services.inspection.tokenizers)
        for split in data.dataset:
            padding.report(split)

    _print(f"padding report of all {num_rows:,} pairs, ms", _times(report, repeats))


def write_many_rows(data: LoadedData, num_rows: int, directory: Path) -> None:
    """Write a folder whose train split has ``num_rows`` rows, varied from those of ``data``."""
    for split, dataset in data.dataset.items():
        table: pa.Table = dataset.with_format("arrow")[:]
        with pq.ParquetWriter(directory / f"{split}.parquet", table.schema) as writer:
            for start in range(0, num_rows if split == "train" else 1, len(table)):
                rows = table.slice(0, num_rows - start) if split == "train" else table
                for column in ("sentence1", "sentence2"):
                    place = rows.column_names.index(column)
                    varied = [f"{text} {start}" for text in rows.column(column).to_pylist()]
                    rows = rows.set_column(place, table.schema.field(column), pa.array(varied, pa.string()))
                idx = pa.array(range(start, start + len(rows)), pa.int32())
                place = rows.column_names.index("idx")
                writer.write_table(rows.set_column(place, table.schema.field("idx"), idx))


def _times(ask: Callable[[int], None], calls: int) -> list[float]:
    ask(0)
    times = []
    for number in range(calls):
        started_at = time.perf_counter()
        ask(number)
        times.append((time.perf_counter() - started_at) * 1000)
    return times


def _memory() -> str:
    """Say how much memory this process holds, and how much of that is its own, without mapped files."""
    memory = psutil.Process().memory_info()
    own = memory.rss - getattr(memory, "shared", 0)
    return f"RSS {memory.rss / 1e6:.0f} MB, {own / 1e6:.0f} MB without mapped files"


def _print(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{name}: median {statistics.median(ordered):.1f}, p95 {p95:.1f} (n = {len(ordered)})", flush=True)


def main() -> None:
    """Measure everything in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="mrpc-benchmark-") as folder:
        directory = Path(folder) / "rows"
        directory.mkdir()
        datasets.config.HF_DATASETS_CACHE = Path(folder) / "cache"  # the user's own stays as it is
        data = load_data("folder", options.data_dir)
        services = Services(Settings(data_dir=options.data_dir))
        measure_pair(services, options.calls)
        measure_padding(data, services, options.repeats)
        write_many_rows(data, options.rows, directory)
        measure_explorer(Services(Settings(data_dir=directory)), options.calls)


if __name__ == "__main__":
    main()
