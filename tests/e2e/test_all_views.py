"""Every view at three widths, light and dark: what axe finds, what sticks out, what has names and tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.core.data.load import load_data
from mrpc.runs.run import Run
from tests.e2e.pages import COLOUR_RULES, expect_no_wider, serious_faults, show_theme
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp, wait_until

pytestmark = pytest.mark.e2e

WIDTHS = (1440, 1024, 390)
TINY = "checkpoint=local:tiny-bert"
DRAWN = {
    "inspect/data": "#data-about .tk-histogram",
    "inspect/pair": "#stage-pair .tk-tokens",
    "inspect/batch": "#split-padding table",
    "inspect/step": "#stage-model-input .tk-answers",
    "train/start": "#run-live .plots .main-svg",
    "train/runs": "#runs-live tr[data-id]",
    "train/loops": "#loops .loop",
    "compare/pair": "#stage-compare-answers .cmp-meter",
    "compare/scores": "#cmp-scores .cmp-confusion",
    "compare/where": "#cmp-tests tbody tr",
    "compare/own": "#at-compare-own-button",
}
"""What is there once a view is drawn."""


@pytest.fixture(scope="module")
def run(live_app: LiveApp, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    data = load_data("folder", tiny_data_dir)
    make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir, num_epochs=2, seed=2)
    return make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir)


def open_all(page: Page) -> None:
    """Open every fold of the view, and wait until what is in them is drawn."""
    for _ in range(2):  # a fold may hold others
        page.evaluate(
            """(heads) => [...document.querySelectorAll(heads)]
              .filter((one) => one.offsetParent).forEach((one) => one.click())""",
            "button.label-wrap:not(.open), details.fold:not([open]) > summary",
        )
        page.wait_for_timeout(300)
    page.wait_for_timeout(500)
    page.wait_for_function(
        "![...document.querySelectorAll('.stage[aria-busy], [id^=stage-] [aria-busy]')]"
        ".some((one) => one.offsetParent)"
    )


def nameless_charts(page: Page) -> list[str]:
    """Return the charts in sight without a name for screen readers."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[role=img], .chart, [data-plot]")]
          .filter((one) => one.offsetParent && !one.getAttribute("aria-label"))
          .map((one) => one.outerHTML.slice(0, 120))"""
    )


def open_tables(page: Page) -> None:
    """Open the table behind every chart with points that is in sight, and wait until it has rows."""
    page.wait_for_function(
        """() => {
          const isSeen = (one) => one.offsetParent;
          const closed = [...document.querySelectorAll(".numbers:not([open]) > summary")].filter(isSeen);
          closed.forEach((one) => one.click());
          const bare = [...document.querySelectorAll(".chart, [data-plot]")]
            .filter((one) => isSeen(one) && one.dataset.numbers !== "beside")
            .filter((one) => !one.parentElement.querySelector(".numbers[hidden], .numbers[open] tbody tr"));
          return !closed.length && !bare.length;
        }"""
    )


def out_of_reach(page: Page) -> list[str]:
    """Return what the Tab key leads to and stands beyond the edge, but in what scrolls by itself."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, a[href], summary, input, textarea, [tabindex='0']")]
          .filter((one) => one.offsetParent && one.tabIndex >= 0 && one.getBoundingClientRect().width > 4)
          .filter((one) => !one.closest(".table-scroll, [class*=scroll], pre, [role=tablist]"))
          .filter((one) => {
            const box = one.getBoundingClientRect();
            return box.left < 0 || box.right > innerWidth + 1;
          }).map((one) => one.outerHTML.slice(0, 140))"""
    )


@pytest.mark.parametrize("at", DRAWN)
def test_a_view_is_whole_named_and_without_serious_faults(open_page, run, at):
    tab = {"inspect": "1 Inspect", "train": "2 Fine-tune", "compare": "3 Compare"}[at.split("/")[0]]
    page = open_page(tab, WIDTHS[0], f"at={at}&{TINY}&run={run.run_id}")
    expect(page.locator(f"#at-{at.replace('/', '-')}-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator(DRAWN[at]).first).to_be_visible()
    open_all(page)
    open_tables(page)
    for scheme, rules in (("light", None), ("dark", COLOUR_RULES)):
        show_theme(page, scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(100)
            assert serious_faults(page, rules) == [], (scheme, width)
            expect_no_wider(page, width)
            assert nameless_charts(page) == [], (scheme, width)
            assert out_of_reach(page) == [], (scheme, width)


def test_the_runs_keep_every_column_at_every_width(open_page, run):
    page = open_page("2 Fine-tune", 1440, "at=train/runs")
    titles = ("State", "Accuracy", "F1", "Training pairs", "Epochs", "Seed", "Learning rate")
    row = page.locator("#runs-live tr[data-id]").first
    expect(row).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for title in titles:
            cell = row.locator(f"td[data-title='{title}']")
            cell.scroll_into_view_if_needed()
            box = cell.bounding_box()
            assert box["x"] >= 0, (width, title)
            assert box["x"] < width, (width, title)


def test_a_group_is_one_stop_of_the_tab_key(open_page, run):
    page = open_page("1 Inspect", 1440, TINY)
    expect(page.locator("#stage-pair .tk-tokens").first).to_be_visible()
    for group in (".tk-chips >> nth=0", "#truncation", "#tabs [role=tablist] >> nth=0"):
        page.keyboard.press("Tab")
        stops = page.locator(group).evaluate(
            """(group) => [...group.querySelectorAll("input, button, [tabindex]")]
              .filter((one) => one.offsetParent && one.tabIndex >= 0).length"""
        )
        assert stops == 1, group


def test_larger_text_is_larger_everywhere(open_page, run):
    page = open_page("1 Inspect", 1440, TINY)
    expect(page.locator("#stage-pair .tk-tokens").first).to_be_visible()
    places = (
        "#sentence1 textarea",
        "#masthead p",
        "#stage-pair .tk-tokens",
        ".view-intro p",
    )

    def sizes() -> list[float]:
        read = "(place) => parseFloat(getComputedStyle(document.querySelector(place)).fontSize)"
        return [page.evaluate(read, place) for place in places]

    before = sizes()
    page.locator("[data-text-size]").click()
    larger = pytest.approx([1.25 * size for size in before], 0.01)
    wait_until(lambda: sizes() == larger)  # what Gradio draws just then grows as in a transition
    expect_no_wider(page, 1440)


COUNT_FRAMES_JS = """
window.numFrames = 0;
const next = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => { window.numFrames += 1; return next(draw); };
"""


def test_a_page_at_rest_draws_no_frames(open_page, run):
    page = open_page("1 Inspect", 1440, TINY)
    page.add_init_script(COUNT_FRAMES_JS)
    page.reload()
    expect(page.locator("#stage-pair .tk-tokens").first).to_be_visible()
    assert page.evaluate("window.numFrames") > 0, "frames are counted"

    def frames_in_a_second() -> int:
        before = page.evaluate("window.numFrames")
        page.wait_for_timeout(1_000)
        return page.evaluate("window.numFrames") - before

    wait_until(lambda: frames_in_a_second() <= 5)
