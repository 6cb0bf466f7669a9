"""The queue, the list of runs and what is done with them, as a person meets it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from mrpc.app.format import run_title
from mrpc.core.data.load import load_data
from mrpc.files import write_model
from mrpc.runs.events import PinnedPairEvent
from mrpc.runs.queue import RunQueue
from mrpc.runs.run import Run
from tests.e2e.pages import expect_no_wider, open_by
from tests.e2e.test_train import EVIL, discard, fill_setting, start_training
from tests.live_app import LiveApp
from tests.written_run import (
    create_run,
    evaluation_event,
    started_event,
    step_event,
    write_ended,
    write_events,
    write_process,
    write_running,
    write_status,
)

pytestmark = pytest.mark.e2e


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


def open_runs(page: Page) -> None:
    open_by(page.get_by_role("tab", name="Runs", exact=True))


def open_train(page: Page) -> None:
    open_by(page.get_by_role("tab", name="Train", exact=True))


def row(page: Page, run: Run) -> Locator:
    return page.locator(f"#runs-live tr[data-id='{run.run_id}']")


def select(page: Page, run: Run) -> None:
    row(page, run).locator("td.opens button").click()
    expect(row(page, run)).to_have_attribute("aria-current", "true")


def question(page: Page, label: str) -> None:
    page.locator("#runs-live summary", has_text=label).click()


def traces(page: Page, place: str, num: int) -> list[dict]:
    page.wait_for_function(f"document.querySelector('{place}')?.data?.length === {num}")
    return page.evaluate(
        f"document.querySelector('{place}').data.map(t => [t.name, t.line.color, t.line.dash])"
    )


def test_what_waits_is_shown_moved_and_trained(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    start_training(page, num_epochs=50)
    expect(page.locator("#run-live .state")).to_contain_text("running")
    fill_setting(page, "num_epochs", 1)
    fill_setting(page, "num_train_pairs", 64)
    for seed, said in (("5", "starts as soon as"), ("6", "It is number 2")):
        fill_setting(page, "seed", seed)
        page.locator("#train-queue").click()
        expect(page.locator("#train-message")).to_contain_text(said)
    open_runs(page)
    queue = page.locator("#runs-live .queue li")
    expect(page.locator("#runs-live .queue")).to_contain_text("without it the queue waits")
    expect(queue.first).to_contain_text("seed 5")
    queue.nth(1).get_by_role("button", name="Earlier").press("Enter")
    expect(queue.first).to_contain_text("seed 6")
    queue.nth(1).get_by_role("button", name="Remove").click()
    expect(queue).to_have_count(1)
    open_train(page)
    discard(page)
    open_runs(page)
    expect(queue).to_have_count(0)
    (trained,) = [run for run in live_app.store.list() if run.config.hyperparameters.seed == 6]
    live_app.wait_for_state(trained.run_id, "finished")
    expect(row(page, trained)).to_contain_text("finished")


def test_chosen_runs_keep_their_colour_and_show_what_differs(open_page, live_app: LiveApp):
    first = write_ended(live_app.runs_dir, seed=1)
    second = write_ended(live_app.runs_dir, seed=1, learning_rate=1e-3)
    third = write_ended(live_app.runs_dir, seed=2)
    page = open_page("2 Fine-tune")
    open_runs(page)
    for run in (first, second, third):
        page.locator(f"[data-choose='{run.run_id}']").check()
    shown = page.locator("#runs-live table.differences")
    expect(shown.locator("tbody tr")).to_have_count(3)
    expect(shown.locator("thead")).to_contain_text("Learning rate")
    expect(shown.locator("thead")).to_contain_text("Seed")
    assert "Warmup" not in shown.locator("thead").inner_text()
    loss = traces(page, "#runs-live [data-plot=loss]", 3)
    assert len({(color, dash) for _, color, dash in loss}) == 3
    assert traces(page, "#runs-live [data-plot=f1]", 3) == loss
    expect(page.locator("#runs-live [data-plot-caption]").first).to_contain_text("seed 2")
    page.locator(f"[data-choose='{first.run_id}']").press("Space")
    expect(shown.locator("tbody tr")).to_have_count(2)
    assert traces(page, "#runs-live [data-plot=f1]", 2) == loss[1:]
    live_app.store.move_to_trash(second)  # another page deletes a chosen run
    expect(shown.locator("tbody tr")).to_have_count(1)


def test_name_duplicate_record_and_delete(open_page, live_app: LiveApp):
    other = write_ended(live_app.runs_dir)
    run = write_ended(live_app.runs_dir, seed=77, learning_rate=3e-4)
    page = open_page("2 Fine-tune")
    open_runs(page)
    select(page, run)
    question(page, "Name and note …")
    page.get_by_label("Name", exact=True).fill("baseline " + EVIL[:40])
    page.get_by_label("Note", exact=True).fill(EVIL)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(row(page, run)).to_contain_text("baseline <script>")
    expect(page.locator("#run input")).to_have_value(re.compile("baseline <script>"))
    page.get_by_role("button", name="Use its settings").click()
    expect(page.locator("#runs-live [data-said]")).to_contain_text("now has the settings of this run")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the record").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"config.json", "events.csv", "reproduce.sh"} <= set(archive.namelist())
    question(page, "Delete …")
    question(page, "Delete …")
    expect(page.get_by_role("button", name="Yes, delete")).to_be_hidden()
    question(page, "Delete …")
    page.get_by_role("button", name="Yes, delete").click()
    expect(row(page, run)).to_have_count(0)
    expect(row(page, other)).to_have_attribute("aria-current", "true")
    open_by(page.locator("#disk > button"))
    page.locator("#disk-held summary", has_text="Empty the trash …").click()
    page.get_by_role("button", name="Yes, empty it").click()
    expect(page.locator("#runs-live [data-said]")).to_contain_text("The trash is empty")
    assert live_app.store.trash_bytes() == 0
    open_train(page)
    open_by(page.locator("#train-optimizer > button"))
    expect(page.locator("#train-learning-rate :is(textarea, input)")).to_have_value("3e-4")
    assert page.evaluate("window.hurt") is None


def test_rows_are_sorted_and_searched_while_news_come(open_page, live_app: LiveApp):
    for seed in range(1, 8):
        write_ended(live_app.runs_dir, seed=seed, learning_rate=seed * 1e-5)
    running = write_running(live_app.runs_dir, step=30, seed=9)
    page = open_page("2 Fine-tune")
    open_runs(page)
    page.locator("#runs-live thead button", has_text="Learning rate").click()
    page.locator("#runs-live input[type=search]").fill("seed")
    first = page.locator("#runs-live tbody tr").first
    expect(first).to_contain_text("1e-5")
    write_events(running, [step_event(step, 90) for step in range(31, 61)])
    write_status(running, 60, 90)
    expect(row(page, running)).to_contain_text("67")
    expect(first).to_contain_text("1e-5")
    expect(page.locator("#runs-live input[type=search]")).to_have_value("seed")
    live_app.store.remove(running)


def test_repeats_with_seeds(open_page, live_app: LiveApp):
    running = write_running(live_app.runs_dir, seed=9)  # so that the repeats wait
    source = write_ended(live_app.runs_dir, seed=1)
    repeat = write_ended(live_app.runs_dir, seed=2)
    write_model(repeat.paths.config, repeat.config.model_copy(update={"group": source.run_id}))
    page = open_page("2 Fine-tune")
    open_runs(page)
    select(page, source)
    expect(page.locator("#runs-live")).to_contain_text("Mean and standard deviation of 2 of 2 runs")
    expect(page.locator("#runs-live [data-plot=seeds] .main-svg").first).to_be_visible()
    question(page, "Repeat with seeds …")
    page.get_by_label("How many other seeds").fill("2")
    page.locator("#runs-live form[data-act=repeat] button").click()
    # The settings are those of the default checkpoint, so these runs only wait here.
    expect(page.locator("#runs-live .queue li")).to_have_count(2)
    expect(page.locator("#runs-live [aria-label='Runs of this group'] tbody tr")).to_have_count(4)
    question(page, "Grid …")
    grid = page.locator("#runs-live form[data-act=grid]")
    grid.locator("[name=setting1]").select_option("num_epochs")
    grid.locator("[name=values1]").fill("1, 99")
    grid.locator("button").click()
    expect(page.locator("#runs-live [data-said]")).to_contain_text("Epochs is '99'")
    grid.locator("[name=values1]").fill("1, 2")
    grid.locator("button").click()
    expect(page.locator("#runs-live .queue li")).to_have_count(4)
    live_app.store.remove(running)


def test_score_against_training_pairs(open_page, live_app: LiveApp, data_dir: Path):
    fingerprint = load_data("folder", data_dir).fingerprint

    def on_the_data_in_use(run: Run) -> Run:
        data = run.config.data.model_copy(update={"fingerprint": fingerprint})
        write_model(run.paths.config, run.config.model_copy(update={"data": data}))
        return run

    running = write_running(live_app.runs_dir, seed=9)  # so that the others wait
    source = on_the_data_in_use(write_ended(live_app.runs_dir, seed=1))
    on_the_data_in_use(write_ended(live_app.runs_dir, seed=1, num_train_pairs=310))
    page = open_page("2 Fine-tune")
    open_runs(page)
    select(page, source)
    curve = page.locator("#runs-live [aria-label='Scores by training pairs']")
    expect(curve.locator("tbody tr")).to_have_count(5)
    expect(curve.locator("tbody th")).to_have_text(["310", "620", "1,200", "2,500", "5,000 (all)"])
    expect(page.locator("#runs-live [data-plot=sizes-accuracy] .main-svg").first).to_be_visible()
    expect(page.locator("#runs-live")).to_contain_text(
        "A single seed does not show how much of that is chance"
    )
    question(page, "How many pairs …")
    expect(page.locator("#runs-live")).to_contain_text("3 runs: ")
    page.get_by_role("button", name="Queue 1 seed of each size").click()
    expect(page.locator("#runs-live [data-said]")).to_contain_text("3 runs wait in the queue.")
    expect(page.locator("#runs-live .queue li")).to_have_count(3)
    page.get_by_role("button", name="Queue one more seed with 620 pairs").click()
    expect(page.locator("#runs-live .queue li")).to_have_count(4)
    first = next(run for run in live_app.store.list() if run.config.hyperparameters.num_train_pairs == 620)
    RunQueue(live_app.runs_dir).remove(first.run_id)
    write_process(first, alive=False)
    write_events(first, [started_event(90), *(evaluation_event(epoch, 90) for epoch in range(4))])
    best = {"best_epoch": 3, "best_accuracy": 0.79, "best_f1": 0.85}
    write_status(first, 90, 90, outcome="finished", **best)
    expect(curve.locator("tbody tr").nth(1)).to_contain_text("79.0")
    page.wait_for_function("document.querySelector('[data-plot=sizes-accuracy]').data[1].x.length === 3")
    live_app.store.remove(running)


def test_pinned_pairs(open_page, live_app: LiveApp):
    run = write_running(live_app.runs_dir)
    page = open_page("2 Fine-tune")
    page.locator("#sentence1 textarea").fill("The bank rose. " + EVIL)
    page.locator("#sentence2 textarea").fill("The bank fell.")
    page.get_by_role("button", name="Follow the current pair").click()
    pinned = page.locator("#run-live .pinned")
    expect(pinned).to_contain_text("after the next evaluation")
    expect(pinned).to_contain_text("The bank fell.")
    (pair,) = run.read_pinned()
    write_events(run, [PinnedPairEvent(step=30, epoch=1, probabilities={pair.pair_id: 0.25})])
    expect(pinned).to_contain_text("equivalent: 0.250")
    page.wait_for_function("document.querySelector('[data-plot=pinned]').data[0].y[0] === 0.25")
    page.get_by_role("button", name="Stop following pair 1").click()
    expect(page.locator("#run-live")).to_contain_text("No pair is followed")
    assert page.evaluate("window.hurt") is None
    live_app.store.remove(run)


def test_a_limit_on_the_disk_shows_what_would_go(open_page, live_app: LiveApp):
    run = write_ended(live_app.runs_dir)
    (live_app.runs_dir / "notes.txt").write_text("mine")
    page = open_page("2 Fine-tune")
    open_runs(page)
    open_by(page.locator("#disk > button"))
    expect(page.locator("#disk-held")).to_contain_text("1 run holds")
    page.locator("#disk-limit input").fill("0")
    expect(page.locator("#disk-held ol")).to_contain_text(run_title(run))
    assert live_app.store.list()
    page.get_by_role("button", name="Move these to the trash").click()
    expect(page.locator("#runs-live [data-said]")).to_contain_text("moved to the trash")
    expect(row(page, run)).to_be_hidden()
    page.locator("#runs-foreign summary").click()
    expect(page.locator("#runs-foreign")).to_contain_text("notes.txt: not a run folder")
    (live_app.runs_dir / "notes.txt").unlink()


def test_nothing_sticks_out(open_page, live_app: LiveApp):
    runs = [write_ended(live_app.runs_dir, seed=seed) for seed in (1, 2)]
    running = write_running(live_app.runs_dir)
    waiting = create_run(live_app.runs_dir)
    RunQueue(live_app.runs_dir).add(waiting.run_id)
    page = open_page("2 Fine-tune", width=390)
    expect_no_wider(page, 390)
    open_runs(page)
    for run in runs:
        page.locator(f"[data-choose='{run.run_id}']").check()
    expect(page.locator("#runs-live .main-svg").first).to_be_visible()
    open_by(page.locator("#disk > button"))
    expect(page.locator("#runs-live .queue li")).to_have_count(1)
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        expect_no_wider(page, width)
    live_app.store.remove(running)
