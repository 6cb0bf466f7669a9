"""A visitor's browser: a Space in the frame of another site, a page under a path, a Space that is busy."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from mrpc.app.format import run_title
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from tests import browser as browsers
from tests.integration.test_space import KEY, SPACE
from tests.live_app import LiveApp, running_app, wait_until
from tests.written_run import write_running

pytestmark = pytest.mark.e2e

FRAME = "https://frame.hf.space/"
BLOCKED = ["--test-third-party-cookie-phaseout", "--disable-features=LocalNetworkAccessChecks"]


@pytest.fixture(scope="module")
def space(
    tmp_path_factory: pytest.TempPathFactory, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> Iterator[LiveApp]:
    """A Space whose visitors may train, and whose own training, of the example, stops short."""
    arguments = ("--data-dir", str(long_data_dir))
    with running_app(tmp_path_factory.mktemp("runs"), *arguments, environment=SPACE) as app:
        app.suspend_training()
        yield app
        app.end_trainings()


@pytest.fixture(scope="module")
def strict(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    """A browser that blocks cookies of third parties."""
    one = playwright.chromium.launch(executable_path=chromium, args=[*browsers.LAUNCH_ARGS, *BLOCKED])
    yield one
    one.close()


def open_frame(page: Page, address: str) -> None:
    """Show the Space in a frame of another site, as its page on the Hub does."""

    def answer(route: Route) -> None:
        html = f'<!doctype html><iframe src="{address}" width="1400" height="1200"></iframe>'
        route.fulfill(status=200, content_type="text/html", body=html)

    page.route(FRAME, answer)
    page.goto(FRAME)


def test_in_a_frame_a_visitor_trains_and_the_key_makes_the_owner(space: LiveApp, strict: Browser) -> None:
    page = strict.new_page(viewport={"width": 1440, "height": 1300})
    open_frame(page, f"{space.url}/?at=train/start")
    frame = page.frame_locator("iframe")
    expect(frame.locator("#standing")).to_contain_text("train one short preview at a time")
    expect(frame.locator("#masthead")).not_to_contain_text("keeps no cookie")
    expect(frame.locator("#run-live .run-title h2")).to_contain_text("Example")
    expect(frame.locator("#run-live")).to_contain_text("The app trains this by itself")
    expect(frame.get_by_role("link", name="Duplicate this Space")).to_be_visible()
    cookies = {one["name"]: one for one in page.context.cookies()}
    assert cookies["mrpc_visitor"]["partitionKey"] == FRAME.rstrip("/")

    frame.locator("#train-queue").click()
    expect(frame.locator("#train-message")).to_contain_text("Added to the queue")
    mine = next(run for run in space.store.list() if run.config.visitor)
    frame.locator("#at-train-runs-button").click()
    row = frame.locator(f'#runs-live tr[data-id="{mine.run_id}"]')
    expect(row).to_have_class("is-own")
    frame.locator("#at-train-start-button").click()
    frame.locator("#train-queue").click()
    expect(frame.locator("#train-message")).to_contain_text("One preview of yours")
    frame.locator("#at-train-runs-button").click()
    frame.locator(f'.queue li[data-run-id="{mine.run_id}"] [data-act="leave-queue"]').click()
    wait_until(lambda: mine.run_id not in [run.run_id for run in space.store.list()])

    open_frame(page, f"{space.url}/?owner={KEY}")
    expect(frame.locator(".masthead")).to_be_visible()
    expect(frame.locator(".masthead[data-visitor]")).to_have_count(0)
    page.close()


def test_another_site_cannot_show_it(space: LiveApp, strict: Browser) -> None:
    page = strict.new_page()
    page.route(
        "https://evil.example/",
        lambda route: route.fulfill(content_type="text/html", body=f'<iframe src="{space.url}/"></iframe>'),
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto("https://evil.example/")
    watch(page, lambda: any("frame-ancestors" in text for text in said))
    assert page.frame_locator("iframe").locator(".masthead").count() == 0
    page.close()


def test_too_many_requests_pause_the_page_and_it_catches_up(space: LiveApp, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1200})
    page.goto(f"{space.url}/?at=train/start")
    log = page.locator("#run-live .run-title h2")
    expect(log).to_contain_text("Example")
    asked_at: list[float] = []

    def answer(route: Route) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            route.fulfill(status=429, body="Too many requests")
        else:
            route.continue_()

    page.route("**/component_server/", answer)
    watch(page, lambda: len(asked_at) == 1)
    (example,) = [run for run in space.store.list() if run.config.visitor is None]
    label = example.paths.label.read_bytes()
    write_model(example.paths.label, RunLabel(name="Renamed meanwhile"))
    watch(page, lambda: len(asked_at) > 1)
    assert asked_at[1] - asked_at[0] > 11.5, "it pauses for twelve seconds"
    expect(log).to_contain_text("Renamed meanwhile")
    example.paths.label.write_bytes(label)  # tests share the app
    page.close()


def watch(page: Page, condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait until something is so, while the page goes on."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        page.wait_for_timeout(50)


class UnderPath(http.server.BaseHTTPRequestHandler):
    """A proxy that serves an app under /lab and takes that path away, as nginx does."""

    port = 0
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        if not self.path.startswith("/lab"):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        upstream.request(self.command, self.path.removeprefix("/lab") or "/", body, headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.closing(upstream), contextlib.suppress(ConnectionError):  # the page was left
            while chunk := answer.read1(65536):
                self.wfile.write(chunk)
                self.wfile.flush()

    do_GET = do_POST = do_HEAD = _pass_on

    def log_message(self, *_: object) -> None:
        pass


def test_under_a_path_of_a_proxy(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, browser: Browser
) -> None:
    environment = {"GRADIO_ROOT_PATH": "/lab"}
    arguments = ("--data-dir", str(tiny_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    run = write_running(tmp_path / "runs")
    with running_app(tmp_path / "runs", *arguments, environment=environment) as app:
        handler = type("Handler", (UnderPath,), {"port": app.port})
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 1440, "height": 1200})
        lost: list[str] = []
        page.on("response", lambda answer: answer.status >= 400 and lost.append(answer.url))
        page.goto(f"http://127.0.0.1:{proxy.server_port}/lab/?at=train/start")
        expect(page.locator("#run-live .run-title h2")).to_have_text(run_title(run))
        expect(page.locator("#run-live .js-plotly-plot svg.main-svg").first).to_be_visible()
        page.locator("#at-inspect-button").click()
        expect(page.locator("#stage-pair, #view-pair").first).not_to_contain_text("Loading")
        assert lost == []
        page.close()
        proxy.shutdown()
        proxy.server_close()
