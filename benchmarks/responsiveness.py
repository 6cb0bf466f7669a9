"""How quickly the app answers while a training uses every core, and what watching costs the training.

    python -m benchmarks.responsiveness inspect DATA_DIR   /inspect_pair, idle and during a training
    python -m benchmarks.responsiveness pages DATA_DIR     50 pages that follow one run while it trains
    python -m benchmarks.responsiveness watch DATA_DIR     one page in Chromium that follows it, drawing all
    python -m benchmarks.responsiveness start DATA_DIR     from Start to the first step of a training
    python -m benchmarks.responsiveness events DATA_DIR    from a step of a training to its number on the page
    python -m benchmarks.responsiveness long               a page of a run of 100,000 steps: opening, updates
    python -m benchmarks.responsiveness queue              20 Starts at once in two apps, 20 queued runs

Prints medians and spreads. ``watch`` and ``start`` keep theirs in ``benchmarks/results.json``, as
``watch_slowdown`` (a share: 0.08 is 8 %) and ``first_step_s``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.results import write_part
from mrpc.runs.events import StepEvent
from mrpc.runs.log import read_events
from mrpc.runs.queue import RunQueue
from tests.browser import LAUNCH_ARGS, find_chromium
from tests.live_app import LiveApp, running_app
from tests.tiny import write_tiny_checkpoint, write_tiny_data
from tests.written_run import step_event, write_events, write_running

PAIR = ("The company sold its bakeries to a rival.", "A rival bought the bakeries of the company.")


def measure_inspect(data_dir: Path, calls: int) -> None:
    """Time ``/inspect_pair`` in the idle app, then while a training runs."""
    with tempfile.TemporaryDirectory() as runs, _app(runs, data_dir) as app:
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
    """Compare how fast a training is alone and with pages that follow it, in turn, five times.

    Speed is real tokens per second of training step, so that neither the lengths of the pairs nor evaluations
    and checkpoints between the steps count. The pages are connections from this process, whose processor time
    is reported beside that of the app: on other machines they would not take it from the training.
    """
    with tempfile.TemporaryDirectory() as runs, _app(runs, data_dir) as app:
        client = Client(app.url, verbose=False)
        run_id = _start(client, app, num_epochs=50, checkpoint_every_s=3_600)
        _follow(app, run_id, num_pages, 3.0)
        alone, watched, latencies, app_cores, own_cores = [], [], [], [], []
        for _ in range(5):  # in turn, because the machine's speed drifts
            alone.append(_tokens_per_s(app, run_id, lambda: time.sleep(duration_s)))
            before = _cpu_s(app.process.pid), time.process_time()
            watched.append(
                _tokens_per_s(
                    app, run_id, lambda: latencies.extend(_follow(app, run_id, num_pages, duration_s))
                )
            )
            app_cores.append((_cpu_s(app.process.pid) - before[0]) / duration_s)
            own_cores.append((time.process_time() - before[1]) / duration_s)
        _print("real tokens per second of training step, no page", alone)
        _print(f"the same, {num_pages} pages", watched)
        _print("answer to a page, ms", latencies)
        _print("cores that the app takes", app_cores)
        _print("cores that the pages take here", own_cores)
        slowdowns = [1 - after / before for before, after in zip(alone, watched, strict=True)]
        _print("slowdown of the training, %", [100 * slowdown for slowdown in slowdowns])
        client.predict(run_id, False, api_name="/stop_run")
        client.close()


def measure_watch(data_dir: Path, duration_s: float) -> None:
    """Compare how fast a training is alone and with one page in Chromium on the same cores, in turn."""
    with tempfile.TemporaryDirectory() as runs, _app(runs, data_dir) as app, _page() as page:
        client = Client(app.url, verbose=False)
        run_id = _start(client, app, num_epochs=50, checkpoint_every_s=3_600)
        alone, watched = [], []
        for _ in range(5):
            page.goto("about:blank")
            alone.append(_tokens_per_s(app, run_id, lambda: page.wait_for_timeout(1_000 * duration_s)))
            _open_train_tab(page, app)
            page.wait_for_timeout(3_000)  # the page is there
            watched.append(_tokens_per_s(app, run_id, lambda: page.wait_for_timeout(1_000 * duration_s)))
        client.predict(run_id, False, api_name="/stop_run")
        client.close()
    slowdowns = [1 - after / before for before, after in zip(alone, watched, strict=True)]
    _print("real tokens per second of training step, no page", alone)
    _print("the same, one page in Chromium", watched)
    _print("slowdown of the training, %", [100 * slowdown for slowdown in slowdowns])
    write_part("watch_slowdown", statistics.median(slowdowns))


def measure_start(data_dir: Path, repeats: int = 5) -> None:
    """Time a training from its Start to the end of its first step."""
    seconds = []
    with tempfile.TemporaryDirectory() as runs, _app(runs, data_dir) as app:
        client = Client(app.url, verbose=False)
        for _ in range(repeats):
            started_at = time.time()
            run_id = _start(client, app)
            events = read_events(app.store.open(run_id).paths.events)
            seconds.append(next(e.time for e in events if isinstance(e, StepEvent)) - started_at)
            client.predict(run_id, False, api_name="/stop_run")
            app.wait_for_state(run_id, "stopped")
        client.close()
    _print("from Start to the first step, s", seconds)
    write_part("first_step_s", statistics.median(seconds))


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


NOTE_STEPS = """
() => {
  window.shownSteps = [];
  const status = document.querySelector('#run-live');
  const look = () => {
    const found = /step ([\\d,]+)/.exec(status.querySelector('.bar-words')?.textContent ?? '');
    const step = found ? Number(found[1].replaceAll(',', '')) : 0;
    if (step > (window.shownSteps.at(-1)?.[0] ?? 0)) window.shownSteps.push([step, Date.now() / 1000]);
  };
  new MutationObserver(look).observe(status, {childList: true, subtree: true, characterData: true});
}
"""


def measure_events(data_dir: Path, duration_s: float) -> None:
    """Compare when steps of a training happened with when a page showed them, or a later one."""
    with tempfile.TemporaryDirectory() as runs, _app(runs, data_dir) as app, _page() as page:
        client = Client(app.url, verbose=False)
        run_id = _start(client, app)
        _open_train_tab(page, app)
        page.evaluate(NOTE_STEPS)
        page.wait_for_timeout(1000 * duration_s)
        shown: list[tuple[int, float]] = page.evaluate("window.shownSteps")
        client.predict(run_id, False, api_name="/stop_run")
        client.close()
        events = read_events(app.store.open(run_id).paths.events)
    happened = {event.step: event.time for event in events if isinstance(event, StepEvent)}
    delays, before = [], shown[0][0]
    for step, shown_at in shown[1:]:
        delays += [shown_at - happened[number] for number in range(before + 1, step + 1)]
        before = step
    _print("from a step to the page, s", delays)


def measure_long(num_steps: int = 100_000, repeats: int = 5) -> None:
    """Time a page that opens on a long run, in a fresh app and again, and count what its updates send."""
    with _page() as page:
        fresh, again, sizes = [], [], []
        network = page.context.new_cdp_session(page)
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as runs, running_app(Path(runs), num_threads=None) as app:
                _open_train_tab(page, app)  # what the browser and the server do once is done
                page.wait_for_timeout(5_000)
                page.goto("about:blank")  # or its polls would read the run while it is written
                run = write_running(Path(runs), step=num_steps - 1_000, num_steps=num_steps)
                fresh.append(_time_opening(page, app, num_steps - 1_000))
                again.append(_time_opening(page, app, num_steps - 1_000))
                network.send("Network.enable")
                for step in range(num_steps - 999, num_steps - 989):
                    write_events(run, [step_event(step, num_steps)])
                    page.wait_for_timeout(1_000)
                network.send("Network.disable")
    _print("page of a long run that the app has not read, s", fresh)
    _print("the same page again, s", again)
    _print("bytes of an answer", sizes)


def measure_queue(num: int = 20) -> None:
    """Press Start in two apps on one runs folder at once, and queue as many runs; a tiny model is trained."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = write_tiny_data(Path(folder) / "data", num_train=5_000)
        checkpoint = write_tiny_checkpoint(Path(folder) / "tiny-bert")
        runs = Path(folder) / "runs"
        arguments = ("--data-dir", str(data_dir), "--checkpoint-dir", str(checkpoint))
        values = {"preset": "course", "checkpoint": "local:tiny-bert"}
        with running_app(runs, *arguments) as first, running_app(runs, *arguments) as second:
            clients = [Client(app.url, verbose=False) for app in (first, second)]
            _measure_starts(first, clients, {**values, "num_epochs": 50}, num)
            _measure_queued(first, clients, {**values, "num_epochs": 1, "max_steps": 8}, num)
            for client in clients:
                client.close()


