"""Takes the pictures of README, of assets/readme/ and of docs/: the real app, in a real browser.

    python -m benchmarks.pictures --runs-dir runs --data-dir ../mrpc              # all of them
    python -m benchmarks.pictures --runs-dir runs --data-dir ../mrpc --only inspect train

The runs folder needs a finished run, of at least three epochs for the data map; the newest is taken. Test is
looked at for the card alone, which has scores on it: its answers are then kept in the run. Inspect is shown
on the bundled sample, and the other tabs show sentences made for this purpose: no row of the corpus.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from mrpc.core.data.load import SAMPLE_DIR
from tests.browser import LAUNCH_ARGS, find_chromium
from tests.live_app import running_app

PROJECT_DIR = Path(__file__).resolve().parents[1]

PICTURES_DIR = PROJECT_DIR / "assets" / "readme"
WIDTH, HEIGHT = 1280, 900
MARGIN = 16
PEOPLE = "owner-and-visitor"
PHONE: ViewportSize = {"width": 390, "height": 1000}
OWNER_KEY = "the-key-of-the-owner-of-this-app"
PATIENCE_MS = 300_000
"""A minute for reading all training pairs with the encoder on an idle machine; this one may be busy."""

PAIR = (
    "The council approved the new bridge on Monday, the mayor said.",
    "On Monday the council did not approve the new bridge, said the mayor.",
)


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        at: the tab and view, as they stand in the page's address.
        parts: selectors of what is in the picture; the first screen of the page where there are none.
        prepare: brings the parts into sight and waits for them.
        pair: whether the pair of this file is the current one; else the pair of the course.
        folder: where it is kept.
        is_tight: whether it is as narrow as its parts; else as wide as the page.
    """

    at: str
    parts: tuple[str, ...]
    prepare: Callable[[Page], None]
    pair: bool = False
    folder: Path = PICTURES_DIR
    is_tight: bool = False


def unfold(page: Page, section: str) -> None:
    """Open a folded section."""
    page.locator(f"#cmp-{section}-section .label-wrap").click()


def drawn(page: Page, chart: str) -> None:
    """Wait until a chart is drawn."""
    expect(page.locator(f"{chart} .js-plotly-plot .main-svg").first).to_be_visible()


def settled(page: Page, stage: str, text: str | re.Pattern[str]) -> None:
    """Wait until a view shows what it has to."""
    expect(page.locator(f"#stage-{stage}")).to_contain_text(text)
    expect(page.locator(f":is(#stage-{stage}, #stage-{stage} *).stale")).to_have_count(0)


def baselines_told(page: Page) -> None:
    """Wait for the baselines that read every sentence with the encoder."""
    expect(page.get_by_text("Against “cosine of the untrained")).to_be_visible()
    expect(page.get_by_text("Still to come")).to_have_count(0)


def prepare_inspect(page: Page) -> None:
    """The tokens of the course's pair."""
    expect(page.locator("#stage-pair .tk-chips").first.get_by_role("option")).to_have_count(15)


def prepare_data(page: Page) -> None:
    """Rows of the sample."""
    expect(page.locator("#stage-data tbody tr").first).to_be_visible()
    expect(page.locator("#data-about")).to_contain_text("Class balance")


def prepare_batch(page: Page) -> None:
    """A batch as a grid, and what padding costs."""
    settled(page, "batch", "Shapes of the batch")
    expect(page.locator("#split-padding")).to_contain_text("The whole split")


def prepare_step(page: Page) -> None:
    """A batch through the model, and one step of AdamW."""
    settled(page, "model-input", "softmax")
    page.locator("#step-run").click()
    settled(page, "training-step", "How far the weights moved")


def prepare_train(page: Page) -> None:
    """A finished run beside the form of the next one."""
    drawn(page, "#run-live")
    expect(page.locator("#train-plan")).to_contain_text("steps")


def prepare_card(page: Page) -> None:
    """The card of the run, with its scores on test."""
    page.locator("#publish-fold .label-wrap").click()
    page.locator("#publish-repo :is(input, textarea)").fill("ann/paraphrases")
    page.locator("#publish-test input").check()
    page.locator("#publish-look").click()
    expect(page.locator("#publish-card")).to_contain_text("How it was made")
    page.add_style_tag(content="#publish-card, #publish-card * { max-height: none !important }")


