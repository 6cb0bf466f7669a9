"""The loops side by side and the code of a run, as a person meets them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.app.train.export import CodeExport
from tests.live_app import LiveApp
from tests.written_run import write_ended

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def unfold(page: Page, fold: str) -> None:
    page.locator(f"#{fold} .label-wrap").first.click()


def test_the_loops_stand_side_by_side(open_page, live_app: LiveApp) -> None:
    page = open_page("Train")
    unfold(page, "loops-fold")
    expect(page.locator("#loops .loop")).to_have_count(3)
    expect(page.locator("#loops [data-loop=accelerate] .loop-new").first).to_contain_text("+")
    expect(page.locator("#loops [data-loop=pytorch] .loop-gone").first).to_contain_text("−")
    expect(page.locator("#loops [data-loop=trainer]")).to_contain_text("cannot continue exactly")
    accelerate = page.locator("#loops [data-loop=accelerate] pre").inner_text()
    assert "accelerator.backward(loss)" in accelerate
    tops = page.evaluate(
        "[...document.querySelectorAll('#loops pre')].map(e => e.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1], "plain and Accelerate line up"
    expect(page.locator("#trainer-arguments")).to_contain_text("of 114 values differ")
    expect(page.locator("#trainer-report")).to_contain_text("compute_metrics")


def test_the_code_of_a_run_is_shown_and_downloaded(open_page, live_app: LiveApp, tmp_path: Path) -> None:
    run = write_ended(live_app.runs_dir, seed=77)
    page = open_page("Train")
    page.locator(f"#runs [data-run='{run.run_id}']").first.click()
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 77")
    expect(page.locator(".export-commands")).to_contain_text(
        "python train.py --checkpoint DIR --data-dir DIR"
    )
    expect(page.locator(".export-commands")).to_contain_text("accelerate launch train.py")
    export = CodeExport(live_app.store)
    for label, form in (("Plain PyTorch", "pytorch"), ("Trainer", "trainer"), ("Notebook", "notebook")):
        page.locator("#export-form").get_by_label(label, exact=True).check()
        name = export.file_name(form)
        link = page.get_by_role("link", name=f"Download {name}")
        marker = {"pytorch": "plain PyTorch", "trainer": "PairTrainer", "notebook": "notebook_launcher"}[form]
        expect(page.locator("#export-code")).to_contain_text(marker)
        with page.expect_download() as download:
            link.click()
        target = tmp_path / f"{form}-{name}"
        download.value.save_as(target)
        assert target.read_text(encoding="utf-8") == export.export_code(run.run_id, form)
    ast.parse((tmp_path / "pytorch-train.py").read_text(encoding="utf-8"))


def test_the_code_follows_the_run_while_its_fold_is_open(open_page, live_app: LiveApp) -> None:
    runs = [write_ended(live_app.runs_dir, seed=seed) for seed in (81, 82)]
    page = open_page("Train")
    page.locator(f"#runs [data-run='{runs[0].run_id}']").first.click()
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 81")
    page.locator(f"#runs [data-run='{runs[1].run_id}']").first.click()
    expect(page.locator("#export-code")).to_contain_text("SEED = 82")
    unfold(page, "export-fold")  # closes it
    page.locator(f"#runs [data-run='{runs[0].run_id}']").first.click()
    expect(page.locator("#run-status")).to_contain_text("81")
    unfold(page, "export-fold")
    expect(page.locator("#export-code")).to_contain_text("SEED = 81")


def test_a_narrow_page_does_not_scroll_sideways(open_page, live_app: LiveApp) -> None:
    page = open_page("Train", width=390)
    unfold(page, "loops-fold")
    expect(page.locator("#loops .loop")).to_have_count(3)
    unfold(page, "export-fold")
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
