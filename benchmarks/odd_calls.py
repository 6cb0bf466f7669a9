"""Does the app's memory stay flat while it is asked odd things?

    python -m benchmarks.odd_calls [--calls 20000] [--sessions new|one] [--seed 0]

Starts the real app on generated pairs with a finished run, and calls every handler and server function with
arguments of all types: usual ones, wrong types, NaN, lone surrogates, long texts. Prints the resident memory
and the number of threads and open files every 500 calls, how the calls were answered (an error without
words is one of ours), and how long the slowest took.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from mrpc.core.data.load import load_data
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp, running_app
from tests.tiny import write_tiny_checkpoint, write_tiny_data

EVERY = 500
PATIENCE_S = 10.0
FAULT = re.compile(r"[\w.]+(Error|Exception)\b")
"""The last line of a stack trace that the app printed: there should be none."""
THREADS = 4
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        1e308,
        2**70,
        0.5,
        "",
        " ",
        "x",
        "0",
        "-1",
        "NaN",
        "[]",
        "null",
        "..",
        "/etc",
    ),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        [],
        [[]],
        {},
        {"a": 1},
        ["x"],
        [None],
        {"path": "/etc/passwd"},
    ),
    *("\ud800", "a\x00b", "<script>", "'; --", "%s%n", "é" * 300, "x" * 100_000, "\u202e", "9" * 400),
    *({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, [{"path": "x"}], {"__type__": "update"}),
]
USUAL: list[Any] = [
    *("train", "validation", "test", "both", "equivalent", "all", "fixed", "accelerate", "notebook", "quick"),
    *(
        "recommended",
        "course",
        "local:tiny-bert",
        "all-MiniLM-L6-v2",
        "baseline:majority",
        "baseline:overlap",
    ),
    *(
        "The road is open.",
        "A road was opened.",
        16,
        32,
        "5e-5",
        "changed",
        "validation:3",
        "train:5",
        "label",
    ),
    *("keep", "pin", "grid", "model", "record", 0.5, 2, 20, "sentence1,sentence2,label", "label,sentence1"),
]


class Caller:
    """Calls what the app's own configuration lists."""

    def __init__(self, app: LiveApp, run_id: str, new_sessions: bool, seed: int) -> None:
        self.app = app
        self.client = httpx.Client(
            base_url=app.url, timeout=120, limits=httpx.Limits(max_connections=THREADS, keepalive_expiry=2.0)
        )
        config = self.client.get("/config").json()
        self.handlers = [one for one in config["dependencies"] if one["backend_fn"]]
        self.servers = [
            (one["id"], name)
            for one in config["components"]
            for name in one["props"].get("server_fns") or one["props"].get("server_functions") or []
        ]
        sides = [f"{run_id}:{model}" for model in ("base", "best", "last", "epoch-1", "epoch-9")]
        self.usual = [*USUAL, run_id, run_id, *sides, *sides]
        self.new_sessions = new_sessions
        self.seed = seed
        self.statuses: Counter[str] = Counter()
        self.slowest = (0.0, "")
        self.lock = threading.Lock()

    def call(self, number: int) -> None:
        """Make one call; the same number makes the same call."""
        rng = random.Random(f"{self.seed}:{number}")
        session = f"s{number}" if self.new_sessions else f"s{number % 5}"
        if self.servers and rng.random() < 0.1:
            component, name = rng.choice(self.servers)
            what = f"server {name}"
            body = {
                "data": self.value(rng),
                "component_id": component,
                "fn_name": name,
                "session_hash": session,
            }
            path = "/gradio_api/component_server"
        else:
            handler = rng.choice(self.handlers)
            what = str(handler["api_name"])
            values = [self.value(rng) for _ in handler["inputs"]]
            if rng.random() < 0.05:
                values = values[:-1]
            body = {"data": values, "fn_index": handler["id"], "session_hash": session}
            body["event_data"] = rng.choice([None, self.value(rng), {"id": self.value(rng)}])
            path = "/gradio_api/run/predict"
            if handler["queue"]:
                path, what = "/gradio_api/queue/join", f"queued {what}"
        started_at = time.perf_counter()
        try:
            content = json.dumps(body).encode("utf-8", "surrogatepass")
            answer = self.client.post(path, content=content, headers={"Content-Type": "application/json"})
            status = self.judge(answer, what)
            if answer.status_code == 200 and path.endswith("join"):
                status = self.follow(session, what)
        except httpx.HTTPError as error:
            status = type(error).__name__
        took = time.perf_counter() - started_at
        with self.lock:
            self.statuses[status] += 1
            if took > self.slowest[0]:
                self.slowest = (took, what)

    def judge(self, answer: httpx.Response, what: str) -> str:
        """Return how a call was answered."""
        if answer.status_code != 500:
            return str(answer.status_code)
        try:
            said = answer.json().get("error")
        except ValueError:
            said = None
        return "in words" if said else f"WITHOUT WORDS: {what}"

    def follow(self, session: str, what: str) -> str:
        """Read the answer of a call that waits in the queue, and return how it was answered."""
        deadline = time.monotonic() + PATIENCE_S
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                if time.monotonic() > deadline:
                    return "still at work"
                if '"process_completed"' in line:
                    message = json.loads(line.removeprefix("data: "))
                    said = message["success"] or (message.get("output") or {}).get("error")
                    return "200" if message["success"] else "in words" if said else f"WITHOUT WORDS: {what}"
                if '"close_stream"' in line:
                    break
        return "queue closed"

    def value(self, rng: random.Random) -> Any:
        return rng.choice(self.usual if rng.random() < 0.6 else ODD)


def main() -> None:
    """Call, and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--sessions", choices=["new", "one"], default="new")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        data_dir = write_tiny_data(base / "data")
        checkpoint = write_tiny_checkpoint(base / "tiny-bert")
        run = make_finished_run(base / "runs", load_data("folder", data_dir), checkpoint)
        arguments = ["--data-dir", str(data_dir), "--checkpoint-dir", str(checkpoint)]
        with running_app(base / "runs", *arguments, environment={"HF_HUB_OFFLINE": "1"}) as app:
            caller = Caller(app, run.run_id, options.sessions == "new", options.seed)
            process = psutil.Process(app.process.pid)
            printed: list[str] = []
            threading.Thread(target=lambda: printed.extend(app.process.stdout or []), daemon=True).start()
            print(f"{len(caller.handlers)} handlers, {len(caller.servers)} server functions", flush=True)
            with ThreadPoolExecutor(THREADS) as pool:
                for start in range(0, options.calls, EVERY):
                    list(pool.map(caller.call, range(start, min(start + EVERY, options.calls))))
                    memory = process.memory_info().rss / 1e6
                    print(
                        f"{start + EVERY:>7,} calls: {memory:,.0f} MB, {process.num_threads()} threads, "
                        f"{process.num_fds()} files, {dict(caller.statuses)}, slowest "
                        f"{caller.slowest[0]:.1f} s ({caller.slowest[1]})",
                        flush=True,
                    )
                    faults = Counter(line.strip() for line in printed if FAULT.match(line))
                    for fault, num in faults.most_common(5):
                        print(f"        printed {num} times: {fault[:150]}", flush=True)
                    caller.slowest = (0.0, "")
                    app.end_trainings()


if __name__ == "__main__":
    main()
