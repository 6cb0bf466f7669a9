"""The Train tab as a person meets it."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.app.format import run_title
from mrpc.app.train.start import GROUPS, field_id
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from mrpc.runs.log import read_events
from mrpc.runs.run import Run
from tests.e2e.pages import open_by
from tests.live_app import LiveApp, wait_until
from tests.written_run import evaluation_event, step_event, write_ended, write_events, write_running

pytestmark = pytest.mark.e2e

ASKS = "**/component_server/"
"""The address of a page's questions, of how a run is going."""

EVIL = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"


@pytest.fixture(scope="module")
def data_dir(long_data_dir: Path) -> Path:
    return long_data_dir


@pytest.fixture(autouse=True)
def _nothing_trains(live_app: LiveApp) -> Iterator[None]:
    yield
    live_app.end_trainings()
    for run in live_app.store.list():
        if run.living_process() is not None:  # one that a test wrote; a page that opens would show it
            live_app.store.remove(run)


def open_group(page: Page, name: str) -> None:
    """Open the group of settings that a field stands in."""
    group = next(group for group, names in GROUPS.items() if name in names)
    fold = page.locator(f"#train-{group.lower()} > button")
    if "open" not in (fold.get_attribute("class") or "").split():
        open_by(fold)


def fill_setting(page: Page, name: str, value: object) -> None:
    open_group(page, name)
    page.locator(f"#{field_id(name)} :is(input, textarea)").fill(str(value))


def start_training(page: Page, **values: object) -> None:
    """Fill the form for the tiny checkpoint and press Start."""
    open_group(page, "learning_rate")
    rate = page.locator("#train-learning-rate :is(textarea, input)")
    expect(rate).to_be_visible()
    expect(page.locator("#train-checkpoint-note")).not_to_contain_text("Loading")  # the lists have come
    page.locator("#train-preset input[value=course]").check()
    expect(rate).to_have_value("5e-5")
    page.locator("#train-checkpoint input").click()
    page.get_by_role("option", name="tiny-bert").click()
    for name, value in values.items():
        fill_setting(page, name, value)
    page.locator("#train-start").click()


def stop(page: Page) -> None:
    page.locator("#run-live summary", has_text="Stop …").click()


def discard(page: Page) -> None:
    stop(page)
    page.locator("#run-live summary", has_text="Discard …").click()
    page.get_by_role("button", name="Yes, discard").click()


def look_at(page: Page, run: Run) -> None:
    """Pick a run in the bar."""
    page.locator("#run input").click()
    page.get_by_role("option", name=run_title(run)).first.click()


def shown_state(page: Page):
    return page.locator("#run-live .state")


def shown_step(page: Page) -> int:
    words = page.locator(".bar-words").inner_text()
    found = re.search(r"step ([\d,]+)", words)
    assert found, words
    return int(found[1].replace(",", ""))


