"""What several files of tests ask of a page: whether a view is drawn, what axe finds, what Tab leads to."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect


def open_by(opener: Locator) -> None:
    """Press a tab or the head of a fold, and wait until Gradio is done with what it shows.

    It sets the first values of what came into sight once more a frame later, over what was typed meanwhile.
    """
    opener.click()
    opener.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def stale(name: str) -> str:
    """Return a selector of what is dimmed of a view; Gradio wraps the element that has the class."""
    return f":is(#stage-{name}, #stage-{name} *).stale"


def expect_settled(page: Page, name: str) -> None:
    """Wait until a view is drawn and shows the newest."""
    expect(page.locator(f"#stage-{name}")).to_contain_text(re.compile(r"\S"))
    expect(page.locator(stale(name))).to_have_count(0)


def drawings(page: Page, name: str) -> int:
    """Return the number of the newest drawing of a view, a comment in its HTML; 0 before the first."""
    html = page.locator(f"#stage-{name}").inner_html()
    return max((int(number) for number in re.findall(r"<!--(\d+)-->", html)), default=0)


def expect_drawn_since(page: Page, name: str, before: int) -> None:
    """Wait until a view was drawn anew, and nothing newer is asked for."""
    page.wait_for_function(
        "([id, before]) => [...document.getElementById(id).innerHTML.matchAll(/<!--(\\d+)-->/g)]"
        ".some(([, number]) => Number(number) > before)",
        arg=[f"stage-{name}", before],
    )
    expect_settled(page, name)


def show_theme(page: Page, scheme: str) -> None:
    """Let the system be light or dark, which the page follows, and wait until colours have faded over."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(
        "(isDark) => document.body.classList.contains('dark') === isDark", arg=scheme == "dark"
    )
    page.wait_for_timeout(300)


COLOUR_RULES = ("color-contrast", "link-in-text-block")
"""The rules of axe whose answer depends on colours: all that another scheme can change."""


def serious_faults(page: Page, rules: Sequence[str] | None = None) -> list[tuple[str, object, str]]:
    """Return what axe finds, by these rules or by all of them, and calls serious or critical.

    axe calls the contrast of a text unknown where a pseudo-element may lie behind it, and takes five sixths
    of its time to look for one. Here it measures every text against the elements behind it.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
        page.evaluate("axe.configure({checks: [{id: 'color-contrast', options: {ignorePseudo: true}}]})")
    found = page.evaluate(
        "async (only) => (await axe.run({resultTypes: ['violations'], ...only})).violations",
        {"runOnly": list(rules)} if rules is not None else {},
    )
    return [
        (fault["id"], node["target"], node["html"][:200])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]


def expect_no_wider(page: Page, width: int) -> None:
    """Wait until nothing sticks out of a page of this width in pixels: plots take a new one a bit later."""
    page.wait_for_function("(width) => document.documentElement.scrollWidth <= width", arg=width)


def tab_to(page: Page, control: str, most: int = 80) -> None:
    """Walk to a control with the Tab key."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", control):
            return
    pytest.fail(f"Tab does not lead to {control}")
