"""How quickly the app answers while a training uses every core, and what watching costs the training.

    python benchmarks/responsiveness.py inspect DATA_DIR   /inspect_pair, idle and during a training
    python benchmarks/responsiveness.py pages DATA_DIR     50 pages that poll one run while it trains

Prints medians and spreads; writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from gradio_client import Client

PROJECT_DIR = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT_DIR))

from tests.live_app import LiveApp, running_app  # noqa: E402

PAIR = ("The company sold its bakeries to a rival.", "A rival bought the bakeries of the company.")


def measure_inspect(data_dir: Path, calls: int) -> None:
    """Time ``/inspect_pair`` in the idle app, then while a training runs."""
    with tempfile.TemporaryDirectory() as runs, running_app(Path(runs), "--data-dir", str(data_dir)) as app:
        client = Client(app.url, verbose=False)
        client.predict(*PAIR, "", api_name="/inspect_pair")
        _print("/inspect_pair idle, ms", _time_calls(client, calls))
        _start(client, app)
        _print("/inspect_pair during a training, ms", _time_calls(client, calls))
        client.close()


def _time_calls(client: Client, calls: int) -> list[float]:
    values = []
    for number in range(calls):
        started_at = time.perf_counter()
        client.predict(PAIR[0], f"{PAIR[1]} {number}", "", api_name="/inspect_pair")
        values.append((time.perf_counter() - started_at) * 1000)
        time.sleep(0.1)
    return values


def measure_pages(data_dir: Path, num_pages: int, duration_s: float) -> None:
    """Compare a training's step time alone and with pages that ask for its status every second."""
    with tempfile.TemporaryDirectory() as runs, running_app(Path(runs), "--data-dir", str(data_dir)) as app:
        client = Client(app.url, verbose=False)
        run_id = _start(client, app)
        alone, watched, latencies = [], [], []
        for _ in range(3):  # in turn, because the machine's speed drifts
            alone.append(_step_rate(client, run_id, duration_s))
            since = _steps(client, run_id)
            began_at = time.perf_counter()
            latencies += asyncio.run(_poll(app.url, run_id, num_pages, duration_s))
            watched.append((_steps(client, run_id) - since) / (time.perf_counter() - began_at))
        _print("steps a second, no page", alone)
        _print(f"steps a second, {num_pages} pages", watched)
        _print("answer to a poll, ms", latencies)
        print(f"slowdown of the training: {1 - statistics.median(watched) / statistics.median(alone):.1%}")
        client.predict(run_id, False, api_name="/stop_run")
        client.close()


def _step_rate(client: Client, run_id: str, duration_s: float) -> float:
    since, began_at = _steps(client, run_id), time.perf_counter()
    time.sleep(duration_s)
    return (_steps(client, run_id) - since) / (time.perf_counter() - began_at)


async def _poll(url: str, run_id: str, num_pages: int, duration_s: float) -> list[float]:
    latencies = []

    async def page(client: httpx.AsyncClient) -> None:
        until = time.perf_counter() + duration_s
        while time.perf_counter() < until:
            asked_at = time.perf_counter()
            call = await client.post(f"{url}/gradio_api/call/run_status", json={"data": [run_id]})
            await client.get(f"{url}/gradio_api/call/run_status/{call.json()['event_id']}")
            latencies.append((time.perf_counter() - asked_at) * 1000)
            await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - asked_at)))

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as client:
        await asyncio.gather(*(page(client) for _ in range(num_pages)))
    return latencies


def _start(client: Client, app: LiveApp) -> str:
    run_id = client.predict({"preset": "recommended"}, api_name="/start_run")["run_id"]
    app.wait_for_state(run_id, "running")
    while _steps(client, run_id) < 5:
        time.sleep(0.5)
    return str(run_id)


def _steps(client: Client, run_id: str) -> int:
    return int(client.predict(run_id, api_name="/run_status")["step"])


def _print(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(
        f"{name}: median {statistics.median(ordered):.2f}, p95 {p95:.2f}, "
        f"from {ordered[0]:.2f} to {ordered[-1]:.2f} (n = {len(ordered)})"
    )


def main() -> None:
    """Read what to measure from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["inspect", "pages"])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    if options.what == "inspect":
        measure_inspect(options.data_dir, options.calls)
    else:
        measure_pages(options.data_dir, options.pages, options.seconds)


if __name__ == "__main__":
    main()
