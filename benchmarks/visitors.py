"""Twenty visitors on one app while one run trains: how long they wait, what is lost, what the training loses.

    python -m benchmarks.visitors DATA_DIR [--visitors 20] [--seconds 30] [--turns 4]

None of them is the owner, and each has an address and a cookie of its own. Each types a pair, asks both
models about it, and now and then has its words explained, with pauses as people make them. Keeps the figures
in ``benchmarks/results.json`` as ``visitors``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
from gradio_client import Client

from benchmarks.results import describe_machine, write_part
from mrpc.app.visitors import COOKIE
from mrpc.runs.events import StepEvent
from mrpc.runs.log import read_events
from tests.live_app import LiveApp, running_app

WORDS = ["company", "bakery", "rival", "shares", "council", "bridge", "vote", "report", "market", "price"]
PAUSE_S = (2.0, 6.0)
EXPLAIN_EVERY = 5
KEEP_S = 2.0
FIRST_ADDRESS = 10
KEY = "the-key-of-the-owner-of-this-app"
IS_BUSY = "Other long work is under way"


class Visitor:
    """One person with the page open; notes how long each answer takes, in ms, and what was no answer."""

    def __init__(self, app: LiveApp, run_id: str, number: int, config: dict[str, Any]) -> None:
        self.url, self.run_id, self.number, self.config = app.url, run_id, number, config
        self.waits_ms: dict[str, list[float]] = defaultdict(list)
        self.num_busy = 0
        self.lost: list[str] = []
        self.random = random.Random(number)

    async def visit(self, until: float) -> None:
        """Act until it is time to leave."""
        async with self._browser() as self.client:
            await self._act(until)

    def _browser(self) -> httpx.AsyncClient:
        # A server closes connections that rest; so does the client, sooner, or the two may cross.
        rests = httpx.Limits(keepalive_expiry=KEEP_S)
        address = f"127.0.0.{FIRST_ADDRESS + self.number}"
        transport = httpx.AsyncHTTPTransport(local_address=address, limits=rests)
        cookies = {COOKIE: f"{self.number:022d}"}
        return httpx.AsyncClient(base_url=self.url, timeout=120, transport=transport, cookies=cookies)

    async def _act(self, until: float) -> None:
        await asyncio.sleep(self.random.uniform(0, PAUSE_S[1]))
        turn = self.number
        while time.monotonic() < until:
            pair = [" ".join(self.random.choices(WORDS, k=9)) + "." for _ in range(2)]
            await self._ask("inspect_pair", [*pair, ""])
            await asyncio.sleep(self.random.uniform(*PAUSE_S))
            await self._ask("compare_pair", [self.run_id, *pair])
            turn += 1
            if turn % EXPLAIN_EVERY == 0:
                await self._explain(pair)
            await asyncio.sleep(self.random.uniform(*PAUSE_S))

    async def _ask(self, name: str, data: list[str]) -> None:
        began_at = time.monotonic()
        asked = await self.client.post(f"/gradio_api/call/{name}", json={"data": data})
        event = asked.json().get("event_id")
        text = (await self.client.get(f"/gradio_api/call/{name}/{event}")).text if event else asked.text
        self._note(name, began_at, text, "event: complete" in text)

    async def _explain(self, pair: list[str]) -> None:
        """Draw the words of a pair, as the page does: an event with the values of its widgets."""
        ids = {one["id"]: one["props"] for one in self.config["components"]}
        given = {
            **{"sentence1": pair[0], "sentence2": pair[1]},
            **{"cmp-first": f"{self.run_id}:base", "cmp-second": f"{self.run_id}:best"},
        }
        (draw,) = [
            one
            for one in self.config["dependencies"]
            if any(
                ids.get(at, {}).get("elem_id") == "stage-compare-words" and event == "draw"
                for at, event in one["targets"]
            )
        ]
        data = [given.get(ids[at].get("elem_id"), ids[at].get("value")) for at in draw["inputs"]]
        session = f"visitor-{self.number}"
        began_at = time.monotonic()
        body = {"data": data, "fn_index": draw["id"], "session_hash": session, "event_data": {"asked": 1}}
        await self.client.post("/gradio_api/queue/join", json=body)
        answer = await self.client.get("/gradio_api/queue/data", params={"session_hash": session})
        self._note(
            "explain",
            began_at,
            answer.text,
            '"success": true' in answer.text or '"success":true' in answer.text,
        )

    def _note(self, what: str, began_at: float, text: str, is_answered: bool) -> None:
        if IS_BUSY in text:
            self.num_busy += 1
        elif not is_answered:
            self.lost.append(f"{what}: {text[-200:]}")
        else:
            self.waits_ms[what].append(1000 * (time.monotonic() - began_at))


def measure(data_dir: Path, num_visitors: int, duration_s: float, turns: int) -> dict[str, Any]:
    """Let visitors come while a run trains; return what they waited and what the training lost."""
    with (
        tempfile.TemporaryDirectory() as runs,
        running_app(
            *(Path(runs), "--data-dir", str(data_dir), "--host", "0.0.0.0"),
            num_threads=None,
            environment={"MRPC_OWNER_KEY": KEY},
        ) as app,
    ):
        client = Client(app.url, headers={"Authorization": f"Bearer {KEY}"}, verbose=False)
        shown = client.predict({"preset": "quick", "num_train_pairs": 160}, api_name="/start_run")["run_id"]
        app.wait_for_state(shown, "finished", timeout_s=300)
        pair = (shown, "He left.", "He went away.")
        client.predict(*pair, api_name="/compare_pair")
        run_id = client.predict({"preset": "recommended", "num_epochs": 20}, api_name="/start_run")["run_id"]
        run = app.wait_for_state(run_id, "running")
        while run.read_status().step < 20:
            time.sleep(0.5)
        config = httpx.get(f"{app.url}/config", timeout=60).json()
        people = [Visitor(app, shown, number, config) for number in range(num_visitors)]
        server, own = psutil.Process(app.process.pid), psutil.Process()

        async def all_visit() -> None:
            until = time.monotonic() + duration_s
            await asyncio.gather(*(one.visit(until) for one in people))

        alone, visited, shares = [], [], []
        for _ in range(turns):  # in turn, because the machine's speed drifts
            alone.append(_speed(app, run_id, duration_s, lambda: time.sleep(duration_s)))
            began_at, used_before = time.monotonic(), [_processor_s(one) for one in (server, own)]
            visited.append(_speed(app, run_id, duration_s, lambda: asyncio.run(all_visit())))
            took_s = (time.monotonic() - began_at) * (os.cpu_count() or 1)
            used = zip((server, own), used_before, strict=True)
            shares.append([(_processor_s(one) - before) / took_s for one, before in used])
        client.predict(run_id, False, api_name="/stop_run")
        client.close()
    waits: dict[str, list[float]] = defaultdict(list)
    for one in people:
        for what, values in one.waits_ms.items():
            waits[what] += values
    return {
        "machine": describe_machine(),
        "load_average": round(os.getloadavg()[0], 1),
        "num_visitors": num_visitors,
        "duration_s": duration_s,
        "waits_ms": {what: _spread(values) for what, values in waits.items()},
        "num_lost": sum(len(one.lost) for one in people),
        "lost": [text for one in people for text in one.lost][:3],
        "num_told_to_wait": sum(one.num_busy for one in people),
        "tokens_per_s_alone": [round(speed) for speed in alone],
        "tokens_per_s_visited": [round(speed) for speed in visited],
        "slowdown": round(1 - statistics.median(visited) / statistics.median(alone), 3),
        "processor_share_of_the_app": round(statistics.median(share[0] for share in shares), 3),
        "processor_share_of_the_visitors": round(statistics.median(share[1] for share in shares), 3),
    }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "num": len(ordered),
        "median": round(statistics.median(ordered)),
        "p95": round(ordered[max(0, int(0.95 * len(ordered)) - 1)]),
        "highest": round(ordered[-1]),
    }


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _speed(app: LiveApp, run_id: str, duration_s: float, act: Callable[[], object]) -> float:
    """Return how many tokens a second a training did in the time in which something happened."""
    began_at = time.time()
    act()  # who waits for an answer may stay longer
    ended_at = began_at + duration_s
    steps = [
        event
        for event in read_events(app.store.open(run_id).paths.events)
        if isinstance(event, StepEvent) and began_at + event.duration_s < event.time < ended_at
    ]
    return sum(step.num_tokens for step in steps) / sum(step.duration_s for step in steps)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0, help="of a turn with, and one without them")
    parser.add_argument("--turns", type=int, default=4)
    given = parser.parse_args()
    figures = measure(given.data_dir, given.visitors, given.seconds, given.turns)
    print(json.dumps(figures, indent=2))
    write_part("visitors", figures)


if __name__ == "__main__":
    main()
