"""The page as one story: from an empty folder to a comparison, by mouse and keyboard; the course's path."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.app.guides import read_paths
from tests.e2e.pages import expect_settled, stale, tab_to
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp

pytestmark = pytest.mark.e2e

TRAINED_MS = 300_000
(PATH,) = [path for path in read_paths() if path.name == "chapter-3"]


def test_two_clicks_from_an_empty_folder_to_a_comparison(open_page, live_app: LiveApp):
    """First of this file, while the runs folder is empty."""
    page = open_page("2 Fine-tune")
    expect(page.locator(".run-empty")).to_contain_text("Here you will see")
    for fold in ("#evaluation", ".followed", ".run-log", "#export-fold", "#onnx-fold", "#publish-fold"):
        expect(page.locator(fold)).to_be_hidden()
    page.get_by_role("tab", name="3 Compare").click()
    page.get_by_role("button", name="Train a preview").click()
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2, timeout=TRAINED_MS)
    expect(page.locator("#cmp-first input")).to_have_value("Base")
    expect(page.get_by_role("heading", name="A pair that it changed")).to_be_visible()


def test_the_keyboard_alone_types_a_pair_trains_and_compares(open_page, live_app: LiveApp):
    before = {run.run_id for run in live_app.store.list()}
    page = open_page("1 Inspect")
    page.locator("body").press("Home")
    for place, text in (
        ("#sentence1 textarea", "The river rose."),
        ("#sentence2 textarea", "The river fell."),
    ):
        tab_to(page, place)
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(text)
    expect(page.locator("#stage-pair")).to_contain_text("river")
    tab_to(page, "#at-inspect-button")
    page.keyboard.press("ArrowRight")
    if page.evaluate("document.activeElement.getAttribute('aria-selected')") != "true":
        page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="2 Fine-tune")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#train-plan")).to_contain_text("optimizer steps")
    tab_to(page, "#train-preset input")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#train-preset label.selected")).to_contain_text("Quick")
    expect(page.locator("#train-plan")).to_contain_text("1 epoch")
    tab_to(page, "#train-start")
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Compare this run")
    expect(page.locator("#run-live .state")).to_contain_text(re.compile("starting|running"))
    expect(link).to_be_visible(timeout=TRAINED_MS)
    (run,) = [one for one in live_app.store.list() if one.run_id not in before]
    tab_to(page, "#run-live a.act.large")
    page.keyboard.press("Enter")
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    expect(page.locator("#run input")).not_to_have_value("")
    expect(page).to_have_url(re.compile(f"run={run.run_id}"))
    expect(page.locator("#sentence2 textarea")).to_have_value("The river fell.")


WATCH_STALE = """
() => {
  window.wasStale = 0;
  new MutationObserver((changes) => {
    window.wasStale += changes.filter(({target, oldValue}) =>
      target.classList.contains("stale") && !(oldValue ?? "").includes("stale")).length;
  }).observe(document.getElementById("stage-compare-answers"),
             { attributes: true, attributeFilter: ["class"], attributeOldValue: true, subtree: true });
}"""


def test_answers_are_dimmed_however_a_sentence_changes(
    open_page, live_app, tiny_data_dir, tiny_checkpoint_dir
):
    from mrpc.core.data.load import load_data

    make_finished_run(live_app.runs_dir, load_data("folder", tiny_data_dir), tiny_checkpoint_dir)
    page = open_page("3 Compare", permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    expect_settled(page, "compare-answers")
    page.evaluate(WATCH_STALE)
    field = page.locator("#sentence1 textarea")

    def paste():
        page.evaluate("navigator.clipboard.writeText('Pasted words.')")
        field.focus()
        page.keyboard.press("ControlOrMeta+v")

    def undo():
        field.focus()
        page.keyboard.press("ControlOrMeta+z")

    def drop():
        page.locator("#sentence2 textarea").select_text()
        field.evaluate(
            """(area) => {
              const data = new DataTransfer();
              data.setData("text/plain", "dropped");
              area.focus();
              document.execCommand("insertText", false, "dropped");
              area.dispatchEvent(new InputEvent("input", { inputType: "insertFromDrop", dataTransfer: data,
                                                           bubbles: true }));
            }"""
        )

    def script():
        field.evaluate(
            """(area) => {
              const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
              set.call(area, "Set by a script.");
              area.dispatchEvent(new Event("input", { bubbles: true }));
            }"""
        )

    for change in (paste, undo, drop, script):
        page.evaluate("window.wasStale = 0")
        change()
        page.wait_for_function("window.wasStale > 0")
        expect(page.locator(stale("compare-answers"))).to_have_count(0)
        expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)


def test_every_stop_of_the_path_asks_leads_and_answers(open_page):
    page = open_page("1 Inspect")
    for number, stop in enumerate(PATH.stops, start=1):
        page.get_by_role("button", name="Course path").click()
        place = page.locator(f"#course-path [data-path=chapter-3] [data-stop='{number}']")
        expect(place).to_contain_text(stop.question)
        expect(place.locator("details p")).to_be_hidden()
        place.get_by_role("link", name="Look").click()
        tab, view = stop.at.split("/")
        button = page.locator(f"#at-{tab}-{view}-button")
        expect(button).to_have_attribute("aria-selected", "true")
        expect(button).to_be_visible()
        for fold in re.findall(r"open=([\w-]+)", stop.link):
            head = page.locator(f"#{fold} > :is(summary, button)")
            expect(head).to_be_visible()
            page.wait_for_function(
                "(id) => { const fold = document.getElementById(id);"
                " return fold.open || fold.querySelector(':scope > button')?.classList.contains('open'); }",
                arg=fold,
            )
        expect(page.locator("#masthead")).not_to_contain_text("looking for it")
        page.get_by_role("button", name="Course path").click()
        expect(place).to_have_class(re.compile("seen"))
        place.locator("summary").click()
        expect(place.locator("details p")).to_have_text(stop.answer)
        expect(page.locator("[data-path=chapter-3] [data-path-done]")).to_have_text(str(number))
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Course path").click()
    page.locator("[data-path=chapter-3] [data-path-reset]").click()
    expect(page.locator("[data-path=chapter-3] [data-path-done]")).to_have_text("0")


def test_the_path_is_printed_with_its_answers_and_nothing_else(open_page, tmp_path: Path):
    page = open_page("1 Inspect")
    page.get_by_role("button", name="Course path").click()
    page.evaluate("window.print = () => {}")
    page.locator("[data-path=chapter-3] [data-path-print]").click()
    page.emulate_media(media="print")
    for stop in PATH.stops:
        expect(page.locator(".print-sheet").get_by_text(stop.answer)).to_be_visible()
    expect(page.locator("#tabs")).to_be_hidden()
    expect(page.locator("#spine")).to_be_hidden()
    page.pdf(path=tmp_path / "path.pdf")
    assert (tmp_path / "path.pdf").read_bytes().count(b"/Type /Page\n") >= 2, "no stop is cut off"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#tabs")).to_be_visible()


def test_what_axe_says_of_the_open_path(open_page):
    from tests.e2e.pages import serious_faults

    page: Page = open_page("1 Inspect")
    page.get_by_role("button", name="Course path").click()
    page.locator("[data-stop='1'] summary").click()
    assert serious_faults(page) == []
