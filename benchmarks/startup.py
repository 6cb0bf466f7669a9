"""Seconds from `python app.py` to a page that can be used, beside an empty Gradio app, and to its tokens.

Both are started in turn, many times, and looked at with the same browser: a page counts as usable when its
first text field can be typed into. The app's first view then shows the tokens of its pair (cold: libraries
and tokenizer are loaded meanwhile), and of pairs that are typed afterwards (warm: from the key to the token
on the page). Prints medians and ranges; processor time, which other work on the machine disturbs less, is
that of the server alone.

    python -m benchmarks.startup --repeats 7
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

from tests.browser import LAUNCH_ARGS, find_chromium
from tests.live_app import free_port

PROJECT_DIR = Path(__file__).resolve().parents[1]

EMPTY_APP = """
import sys
import gradio as gr
with gr.Blocks(analytics_enabled=False) as demo:
    gr.Textbox(label="Text")
demo.launch(server_port=int(sys.argv[1]), quiet=True)
"""


TYPE_AND_WAIT = """
async (sentence) => {
  const field = document.querySelector('#sentence2 textarea');
  const place = document.querySelector('#stage-pair');
  const began = performance.now();
  const shown = new Promise((resolve) => {
    const look = (_, observer) => {
      if (!place.textContent.includes(sentence)) return;
      observer.disconnect();
      resolve();
    };
    new MutationObserver(look).observe(place, {childList: true, subtree: true, characterData: true});
  });
  field.value = sentence;
  field.dispatchEvent(new Event('input', {bubbles: true}));
  await shown;
  return (performance.now() - began) / 1000;
}
"""


def measure(command: list[str], port: int, browser: Browser, has_tokens: bool) -> dict[str, float]:
    """Start a server, open its page and, if it shows tokens, wait for the first and type some pairs."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    began_at = time.monotonic()
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    page = browser.new_page()
    page.set_default_timeout(300_000)
    measured: dict[str, float] = {}
    try:
        while not answers(port):
            assert process.poll() is None, f"{command} ended"
            time.sleep(0.01)
        measured["answers_s"] = time.monotonic() - began_at
        measured["answers_processor_s"] = processor_s(process.pid)
        page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
        page.locator("textarea, input[type=text]").first.click()
        measured["usable_s"] = usable_s = time.monotonic() - began_at
        if has_tokens:
            usable_processor_s = processor_s(process.pid)
            page.locator("#stage-pair .tk-chips [role=option]").first.wait_for()
            measured["first_tokens_s"] = time.monotonic() - began_at - usable_s
            measured["first_tokens_processor_s"] = processor_s(process.pid) - usable_processor_s
            page.wait_for_timeout(5_000)  # what warms up in the background is done
            typed = [page.evaluate(TYPE_AND_WAIT, f"Pair {number} of many.") for number in range(10)]
            measured["warm_tokens_s"] = statistics.median(typed)
        return measured
    finally:
        page.close()
        process.kill()
        process.wait()


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far, in seconds."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


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
    measured: dict[str, list[dict[str, float]]] = {"empty": [], "app": []}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        for repeat in range(repeats + 1):
            for name in measured:
                port = free_port()
                arguments = ["app.py", "--runs-dir", folder, "--port"] if name == "app" else ["-c", EMPTY_APP]
                row = measure([sys.executable, *arguments, str(port)], port, browser, name == "app")
                if repeat:  # the first fills the caches of the disk
                    measured[name].append(row)
        browser.close()
    shown = {name: {label: summarize(rows, label) for label in rows[0]} for name, rows in measured.items()}
    ratios = {
        label: [round(app[label] / empty[label], 3) for empty, app in zip(*measured.values(), strict=True)]
        for label in measured["empty"][0]
    }
    print(json.dumps(shown, indent=2))
    for label, values in ratios.items():
        print(f"{label}, app / empty, pair by pair: median {statistics.median(values)}, {sorted(values)}")


def summarize(rows: list[dict[str, float]], label: str) -> str:
    """Return the median and the range of one value as text."""
    values = sorted(row[label] for row in rows)
    return f"{statistics.median(values):.3f} ({values[0]:.3f} to {values[-1]:.3f})"


if __name__ == "__main__":
    main()
