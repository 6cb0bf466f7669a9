"""The queue, the list of runs and what is done with them, as a person meets it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.app.train.catalog import Catalog
from mrpc.files import write_model
from mrpc.runs.events import PinnedPairEvent
from mrpc.runs.queue import RunQueue
from mrpc.runs.store import Run
from tests.e2e.test_train import EVIL, start_training
from tests.live_app import LiveApp
from tests.written_run import create_run, write_ended, write_events, write_running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def data_dir(long_data_dir: Path) -> Path:
    return long_data_dir


@pytest.fixture(autouse=True)
def _a_clean_folder(live_app: LiveApp) -> Iterator[None]:
    yield
    live_app.end_trainings()
    queue = RunQueue(live_app.runs_dir)
    for run_id in queue.read():
        queue.remove(run_id)
    for run in live_app.store.list():
        live_app.store.remove(run)
    live_app.store.empty_trash()


def select(page: Page, run: Run) -> None:
    page.locator(f"[data-run='{run.run_id}']").click()
    expect(page.locator("#run-status h2")).to_have_text(re.compile(f"{run.run_id}|baseline"))


def traces(page: Page, place: str) -> list[dict]:
    page.wait_for_function(f"document.querySelector('{place}')?.data?.length > 0")
    return page.evaluate(
        f"document.querySelector('{place}').data.map(t => [t.name, t.line.color, t.line.dash])"
    )


def test_what_waits_is_shown_moved_and_trained(open_page, live_app: LiveApp):
    page = open_page("Train")
    start_training(page, num_epochs=50)
    expect(page.locator("#run-status .state")).to_contain_text("running", timeout=90_000)
    page.locator("#train-num-epochs input").fill("1")
    page.locator("#train-num-train-pairs input").fill("64")
    for seed in ("5", "6"):
        page.get_by_role("button", name="More settings").click()
        page.locator("#train-seed input").fill(seed)
        page.get_by_role("button", name="More settings").click()
        page.get_by_role("button", name="Add to queue", exact=True).first.click()
        expect(page.locator("#queue")).to_contain_text(f"seed {seed}")
    expect(page.locator("#queue")).to_contain_text("without it the queue waits")
    expect(page.locator("#queue li").first).to_contain_text("seed 5")
    page.locator("#queue li").nth(1).get_by_role("button", name="Earlier").press("Enter")
    expect(page.locator("#queue li").first).to_contain_text("seed 6")
    page.locator("#queue li").nth(1).get_by_role("button", name="Remove").click()
    expect(page.locator("#queue li")).to_have_count(1)
    page.get_by_role("button", name="Stop …").click()
    page.get_by_role("button", name="Discard …").click()
    page.get_by_role("button", name="Yes, discard").click()
    expect(page.locator("#queue li")).to_have_count(0, timeout=60_000)
    (trained,) = [run for run in live_app.store.list() if run.config.hyperparameters.seed == 6]
    live_app.wait_for_state(trained.run_id, "finished")
    expect(page.locator(f"#runs tr:has([data-run='{trained.run_id}'])")).to_contain_text("finished")


def test_chosen_runs_keep_their_colour_and_show_what_differs(open_page, live_app: LiveApp):
    first = write_ended(live_app.runs_dir, seed=1)
    second = write_ended(live_app.runs_dir, seed=1, learning_rate=1e-3)
    third = write_ended(live_app.runs_dir, seed=2)
    page = open_page("Train")
    for run in (first, second, third):
        page.locator(f"[data-compare='{run.run_id}']").check()
    expect(page.locator("#overlay-table tbody tr")).to_have_count(3)
    head = page.locator("#overlay-table thead")
    expect(head).to_contain_text("learning rate")
    expect(head).to_contain_text("seed")
    assert "warmup" not in head.inner_text()
    loss = traces(page, "#overlay [data-plot=loss]")
    assert len({(color, dash) for _, color, dash in loss}) == 3
    assert traces(page, "#overlay [data-plot=f1]") == loss
    expect(page.locator("#overlay [data-plot-caption]")).to_contain_text("seed 2")
    page.locator(f"[data-compare='{first.run_id}']").press("Space")
    expect(page.locator("#overlay-table tbody tr")).to_have_count(2)
    page.wait_for_function("document.querySelector('#overlay [data-plot=f1]').data.length === 2")
    assert traces(page, "#overlay [data-plot=f1]") == loss[1:]
    live_app.store.move_to_trash(second)  # another page deletes a chosen run
    expect(page.locator("#overlay-table tbody tr")).to_have_count(1)


def test_name_duplicate_record_and_delete(open_page, live_app: LiveApp):
    other = write_ended(live_app.runs_dir)
    run = write_ended(live_app.runs_dir, seed=77, learning_rate=3e-4)
    page = open_page("Train")
    select(page, run)
    page.get_by_role("button", name="Name and note …").click()
    page.get_by_label("Name", exact=True).fill("baseline " + EVIL[:40])
    page.get_by_label("Note", exact=True).fill(EVIL)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(f"[data-run='{run.run_id}']")).to_contain_text("baseline <script>")
    expect(page.locator("#run-status h2")).to_contain_text("baseline <script>")
    page.get_by_role("button", name="Use its settings").click()
    expect(page.locator("#train-learning-rate textarea, #train-learning-rate input")).to_have_value("3e-4")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the record").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"config.json", "events.csv", "reproduce.sh"} <= set(archive.namelist())
    page.get_by_role("button", name="Delete …").click()
    page.locator("#delete-cancel").click()
    expect(page.locator("#delete-yes")).to_be_hidden()
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Yes, delete").click()
    expect(page.locator(f"[data-run='{run.run_id}']")).to_have_count(0)
    expect(page.locator("#run-status h2")).to_have_text(other.run_id)
    page.get_by_role("button", name="Disk").click()
    page.get_by_role("button", name="Empty the trash …").click()
    page.get_by_role("button", name="Yes, empty it").click()
    expect(page.locator("#disk-message")).to_contain_text("The trash is empty")
    assert live_app.store.trash_bytes() == 0
    assert page.evaluate("window.hurt") is None


def test_repeats_with_seeds(open_page, live_app: LiveApp):
    running = write_running(live_app.runs_dir, seed=9)  # so that the repeats wait
    source = write_ended(live_app.runs_dir, seed=1)
    repeat = write_ended(live_app.runs_dir, seed=2)
    write_model(repeat.paths.config, repeat.config.model_copy(update={"group": source.run_id}))
    page = open_page("Train")
    select(page, source)
    expect(page.locator("#seeds-table")).to_contain_text("Mean and standard deviation of 2 of 2 runs")
    expect(page.locator("#seeds-plot .main-svg").first).to_be_visible()
    page.get_by_role("button", name="Repeat with seeds …").click()
    page.locator("#num-seeds input").fill("99")
    page.locator("#seeds-queue").click()
    expect(page.locator("#manage-message")).to_contain_text("from 1 to 20")
    page.locator("#num-seeds input").fill("2")
    page.locator("#seeds-queue").click()
    # The settings are those of the default checkpoint, so these runs only wait here.
    expect(page.locator("#queue li")).to_have_count(2)
    expect(page.locator("#seeds-table tbody tr")).to_have_count(4)
    live_app.store.remove(running)


def test_pinned_pairs(open_page, live_app: LiveApp):
    run = write_running(live_app.runs_dir)
    page = open_page("Train")
    page.get_by_role("button", name="Pinned pairs").click()
    page.locator("#probe-sentence1 textarea, #probe-sentence1 input").fill("The bank rose. " + EVIL)
    page.locator("#probe-sentence2 textarea, #probe-sentence2 input").fill("The bank fell.")
    page.get_by_role("button", name="Pin this pair").click()
    expect(page.locator("#probes-list")).to_contain_text("after the next evaluation")
    (probe,) = Catalog(live_app.store).read_pinned(run.run_id)
    write_events(run, [PinnedPairEvent(step=30, epoch=1, probabilities={probe.pair_id: 0.25})])
    expect(page.locator("#probes-list")).to_contain_text("equivalent: 0.250")
    page.wait_for_function("document.querySelector('[data-plot=probes]').data[0].y[0] === 0.25")
    page.get_by_role("button", name="Let pair 1 go").click()
    expect(page.locator("#probes-list")).to_contain_text("No pair is pinned")
    assert page.evaluate("window.hurt") is None
    live_app.store.remove(run)


def test_a_limit_on_the_disk_shows_what_would_go(open_page, live_app: LiveApp):
    run = write_ended(live_app.runs_dir)
    (live_app.runs_dir / "notes.txt").write_text("mine")
    page = open_page("Train")
    page.get_by_role("button", name="Disk").click()
    page.locator("#disk-limit input").fill("0")
    page.get_by_role("button", name="Show what would go").click()
    expect(page.locator("#disk-plan")).to_contain_text(run.run_id)
    assert live_app.store.list()
    page.get_by_role("button", name="Move these to the trash").click()
    expect(page.locator("#disk-message")).to_contain_text("moved to the trash")
    expect(page.locator(f"[data-run='{run.run_id}']")).to_have_count(0)
    page.locator("#foreign summary").click()
    expect(page.locator("#foreign")).to_contain_text("notes.txt: not a run folder")
    (live_app.runs_dir / "notes.txt").unlink()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(open_page, live_app: LiveApp, width: int, scheme: str):
    runs = [write_ended(live_app.runs_dir, seed=seed) for seed in (1, 2)]
    running = write_running(live_app.runs_dir)
    waiting = create_run(live_app.runs_dir)
    RunQueue(live_app.runs_dir).add(waiting.run_id)
    page = open_page("Train", width=width, color_scheme=scheme)
    for run in runs:
        page.locator(f"[data-compare='{run.run_id}']").check()
    expect(page.locator("#overlay .main-svg").first).to_be_visible()
    for fold in ("Pinned pairs", "Disk"):
        page.get_by_role("button", name=fold).click()
    expect(page.locator("#queue li")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    live_app.store.remove(running)