def wait_for_step(page: Page, step: int, timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while shown_step(page) < step:
        assert time.monotonic() < deadline, page.locator("#run-live").inner_text()
        page.wait_for_timeout(100)


def plot_range(page: Page) -> list[float]:
    return page.evaluate("document.querySelector('[data-plot=loss]').layout.xaxis.range")


def test_from_start_to_finish(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    expect(page.locator("#train-plan")).to_contain_text("optimizer steps: 5,000 pairs")
    box = page.locator("#train-start").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900, "Start is in view"
    start_training(page, num_train_pairs=64, num_epochs=2)
    expect(shown_state(page)).to_contain_text(re.compile("starting|running"))
    expect(shown_state(page)).to_contain_text("finished", timeout=120_000)
    expect(page.locator("#run-live")).to_contain_text("step 16 of 16 · epoch 2.00 of 2")
    expect(page.locator("#run-live")).to_contain_text("Best epoch")
    expect(page.locator("#run-live")).to_contain_text("64 of 5,000 pairs")
    expect(page.locator("#run-live .plots .main-svg").first).to_be_visible()
    expect(page.locator("#run-live .reading")).to_contain_text("Reading the curves.")
    expect(page.locator("#run-live .pinned li")).to_contain_text("This is the first sentence.")
    expect(page.locator("#run-live .pinned li")).to_contain_text(re.compile(r"equivalent: 0\.\d{3}"))
    page.get_by_text("Use this model in Python").click()
    expect(page.locator("#run-live")).to_contain_text('pipeline("text-classification"')
    page.wait_for_function(
        "String(document.querySelector('[data-plot=scores]').data?.slice(0, 2).map(t => t.name)) "
        "=== 'accuracy,F1'"
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the model").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
            name.split("/")[1] for name in archive.namelist()
        }


def test_predict_test_on_request(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    if not live_app.store.list():
        pytest.skip("needs the run of the test before")
    page.locator("#run-live summary", has_text="Predict test …").click()
    expect(page.locator("#run-live")).to_contain_text("Look at test once")
    page.get_by_role("button", name="Yes, predict test").click()
    expect(page.locator("#run-live [data-said]")).to_contain_text("Predicting test")
    expect(page.locator("#run-live")).to_contain_text("F1, test", timeout=120_000)


def test_a_closed_page_does_not_end_the_training(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    start_training(page, num_epochs=50)
    expect(shown_state(page)).to_contain_text("running")
    wait_for_step(page, 1)
    page.close()
    (run,) = [run for run in live_app.store.list() if run.state() == "running"]
    later = open_page("2 Fine-tune")
    expect(shown_state(later)).to_contain_text("running")
    expect(later.locator("#run-live")).to_contain_text(run.run_id)
    wait_for_step(later, shown_step(later) + 3)

    other = open_page("2 Fine-tune")  # two pages on one run
    wait_for_step(other, shown_step(later))

    stop(later)
    later.locator("#run-live summary", has_text="Discard …").click()
    expect(later.get_by_text("Really discard?")).to_be_visible()
    later.wait_for_timeout(1_500)  # an open question stays open while news come
    expect(later.get_by_text("Really discard?")).to_be_visible()
    stop(later)
    expect(later.get_by_text("Really discard?")).to_be_hidden()
    assert run.state() == "running"
    stop(later)
    later.get_by_role("button", name="Stop and keep").click()
    for page in (later, other):
        expect(shown_state(page)).to_contain_text("stopped")
        expect(page.locator("#run-live")).to_contain_text("Its weights and a checkpoint are kept.")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(page.locator("#run-live summary", has_text="Stop …")).to_have_count(0)


def test_end_now_resume_and_discard(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    start_training(page, num_epochs=50, checkpoint_every_s=1)
    expect(shown_state(page)).to_contain_text("running")
    wait_for_step(page, 1)
    (run,) = [run for run in live_app.store.list() if run.state() == "running"]
    wait_until(lambda: any(run.paths.checkpoints.glob("step-*")))
    process = run.living_process()
    assert process is not None
    process.suspend()  # it will not come to the end of its step
    stop(page)
    page.get_by_role("button", name="Stop and keep").click()
    expect(shown_state(page)).to_contain_text("stopping")
    expect(page.locator("#run-live")).to_contain_text("Finishing the step, writing the checkpoint.")
    page.get_by_role("button", name=re.compile("End now, lose [0-9,]+ steps?$")).click()
    expect(shown_state(page)).to_contain_text("stopped")
    expect(page.locator("#run-live")).to_contain_text("before it could save. The checkpoint of step")
    cut = shown_step(page)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#run-live")).to_contain_text(f"Cut at step {cut:,}, resumed from checkpoint")
    wait_for_step(page, cut + 1)
    # Plots move less often than the numbers beside them.
    page.wait_for_function(
        "start => document.querySelector('[data-plot=loss]').layout.annotations"
        ".some(a => a.text.startsWith(start))",
        arg=f"cut at {cut:,}, resumed from ",
    )
    steps = page.evaluate("document.querySelector('[data-plot=loss]').data[0].x")
    assert steps == sorted(set(steps))  # one curve

    discard(page)
    expect(shown_state(page)).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Download the model")).to_have_count(0)
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)


def test_a_mistake_is_named_at_its_field_and_nothing_starts(open_page, live_app: LiveApp):
    page = open_page("2 Fine-tune")
    num_runs = len(live_app.store.list())
    fill_setting(page, "num_epochs", 99)
    field = page.locator("#train-num-epochs input")
    expect(page.locator("#train-plan")).to_contain_text("Epochs is 99; it must be a whole number")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#train-num-epochs .field-problem")).to_contain_text("at least 1 and at most 50")
    page.locator("#train-start").click()
    expect(page.locator("#train-message")).to_contain_text("at least 1 and at most 50")
    expect(page.locator("#train-start")).to_be_enabled()
    assert len(live_app.store.list()) == num_runs
    page.locator("#train-optimizer > button").click()  # closes the group
    page.locator("#train-plan button").click()
    expect(field).to_be_focused()
    field.fill("2")
    expect(page.locator("#train-num-epochs .field-problem")).to_have_count(0)
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_zoom_survives_updates_and_points_come_in(open_page, live_app: LiveApp):
    run = write_running(live_app.runs_dir, step=30, num_steps=900)
    page = open_page("2 Fine-tune")
    expect(page.locator("#run-live")).to_contain_text(run.run_id)
    plot = page.locator("[data-plot=loss]")
    expect(plot.locator(".main-svg").first).to_be_visible()
    area = plot.locator(".nsewdrag").first.bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + 0.3 * area["width"], area["y"] + 0.5 * area["height"])
    page.mouse.down()
    page.mouse.move(area["x"] + 0.6 * area["width"], area["y"] + 0.5 * area["height"], steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelector('[data-plot=loss]').layout.xaxis.range[0] > 100")
    zoomed = plot_range(page)
    write_events(run, [step_event(step, 900) for step in range(31, 61)])  # one by one: a page may see some
    page.wait_for_function("document.querySelector('[data-plot=loss]').data[0].x.length === 60")
    assert plot_range(page) == zoomed
    wait_for_step(page, 60)
    shown_state(page).click()  # the page is alive


def test_an_update_of_a_long_run_is_small_and_leaves_its_points(open_page, live_app: LiveApp):
    num_steps, step = 30_000, 29_000
    run = write_running(live_app.runs_dir, step=step, num_steps=num_steps)
    page = open_page("2 Fine-tune")
    expect(page.locator(".bar-words")).to_contain_text("step 29,000 of 30,000")
    page.wait_for_function("document.querySelector('[data-plot=loss]').data?.at(0).x.at(-1) == 29000")
    before = page.evaluate("document.querySelector('[data-plot=loss]').data[0].x")
    sizes: list[int] = []
    network = page.context.new_cdp_session(page)
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    network.send("Network.enable")
    run.paths.log.write_text("\n".join(f"{line:04d} {'x' * 190}" for line in range(100)))
    spike = step_event(step + 3, num_steps, loss=7.5)
    write_events(run, [step_event(step + 1, num_steps), spike, step_event(step + 9, num_steps)])
    write_events(run, [evaluation_event(2, num_steps)])
    page.wait_for_function("document.querySelector('[data-plot=loss]').data[0].x.at(-1) == 29009")
    page.wait_for_function("document.querySelector('[data-plot=loss]').data[2].x.length === 2")
    page.wait_for_timeout(2_500)  # and what the next polls send
    x, y = page.evaluate("(({x, y}) => [x, y])(document.querySelector('[data-plot=loss]').data[0])")
    assert set(before) - set(x) <= set(range(step - 300, step + 1))
    assert y[x.index(step + 3)] == 7.5
    assert page.evaluate("document.querySelector('[data-plot=loss]').data[2].x") == [0, 20_000]
    assert 5_000 < max(sizes) < 20_000


def test_a_page_shows_the_run_it_looked_at_again(open_page, live_app: LiveApp):
    first = write_ended(live_app.runs_dir, "failed", seed=101)
    second = write_ended(live_app.runs_dir, "interrupted", seed=102)
    page = open_page("2 Fine-tune")
    look_at(page, first)
    expect(page.locator("#run-live")).to_contain_text("Free 300 MB and resume.")
    expect(page.locator("#run-live pre.traceback")).to_contain_text("<b>No space</b>")
    expect(page).to_have_url(re.compile(f"run={first.run_id}"))
    page.reload()
    expect(page.locator("#run-live h2")).to_have_text(run_title(first))
    look_at(page, second)
    expect(shown_state(page)).to_contain_text("interrupted")


def test_only_a_page_that_somebody_looks_at_asks(open_page, live_app: LiveApp):
    run = write_ended(live_app.runs_dir)
    page = open_page("2 Fine-tune")
    expect(page.locator("#run-live")).to_contain_text(run.run_id)
    with page.expect_request(ASKS, timeout=60_000):
        pass
    asked = []
    page.on("request", lambda request: asked.append(request) if "component_server" in request.url else None)
    page.wait_for_timeout(4_000)
    assert len(asked) <= 3, "every three seconds when nothing is under way"
    page.get_by_role("tab", name="1 Inspect", exact=True).click()
    expect(page.locator("#run-live")).to_be_hidden()
    page.wait_for_timeout(1_000)
    asked.clear()
    page.wait_for_timeout(3_500)
    assert asked == []
    with page.expect_request(ASKS, timeout=60_000):
        page.get_by_role("tab", name="2 Fine-tune", exact=True).click()


def test_what_a_run_says_is_text(open_page, live_app: LiveApp):
    run = write_ended(live_app.runs_dir, "failed")
    write_model(run.paths.label, RunLabel(name=EVIL[:80]))
    failed = next(event for event in read_events(run.paths.events) if event.type == "failed")
    write_events(run, [failed.model_copy(update={"cause": EVIL, "suggestion": EVIL, "traceback": EVIL})])
    run.paths.log.write_text(EVIL)
    status = run.read_status().model_copy(update={"error": EVIL})
    write_model(run.paths.status, status)
    page = open_page("2 Fine-tune", query=f"run={run.run_id}")
    expect(page.locator("#run-live h2")).to_contain_text("<script>window.hurt")
    expect(page.locator("#run-live .notice-bad")).to_contain_text("onerror=")
    page.locator("#run-live").get_by_text("Log", exact=True).click()
    expect(page.locator("#run-live pre.log")).to_contain_text("<script>")
    assert page.evaluate("window.hurt") is None
    live_app.store.remove(run)


def test_the_tab_shows_what_it_showed_when_one_comes_back(open_page, live_app: LiveApp):
    runs = [write_ended(live_app.runs_dir, seed=seed) for seed in (91, 92)]
    page = open_page("2 Fine-tune")
    look_at(page, runs[0])
    expect(page.locator("#run-live")).to_contain_text(runs[0].run_id)
    running = write_running(live_app.runs_dir, step=5, num_steps=50, seed=93)
    page.get_by_role("tab", name="1 Inspect", exact=True).click()
    page.get_by_role("tab", name="2 Fine-tune", exact=True).click()
    page.wait_for_timeout(2_000)
    expect(page.locator("#run-live")).to_contain_text(runs[0].run_id)
    page.locator("#run input").click()
    expect(page.get_by_role("option", name=run_title(running)).first).to_be_visible()
    page.keyboard.press("Escape")
    other = open_page("2 Fine-tune")  # opened later: the run under way
    expect(other.locator("#run-live .bar-words")).to_contain_text("step 5")


def test_a_finished_run_leads_to_compare(open_page, live_app: LiveApp):
    run = write_ended(live_app.runs_dir)
    page = open_page("2 Fine-tune", query=f"run={run.run_id}")
    page.get_by_role("link", name="Compare this run").click()
    expect(page.get_by_role("tab", name="3 Compare", exact=True)).to_have_attribute("aria-selected", "true")