def prepare_compare(page: Page) -> None:
    """Both answers."""
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    settled(page, "compare-proposals", "A pair that it changed")


def prepare_what_if(page: Page) -> None:
    """What swapping and other token types do."""
    unfold(page, "what-if")
    settled(page, "compare-what-if", "One answer takes")


def prepare_words(page: Page) -> None:
    """What each word adds, and what leaving it out does."""
    unfold(page, "words")
    settled(page, "compare-words", "Gauss-Legendre points")
    drawn(page, "#cmp-effects")


def prepare_attention(page: Page) -> None:
    """Attention between the sentences in the last layer."""
    unfold(page, "attention")
    drawn(page, "#cmp-first-attention")
    drawn(page, "#cmp-second-attention")


def prepare_scores(page: Page) -> None:
    """The verdict and the scores."""
    settled(page, "compare-scores", "always the more frequent answer")
    baselines_told(page)
    expect(page.locator("#cmp-scores .cmp-confusion")).to_have_count(2)


def prepare_baselines(page: Page) -> None:
    """All baselines and both sides."""
    baselines_told(page)
    unfold(page, "baselines")
    expect(page.locator("#cmp-baselines-table tbody tr")).to_have_count(7)
    drawn(page, "#cmp-baselines")


def prepare_calibration(page: Page) -> None:
    """Reliability, temperature and threshold."""
    unfold(page, "calibration")
    for name in ("roc", "precision-recall", "reliability", "threshold-chart"):
        drawn(page, f"#cmp-{name}")


def prepare_tests(page: Page) -> None:
    """The behavioural tests; without their cases."""
    settled(page, "compare-tests", "fails most on")
    drawn(page, "#cmp-tests-chart")


def prepare_changes(page: Page) -> None:
    """What became of the pairs; without the pairs themselves."""
    expect(page.locator("#stage-compare-pairs .cmp-cell")).to_have_count(4)


def prepare_kinds(page: Page) -> None:
    """Kinds of pairs, the worst first."""
    unfold(page, "kinds")
    expect(page.locator("#cmp-kinds tbody tr").first).to_be_visible()


def prepare_map(page: Page) -> None:
    """The map of the training pairs."""
    unfold(page, "map")
    drawn(page, "#cmp-map")


PICTURES = {
    "inspect": Picture("inspect/pair", (), prepare_inspect),
    "inspect-data": Picture("inspect/data", ("#inspect-views",), prepare_data),
    "inspect-batch": Picture("inspect/batch", ("#inspect-views",), prepare_batch),
    "inspect-step": Picture("inspect/step", ("#inspect-views",), prepare_step),
    "train": Picture("train/start", (), prepare_train),
    "model-card": Picture(
        "train/start", ("#publish-card",), prepare_card, folder=PROJECT_DIR / "docs", is_tight=True
    ),
    # What is proposed below the answers are rows of the corpus.
    "compare": Picture("compare/pair", ("#masthead", "#stage-compare-answers"), prepare_compare, pair=True),
    "compare-answers": Picture("compare/pair", ("#stage-compare-answers",), prepare_compare, pair=True),
    "compare-what-if": Picture("compare/pair", ("#cmp-what-if-section",), prepare_what_if, pair=True),
    "compare-words": Picture("compare/pair", ("#cmp-words-section",), prepare_words, pair=True),
    "compare-attention": Picture(
        "compare/pair", ("#cmp-first-attention", "#cmp-second-attention"), prepare_attention, pair=True
    ),
    "compare-scores": Picture("compare/scores", ("#stage-compare-scores", "#cmp-scores"), prepare_scores),
    "compare-baselines": Picture("compare/scores", ("#cmp-baselines-section",), prepare_baselines),
    "compare-calibration": Picture("compare/scores", ("#cmp-calibration-section",), prepare_calibration),
    "compare-tests": Picture("compare/where", ("#stage-compare-tests", "#cmp-tests-chart"), prepare_tests),
    "compare-changes": Picture("compare/where", ("#stage-compare-pairs .cmp-cells",), prepare_changes),
    "compare-kinds": Picture("compare/where", ("#cmp-kinds-section",), prepare_kinds),
    "compare-map": Picture("compare/where", ("#cmp-map-section",), prepare_map),
}


