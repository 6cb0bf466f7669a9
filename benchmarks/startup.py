"""Seconds from `python app.py` to a page that can be used, beside an empty Gradio app.

Both are started in turn, many times, and looked at with the same browser: a page counts as usable when its
first text field can be typed into. Prints the medians and their ratio, and the processor time until the
server answers, which other work on the machine disturbs less.

    python benchmarks/startup.py --repeats 7
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
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

PROJECT_DIR = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT_DIR))

from tests.browser import LAUNCH_ARGS, find_chromium  # noqa: E402
from tests.live_app import free_port  # noqa: E402

EMPTY_APP = """
import sys
import gradio as gr
with gr.Blocks(analytics_enabled=False) as demo:
    gr.Textbox(label="Text")
demo.launch(server_port=int(sys.argv[1]), quiet=True)
"""


def measure(command: list[str], port: int, browser: Browser) -> tuple[float, float, float]:
    """Start a server and open its page.

    Returns:
        Seconds until it answers, seconds until its page can be used, and the processor seconds of the first.
    """
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    began_at = time.monotonic()
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    page = browser.new_page()
    try:
        while not answers(port):
            assert process.poll() is None, f"{command} ended"
            time.sleep(0.01)
        answered_s = time.monotonic() - began_at
        times = psutil.Process(process.pid).cpu_times()
        page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
        page.locator("textarea, input[type=text]").first.click(timeout=60_000)
        return answered_s, time.monotonic() - began_at, times.user + times.system
    finally:
        page.close()
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Tell whether a server answers with a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def main() -> None:
    """Measure both in turn and print the medians as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    measured: dict[str, list[tuple[float, float, float]]] = {"empty": [], "app": []}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        for repeat in range(repeats + 1):
            for name in measured:
                port = free_port()
                arguments = ["app.py", "--runs-dir", folder, "--port"] if name == "app" else ["-c", EMPTY_APP]
                row = measure([sys.executable, *arguments, str(port)], port, browser)
                if repeat:  # the first fills the caches of the disk
                    measured[name].append(row)
        browser.close()
    labels = ("answers_s", "usable_s", "processor_s")
    medians = {
        name: {label: statistics.median(row[i] for row in rows) for i, label in enumerate(labels)}
        for name, rows in measured.items()
    }
    ratios = {label: medians["app"][label] / medians["empty"][label] for label in labels}
    shown = {**medians, "ratio": ratios}
    print(json.dumps({key: {k: round(v, 2) for k, v in row.items()} for key, row in shown.items()}, indent=2))


if __name__ == "__main__":
    main()