def _measure_starts(app: LiveApp, clients: list[Client], values: dict[str, object], num: int) -> None:
    together = threading.Barrier(num)

    def press_start(number: int) -> tuple[float, str, str]:
        together.wait()
        began_at = time.perf_counter()
        try:
            run_id, refusal = clients[number % 2].predict(values, api_name="/start_run")["run_id"], ""
        except AppError as error:
            run_id, refusal = "", str(error)
        return time.perf_counter() - began_at, run_id, refusal

    with ThreadPoolExecutor(num) as pool:
        answers = list(pool.map(press_start, range(num)))
    started = [run_id for _, run_id, _ in answers if run_id]
    refusals = [refusal for _, run_id, refusal in answers if not run_id]
    named = sum(run_id in refusal for run_id in started for refusal in refusals)
    print(f"{num} Starts: {len(started)} run, {len(refusals)} refusals, {named} of them name it")
    print(f"runs in the folder: {len(app.store.list())}")
    _print("answer to a Start, s", [seconds for seconds, *_ in answers])
    clients[0].predict(started[0], False, api_name="/stop_run")
    app.wait_for_state(started[0], "stopped")


def _measure_queued(app: LiveApp, clients: list[Client], values: dict[str, object], num: int) -> None:
    queued = [
        clients[seed % 2].predict({**values, "seed": seed}, api_name="/queue_run")["run_id"]
        for seed in range(num)
    ]
    runs = [app.wait_for_state(run_id, "finished", timeout_s=3_600) for run_id in queued]
    began = [process.started_at for run in runs if (process := run.read_process()) is not None]
    ended = [read_events(run.paths.events)[-1].time for run in runs]
    gaps = [start - end for end, start in zip(ended[:-1], began[1:], strict=True)]
    attempts = {process.attempt for run in runs if (process := run.read_process()) is not None}
    print(f"{num} queued runs: {len(runs)} finished, in their order: {began == sorted(began)}")
    print(f"runs that began before the one before had ended: {sum(gap < 0 for gap in gaps)}")
    print(f"attempts of a run: {sorted(attempts)}; left in the queue: {len(RunQueue(app.runs_dir).read())}")
    _print("from the end of a run to the process of the next, s", gaps)
    _print("a run, s", [end - start for start, end in zip(began, ended, strict=True)])