def take(page: Page, url: str, picture: Picture, path: Path, shown_paths: dict[str, str]) -> None:
    """Open the page where the picture is, and take it."""
    pair = {"s1": PAIR[0], "s2": PAIR[1]} if picture.pair else {}
    page.goto(f"{url}/?{urlencode({'at': picture.at} | pair)}")
    expect(page.locator("#masthead")).not_to_contain_text(re.compile("looking for it"))
    picture.prepare(page)
    page.evaluate(HIDE_PATHS, shown_paths)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # bars grow to their width
    top, bottom = 0.0, float(HEIGHT)
    left, right = 0.0, float(WIDTH)
    if picture.parts:
        boxes = [page.locator(part).first.bounding_box() for part in picture.parts]
        assert all(boxes), path
        scrolled = page.evaluate("window.scrollY")
        top = max(min(box["y"] for box in boxes if box) + scrolled - MARGIN, 0.0)
        bottom = max(box["y"] + box["height"] for box in boxes if box) + scrolled + MARGIN
        if picture.is_tight:
            left = min(box["x"] for box in boxes if box) - MARGIN
            right = max(box["x"] + box["width"] for box in boxes if box) + MARGIN
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    page.screenshot(path=path, clip=clip, full_page=True)


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
    every = [*PICTURES, PEOPLE]
    parser.add_argument("--only", nargs="+", choices=every, help="these pictures only")
    arguments = parser.parse_args()
    asked = arguments.only or every
    names = [name for name in asked if name in PICTURES]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(LAUNCH_ARGS))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        for data_dir, group in (
            (SAMPLE_DIR, [name for name in names if PICTURES[name].at.startswith("inspect/")]),
            (arguments.data_dir, [name for name in names if not PICTURES[name].at.startswith("inspect/")]),
        ):
            take_group(page, group, arguments.runs_dir.resolve(), data_dir)
        if PEOPLE in asked:
            take_people(browser, arguments.runs_dir.resolve())
        browser.close()


def take_people(browser: Browser, runs_dir: Path) -> None:
    """Take one picture of what the owner and a visitor see on a phone, in light and in dark."""
    shots = []
    flags = ("--host", "0.0.0.0", "--data-dir", str(SAMPLE_DIR))
    with running_app(runs_dir, *flags, environment={"MRPC_OWNER_KEY": OWNER_KEY}) as app:
        for first in (f"/?owner={OWNER_KEY}", "/"):
            for scheme in ("light", "dark"):
                phone = browser.new_page(viewport=PHONE, color_scheme=scheme, device_scale_factor=1.5)
                phone.goto(f"{app.url}{first}")
                phone.goto(f"{app.url}/?at=train/start")
                expect(phone.locator("#masthead")).not_to_contain_text("looking for it")
                prepare_train(phone)
                phone.evaluate("scrollTo(0, 0)")
                phone.wait_for_timeout(1000)
                shots.append(Image.open(io.BytesIO(phone.screenshot())))
                phone.close()
    width, height = shots[0].size
    picture = Image.new("RGB", (len(shots) * width, height))
    for number, shot in enumerate(shots):
        picture.paste(shot, (number * width, 0))
    path = PROJECT_DIR / "docs" / f"{PEOPLE}.png"
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def take_group(page: Page, names: list[str], runs_dir: Path, data_dir: Path | None) -> None:
    """Take some pictures of one app."""
    if not names:
        return
    shown_paths = {str(runs_dir): "runs", f"{PROJECT_DIR}/": ""}
    flags = []
    if data_dir is not None:
        flags = ["--data-dir", str(data_dir.resolve())]
        shown_paths.setdefault(str(data_dir.resolve()), "../mrpc")
    with running_app(runs_dir, *flags) as app:
        for name in names:
            path = PICTURES[name].folder / f"{name}.png"
            take(page, app.url, PICTURES[name], path, shown_paths)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
