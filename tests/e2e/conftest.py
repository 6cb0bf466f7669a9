"""The real app in a real browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.e2e.pages import open_by
from tests.live_app import LiveApp, running_app

LEFT_BEHIND = ("AbortError", "Connection errored out")
"""What Gradio says about a request that was under way when the page was left or loaded anew."""

TIMEOUT_MS = 90_000
"""How long an assertion may wait: test machines are slow and shared."""


@pytest.fixture(scope="session", autouse=True)
def _patience() -> None:
    expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def data_dir(tiny_data_dir: Path) -> Path:
    """The data of the app; a file of tests may choose others."""
    return tiny_data_dir


@pytest.fixture(scope="module")
def live_app(
    tmp_path_factory: pytest.TempPathFactory, data_dir: Path, tiny_checkpoint_dir: Path
) -> Iterator[LiveApp]:
    """The real app on small data with a tiny checkpoint, and a runs folder for this file of tests."""
    data, checkpoint = str(data_dir), str(tiny_checkpoint_dir)
    with running_app(
        tmp_path_factory.mktemp("runs"), "--data-dir", data, "--checkpoint-dir", checkpoint
    ) as app:
        yield app


@pytest.fixture(scope="module")
def shared_context(browser: Browser, live_app: LiveApp) -> Iterator[BrowserContext]:
    """A browser that has compiled the page's scripts already; no test leaves anything stored in it."""
    context = browser.new_context()
    context.new_page().goto(f"{live_app.url}/robots.txt")  # a page that stays keeps their process
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, shared_context: BrowserContext, live_app: LiveApp) -> Iterator[OpenPage]:
    """Open pages of the app; fails if one of them has errors in its console."""
    opener = OpenPage(browser, shared_context, live_app)
    yield opener
    opener.close()
    assert opener.errors == []


class OpenPage:
    """Opens pages and collects what they complain about."""

    def __init__(self, browser: Browser, shared: BrowserContext, app: LiveApp) -> None:
        self.errors: list[str] = []
        self._browser = browser
        self._shared = shared
        self._app = app
        self._contexts: list[BrowserContext] = []
        self._pages: list[Page] = []

    def __call__(self, tab: str, width: int = 1280, query: str = "", permissions: Sequence[str] = ()) -> Page:
        """Open the page at a tab, with something after the question mark of its address.

        A page with permissions has a browser of its own.
        """
        context = self._shared
        if permissions:
            context = self._browser.new_context(permissions=list(permissions))
            self._contexts.append(context)
        page = context.new_page()
        self._pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._note_foreign(request.url))
        page.goto(f"{self._app.url}/?{query}" if query else self._app.url)
        # What the page loads for itself has come: on a slow machine it would overwrite what a test types.
        expect(page.locator("#masthead")).not_to_contain_text("looking for it")
        open_by(page.get_by_role("tab", name=tab, exact=True))
        return page

    def close(self) -> None:
        """Close all pages and forget what they stored."""
        for page in self._pages:
            if not page.is_closed():
                page.evaluate("localStorage.clear()")
                page.close()
        self._shared.clear_cookies()
        for context in self._contexts:
            context.close()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in LEFT_BEHIND):
            self.errors.append(message.text)

    def _note_foreign(self, url: str) -> None:
        if not url.startswith((self._app.url, "data:", "blob:")):
            self.errors.append(f"asked for {url}")
