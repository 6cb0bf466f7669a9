"""Takes the pictures of README and of assets/readme/compare.md: the real app, in a real browser.

    python -m benchmarks.pictures --runs-dir runs --data-dir ../mrpc              # all of them
    python -m benchmarks.pictures --runs-dir runs --data-dir ../mrpc --only map probes

The runs folder needs a finished run of at least three epochs; the newest is taken, and test is not looked
at. Shows sentences made for this purpose and no row of the corpus. Writes PNG files to assets/readme/.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser import LAUNCH_ARGS, find_chromium
from tests.live_app import running_app

PROJECT_DIR = Path(__file__).resolve().parents[1]

PICTURES_DIR = PROJECT_DIR / "assets" / "readme"
WIDTH, TAB_HEIGHT = 1280, 868
MARGIN = 16
PATIENCE_MS = 600_000
"""A minute for placing the training pairs on an idle machine; this one may be busy."""

PAIR = (
    "The council approved the new bridge on Monday, the mayor said.",
    "On Monday the council did not approve the new bridge, said the mayor.",
)


def show(page: Page, tab: str, view: str = "") -> None:
    """Go to a tab, and to a view of Compare."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if view:
        page.locator("#cmp-views").get_by_role("tab", name=view, exact=True).click()


def answered(page: Page) -> None:
    """Show Compare with the pair answered by both sides."""
    show(page, "Compare", "One pair")
    expect(page.locator("#cmp-board .cmp-confusion")).to_have_count(2)
    if page.locator("#cmp-sentence2 textarea").input_value() != PAIR[1]:
        for number, sentence in enumerate(PAIR, start=1):
            page.locator(f"#cmp-sentence{number} textarea").fill(sentence)
        page.locator("#cmp-compare").click()
    expect(page.locator("#cmp-answers .cmp-meter")).to_have_count(2)


def explained(page: Page, part: str) -> None:
    """Show a part of the explanation of the pair."""
    answered(page)
    if "About:" not in page.locator("#cmp-explain-status").inner_text():
        page.locator("#cmp-explain-button").click()
        expect(page.locator("#cmp-explain-status")).to_contain_text("About:")
    page.locator("#cmp-explain-parts").get_by_role("tab", name=part, exact=True).click()


def tokenize(page: Page) -> list[Locator]:
    """The first step of Tokenize."""
    show(page, "Tokenize")
    expect(page.locator("#tk-pair")).to_contain_text("15 tokens")
    return []


def train(page: Page) -> list[Locator]:
    """A finished run."""
    show(page, "2 Fine-tune")
    page.wait_for_function("document.querySelectorAll('#run-live .js-plotly-plot').length > 0")
    return []


def compare(page: Page) -> list[Locator]:
    """One pair and the scores below it."""
    answered(page)
    return []


def what_if(page: Page) -> list[Locator]:
    """What swapping and other token types do."""
    explained(page, "What if")
    return [page.locator("#cmp-what-if")]


def words(page: Page) -> list[Locator]:
    """What each word adds, and what leaving it out does."""
    explained(page, "Words")
    drawn(page, "#cmp-effects")
    return [page.locator("#cmp-left-words"), page.locator("#cmp-right-words"), page.locator("#cmp-effects")]


def attention(page: Page) -> list[Locator]:
    """Attention between the sentences in the last layer."""
    explained(page, "Attention")
    drawn(page, "#cmp-right-attention")
    return [page.locator("#cmp-left-attention"), page.locator("#cmp-right-attention")]


def split(page: Page) -> list[Locator]:
    """All of validation."""
    show(page, "Compare", "The split")
    drawn(page, "#cmp-reliability")
    return [
        page.locator("#cmp-split-heading"),
        page.locator("#cmp-confusions"),
        page.locator("#cmp-reliability"),
    ]


def thresholds(page: Page) -> list[Locator]:
    """Temperature and threshold."""
    show(page, "Compare", "The split")
    drawn(page, "#cmp-threshold-chart")
    return [page.locator("#cmp-judgements"), page.locator("#cmp-threshold-chart")]


def ladder(page: Page) -> list[Locator]:
    """All baselines and both sides."""
    show(page, "Compare", "The split")
    page.locator("#cmp-climb").click()
    page.wait_for_function("document.querySelector('#cmp-ladder .cmp-chart')?.data?.[0].y.length >= 7")
    return [page.locator("#cmp-ladder")]