def _time_opening(page: Page, app: LiveApp, last_step: int) -> float:
    """Return the seconds from the address to the curve of the newest run on the page."""
    page.goto("about:blank")
    began_at = time.perf_counter()
    page.goto(app.url, wait_until="commit")
    page.get_by_role("tab", name="2 Fine-tune", exact=True).click()
    page.wait_for_function(
        f"document.querySelector('[data-plot=loss]')?.data?.[0]?.x.at(-1) == {last_step}", polling="raf"
    )
    return time.perf_counter() - began_at


def _open_train_tab(page: Page, app: LiveApp) -> None:
    page.goto(app.url)
    expect(page.locator("#masthead")).not_to_contain_text("looking for it", timeout=300_000)
    page.get_by_role("tab", name="2 Fine-tune", exact=True).click()


@contextmanager
def _page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        yield page
        browser.close()


def _app(runs: str, data_dir: Path) -> AbstractContextManager[LiveApp]:
    """Start the app such that its trainings use every core."""
    return running_app(Path(runs), "--data-dir", str(data_dir), num_threads=None)


def _tokens_per_s(app: LiveApp, run_id: str, act: Callable[[], object]) -> float:
    """Return the speed of the steps that a training did while something happened."""
    began_at = time.time()
    act()
    ended_at = time.time()
    steps = [
        event
        for event in read_events(app.store.open(run_id).paths.events)
        if isinstance(event, StepEvent) and began_at + event.duration_s < event.time < ended_at
    ]
    return sum(step.num_tokens for step in steps) / sum(step.duration_s for step in steps)


def _follow(app: LiveApp, run_id: str, num_pages: int, duration_s: float) -> list[float]:
    """Follow a run as so many open pages do; return how long each answer took, in ms."""
    config = httpx.get(f"{app.url}/config").json()
    (courier,) = [each["id"] for each in config["components"] if each["props"].get("server_fns") == ["ask"]]
    return asyncio.run(_ask(app.url, courier, run_id, num_pages, duration_s))


async def _ask(url: str, courier: int, run_id: str, num_pages: int, duration_s: float) -> list[float]:
    """Ask again and again, each page when its last answer said so."""
    address = urlsplit(url)
    latencies: list[float] = []
    until = time.perf_counter() + duration_s

    async def page(number: int) -> None:
        has: dict[str, str] = {}
        await asyncio.sleep(random.uniform(0, 1))
        while (asked_at := time.perf_counter()) < until:
            asked = {"page": f"page {number}", "run_id": run_id, "chosen": "", "has": has}
            call = {"data": asked, "component_id": courier, "fn_name": "ask", "session_hash": f"p{number}"}
            body = json.dumps(call).encode()
            head = (
                f"POST /gradio_api/component_server/ HTTP/1.1\r\nHost: {address.netloc}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(head.encode() + body)
            answer_head = await reader.readuntil(b"\r\n\r\n")
            (length,) = re.findall(rb"(?i)content-length: (\d+)", answer_head)
            answer = json.loads(await reader.readexactly(int(length)))
            writer.close()
            latencies.append((time.perf_counter() - asked_at) * 1000)
            has |= {name: mark for name, (mark, _) in answer["parts"].items()}
            await asyncio.sleep(answer["wait_s"])

    await asyncio.gather(*(page(number) for number in range(num_pages)))
    return latencies


def _start(client: Client, app: LiveApp, **settings: Any) -> str:
    run_id = client.predict({"preset": "recommended", **settings}, api_name="/start_run")["run_id"]
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
    parser.add_argument("what", choices=["inspect", "pages", "watch", "start", "events", "long", "queue"])
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    if options.what == "long":
        measure_long()
    elif options.what == "queue":
        measure_queue()
    elif options.data_dir is None:
        parser.error(f"{options.what} needs DATA_DIR")
    elif options.what == "inspect":
        measure_inspect(options.data_dir, options.calls)
    elif options.what == "pages":
        measure_pages(options.data_dir, options.pages, options.seconds)
    elif options.what == "watch":
        measure_watch(options.data_dir, options.seconds)
    elif options.what == "start":
        measure_start(options.data_dir)
    else:
        measure_events(options.data_dir, options.seconds)


if __name__ == "__main__":
    main()
