"""The loops side by side and the code of a run, as a person meets them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.app.train.export import export_code
from tests.e2e.pages import expect_no_wider, open_by
from tests.e2e.test_train import look_at
from tests.live_app import LiveApp
from tests.written_run import write_ended

pytestmark = pytest.mark.e2e


def unfold(page: Page, fold: str) -> None:
    open_by(page.locator(f"#{fold} > button"))


def test_the_loops_stand_side_by_side(open_page, live_app: LiveApp) -> None:
    page = open_page("2 Fine-tune")
    page.get_by_role("tab", name="Three loops", exact=True).click()
    loops = page.locator("#loops .loop")
    expect(loops).to_have_count(3)
    expect(page.locator("#loops [data-loop=accelerate] .loop-new").first).to_contain_text("+")
    expect(page.locator("#loops [data-loop=pytorch] .loop-gone").first).to_contain_text("−")
    expect(page.locator("#loops [data-loop=trainer]")).to_contain_text("cannot continue exactly")
    unfold(page, "accelerate-fold")
    expect(page.locator("#accelerate-commands")).to_contain_text("Which type of machine are you using?")
    expect(page.locator("#accelerate-commands")).to_contain_text("distributed_type")
    unfold(page, "loop-files-fold")
    files = page.locator("#loop-files")
    expect(files.locator("[data-loop=accelerate] pre")).to_contain_text("accelerator.backward(loss)")
    tops = page.evaluate(
        "[...document.querySelectorAll('#loop-files pre')].map(e => e.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1], "plain and Accelerate line up"
    unfold(page, "arguments-fold")
    expect(page.locator("#trainer-arguments")).to_contain_text("of 114 values differ")
    expect(page.locator("#trainer-arguments")).to_contain_text("compute_metrics")


def test_the_code_of_a_run_is_shown_and_downloaded(open_page, live_app: LiveApp, tmp_path: Path) -> None:
    run = write_ended(live_app.runs_dir, seed=77)
    page = open_page("2 Fine-tune", query=f"run={run.run_id}")
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 77")
    expect(page.locator(".export-commands")).to_contain_text(
        "python train.py --checkpoint DIR --data-dir DIR"
    )
    expect(page.locator(".export-commands")).to_contain_text("accelerate launch train.py")
    for label, form in (("Plain PyTorch", "pytorch"), ("Trainer", "trainer"), ("Notebook", "notebook")):
        page.locator("#export-form").get_by_label(label, exact=True).check()
        name = "train.ipynb" if form == "notebook" else "train.py"
        link = page.get_by_role("link", name=f"Download {name}")
        marker = {"pytorch": "plain PyTorch", "trainer": "PairTrainer", "notebook": "notebook_launcher"}[form]
        expect(page.locator("#export-code")).to_contain_text(marker)
        with page.expect_download() as download:
            link.click()
        target = tmp_path / f"{form}-{name}"
        download.value.save_as(target)
        assert target.read_text(encoding="utf-8") == export_code(run, form)
    ast.parse((tmp_path / "pytorch-train.py").read_text(encoding="utf-8"))


def test_the_code_follows_the_run_while_its_fold_is_open(open_page, live_app: LiveApp) -> None:
    runs = [write_ended(live_app.runs_dir, seed=seed) for seed in (81, 82)]
    page = open_page("2 Fine-tune", query=f"run={runs[0].run_id}")
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 81")
    look_at(page, runs[1])
    expect(page.locator("#export-code")).to_contain_text("SEED = 82")
    unfold(page, "export-fold")  # closes it
    asked = []
    page.on("request", lambda request: asked.append(request) if "/run/" in request.url else None)
    look_at(page, runs[0])
    expect(page.locator("#run-live")).to_contain_text(runs[0].run_id)
    assert not asked, "a closed fold asks for nothing"
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 81")


def test_a_narrow_page_does_not_scroll_sideways(open_page, live_app: LiveApp) -> None:
    page = open_page("2 Fine-tune", width=390)
    unfold(page, "export-fold")
    page.get_by_role("tab", name="Three loops", exact=True).click()
    expect(page.locator("#loops .loop")).to_have_count(3)
    page.wait_for_timeout(400)
    expect_no_wider(page, 390)
    page.get_by_role("tab", name="Runs", exact=True).click()
    page.wait_for_timeout(400)
    expect_no_wider(page, 390)
