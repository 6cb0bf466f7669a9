"""What is made of a finished run for others, as a person meets it: the export to ONNX, and publishing."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.core.data.load import load_data
from mrpc.publish.onnx import PACKAGES, read_export
from mrpc.runs.run import Run
from tests.e2e.pages import expect_no_wider, open_by
from tests.finished_run import make_finished_run
from tests.hub_server import TOKEN, HubServer
from tests.live_app import LiveApp, running_app

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture(scope="module")
def live_app(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path, hub: HubServer
) -> Iterator[LiveApp]:
    """The app with one finished run, a hub that takes uploads, and a token in its environment."""
    runs_dir = tmp_path_factory.mktemp("runs")
    make_finished_run(runs_dir, load_data("folder", tiny_data_dir), tiny_checkpoint_dir)
    data, checkpoint = str(tiny_data_dir), str(tiny_checkpoint_dir)
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    with running_app(
        runs_dir, "--data-dir", data, "--checkpoint-dir", checkpoint, environment=environment
    ) as app:
        yield app


@pytest.fixture
def run(live_app: LiveApp) -> Run:
    return live_app.store.list()[0]


def open_fold(page: Page, fold: str) -> None:
    open_by(page.locator(f"#{fold} > button"))


def test_exported_taken_away_and_compared(open_page: Callable[..., Page], run: Run, tmp_path: Path) -> None:
    for name in PACKAGES:
        pytest.importorskip(name, reason="needs the optional packages of requirements/onnx.txt")
    page = open_page("2 Fine-tune")
    open_fold(page, "onnx-fold")
    stage = page.locator("#stage-onnx")
    expect(stage).to_contain_text("Not exported yet")
    expect(page.locator("#onnx-take")).to_be_hidden()
    page.locator("#onnx-export").click()
    expect(stage.locator("progress")).to_be_visible()
    expect(stage).to_contain_text("ONNX, int8")
    export = read_export(run)
    assert export is not None
    expect(stage).to_contain_text(f"{export.files['int8'].ms_per_pair:.1f} ms")
    with page.expect_download() as taken:
        page.locator("#onnx-take").click()
    path = tmp_path / "onnx.zip"
    taken.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        assert any(name.endswith("onnx/model_quantized.onnx") for name in archive.namelist())
    stage.get_by_role("link", name="See on validation what int8 costs").click()
    expect(page.locator("#cmp-second input")).to_have_value(re.compile("ONNX int8"))
    expect(page.locator("body")).to_contain_text("ONNX int8, epoch")
    expect(page.locator("body")).to_contain_text("McNemar’s exact test")


def test_published_after_the_card_was_seen(open_page: Callable[..., Page], run: Run, hub: HubServer) -> None:
    page = open_page("2 Fine-tune")
    open_fold(page, "publish-fold")
    stage = page.locator("#stage-publish")
    expect(stage).to_contain_text("look at the card")
    expect(page.locator("#publish-go")).to_be_disabled()
    page.locator("#publish-look").click()
    expect(stage).to_contain_text("write it as owner/name")
    expect(page.locator("#publish-go")).to_be_disabled()
    page.locator("#publish-repo :is(input, textarea)").fill("ann/from-the-page")
    page.locator("#publish-look").click()
    card = page.locator("#publish-card")
    expect(card).to_contain_text("How good it is")
    expect(card).to_contain_text("What it cannot do")
    hub.refusals = {"/whoami": [401]}
    page.locator("#publish-go").click()
    expect(stage).to_contain_text("The Hub refused (401). The token is wrong or has expired.")
    page.locator("#publish-go").click()
    expect(stage).to_contain_text("Published in private")
    expect(stage.get_by_role("link")).to_have_attribute("href", f"{hub.url}/ann/from-the-page")
    assert hub.created == {"ann/from-the-page": True}
    assert TOKEN not in page.content()
    written = "".join(
        path.read_text(errors="replace") for path in run.paths.run_dir.rglob("*") if path.is_file()
    )
    assert TOKEN not in written


def test_on_a_telephone_nothing_is_cut_off(open_page: Callable[..., Page]) -> None:
    page = open_page("2 Fine-tune", width=390)
    for fold in ("onnx-fold", "publish-fold"):
        open_fold(page, fold)
    expect(page.locator("#stage-publish")).to_contain_text("look at the card")
    expect_no_wider(page, 390)