def flips(page: Page) -> list[Locator]:
    """What became of the pairs; without the pairs themselves."""
    show(page, "Compare", "Flips")
    expect(page.locator("#cmp-flip-cells .cmp-cell")).to_have_count(4)
    return [page.locator("#cmp-flip-cells")]


def kinds(page: Page) -> list[Locator]:
    """Kinds of pairs, the worst first."""
    show(page, "Compare", "Flips")
    expect(page.locator("#cmp-slices tbody tr").first).to_be_visible()
    return [page.locator("#cmp-slices")]


def probes(page: Page) -> list[Locator]:
    """The behavioural checks; without their cases."""
    show(page, "Compare", "Probes")
    page.locator("#cmp-probe").click()
    expect(page.locator("#cmp-symmetry")).to_contain_text("flips")
    drawn(page, "#cmp-probe-chart")
    return [page.locator("#cmp-symmetry"), page.locator("#cmp-probe-chart")]


def data_map(page: Page) -> list[Locator]:
    """The map of the training pairs."""
    show(page, "Compare", "Data map")
    drawn(page, "#cmp-map")
    return [page.locator("#cmp-map")]


def drawn(page: Page, chart: str) -> None:
    """Wait until a chart is drawn."""
    page.wait_for_function(
        "(chart) => document.querySelector(`${chart} .js-plotly-plot`)?.data?.length > 0", arg=chart
    )


TABS: dict[str, Callable[[Page], list[Locator]]] = {"tokenize": tokenize, "train": train, "compare": compare}
VIEWS: dict[str, Callable[[Page], list[Locator]]] = {
    "what-if": what_if,
    "words": words,
    "attention": attention,
    "split": split,
    "thresholds": thresholds,
    "ladder": ladder,
    "flips": flips,
    "kinds": kinds,
    "probes": probes,
    "map": data_map,
}


def take(page: Page, path: Path, parts: list[Locator], shown_paths: dict[str, str]) -> None:
    """Take a picture of some parts of the page, or of the whole tab where there are none."""
    page.evaluate(HIDE_PATHS, shown_paths)
    page.wait_for_timeout(800)  # bars grow to their width
    page.mouse.move(0, 0)
    if parts:
        boxes = [part.bounding_box() for part in parts]
        assert all(boxes), path
        top = min(box["y"] for box in boxes if box) - MARGIN
        bottom = max(box["y"] + box["height"] for box in boxes if box) + MARGIN
    else:
        box = page.locator("#tabs").bounding_box()
        assert box is not None
        top, bottom = box["y"], box["y"] + TAB_HEIGHT
    scrolled = page.evaluate("window.scrollY")
    area = {"x": 0.0, "y": max(top + scrolled, 0.0), "width": float(WIDTH), "height": bottom - top}
    page.screenshot(path=path, clip=area, full_page=True)


HIDE_PATHS = """(names) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const [path, name] of Object.entries(names)) {
      if (texts.currentNode.data.includes(path)) {
        texts.currentNode.data = texts.currentNode.data.replaceAll(path, name);
      }
    }
  }
}"""
"""Writes the folders of this machine as somebody would who started the app beside them."""


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs-dir", type=Path, required=True, help="folder with a finished run")
    parser.add_argument("--data-dir", type=Path, help="folder of the corpus; left out, the bundled sample")
    parser.add_argument("--only", nargs="+", choices=[*TABS, *VIEWS], help="these pictures only")
    arguments = parser.parse_args()
    runs_dir = arguments.runs_dir.resolve()
    shown_paths = {str(runs_dir): "runs"}
    flags = []
    if arguments.data_dir:
        flags = ["--data-dir", str(arguments.data_dir.resolve())]
        shown_paths[str(arguments.data_dir.resolve())] = "../mrpc"
    expect.set_options(timeout=PATIENCE_MS)
    with running_app(runs_dir, *flags) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(app.url)
        expect(page.locator("#masthead")).not_to_contain_text(re.compile("looking for it"))
        for name, prepare in (TABS | VIEWS).items():
            if not arguments.only or name in arguments.only:
                path = PICTURES_DIR / (f"{name}.png" if name in TABS else f"compare-{name}.png")
                take(page, path, prepare(page), shown_paths)
                print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
