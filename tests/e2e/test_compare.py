"""The Compare tab as a person meets it, on two finished runs of the tiny BERT."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.data.load import load_data
from mrpc.runs.run import Run, RunState
from mrpc.settings import Settings
from tests.e2e.pages import drawings, expect_drawn_since, expect_settled, open_by
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp, wait_until
from tests.tiny import tiny_rows

pytestmark = pytest.mark.e2e

TAB = "3 Compare"


@pytest.fixture(scope="module")
def run(live_app: LiveApp, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    data = load_data("folder", tiny_data_dir)
    make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir, num_epochs=2, seed=2)
    return make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir)


def view(page: Page, name: str) -> None:
    open_by(page.locator("#compare-views").get_by_role("tab", name=name, exact=True))


def unfold(page: Page, section: str) -> None:
    open_by(page.locator(f"#cmp-{section}-section .label-wrap"))


def choose(page: Page, dropdown: str, option: str | re.Pattern[str]) -> None:
    page.locator(f"{dropdown} input").click()
    page.get_by_role("option", name=option).first.click()


def download(page: Page, button: str) -> str:
    with page.expect_download() as downloaded:
        page.locator(button).click()
    return Path(downloaded.value.path()).read_text(encoding="utf-8-sig")


def type_pair(page: Page, sentence1: str, sentence2: str) -> None:
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    before = drawings(page, "compare-answers")
    page.locator("#sentence1 textarea").fill(sentence1)
    page.locator("#sentence2 textarea").fill(sentence2)
    expect_drawn_since(page, "compare-answers", before)
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)


def current_pair(page: Page) -> list[str]:
    return [page.locator(f"#sentence{number} textarea").input_value() for number in (1, 2)]


def shown_words(sentence: str) -> re.Pattern[str]:
    """Match a sentence whatever spaces stand between its words."""
    return re.compile(r"^\s*" + r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", sentence))) + r"\s*$")


def test_without_a_run_a_preview_is_offered(open_page, live_app):
    """First of this file, while the runs folder is empty."""
    page = open_page(TAB)
    expect(page.get_by_text("Nothing to compare yet")).to_be_visible()
    expect(page.locator("#cmp-sides")).to_be_hidden()
    page.get_by_role("button", name="Train a preview").click()
    expect(page.locator("#stage-compare-sides progress")).to_be_visible()
    (run,) = live_app.store.list()
    assert run.config.hyperparameters.preset == "quick"
    live_app.end_trainings()
    live_app.wait_for_state(run.run_id, RunState.FINISHED, RunState.STOPPED, RunState.INTERRUPTED)


def test_the_tab_opens_filled_with_pairs_that_changed(open_page, run):
    page = open_page(TAB)
    expect(page.locator("#cmp-first input")).to_have_value("Base")
    expect(page.locator("#cmp-second input")).to_have_value(re.compile(r"^Fine-tuned, epoch [123] \(best\)$"))
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    expect(page.get_by_role("heading", name="A pair that it changed")).to_be_visible()
    expect(page.locator("#sentence1 textarea")).not_to_have_value("This is the first sentence.")
    expect(page.locator("#stage-compare-answers")).to_contain_text("The corpus says:")
    shown = current_pair(page)
    page.locator("#stage-compare-proposals button").last.click()
    wait_until(lambda: current_pair(page) != shown)


def test_a_pair_that_was_typed_stays_when_the_tab_is_opened(open_page, run):
    page = open_page("1 Inspect")
    page.locator("#sentence1 textarea").fill("The river rose.")
    page.get_by_role("tab", name=TAB).click()
    expect_settled(page, "compare-proposals")
    expect(page.locator("#sentence1 textarea")).to_have_value("The river rose.")
    expect(page.locator("#sentence2 textarea")).to_have_value("This is the second one.")


def test_a_change_of_a_side_costs_at_most_two_requests(open_page, run):
    page = open_page(TAB)
    expect(page.locator("#stage-compare-answers")).to_contain_text("The corpus says:")
    expect_settled(page, "compare-proposals")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    choose(page, "#cmp-second", re.compile("more frequent answer"))
    expect(page.locator("#stage-compare-answers")).to_contain_text("always the more frequent answer")
    expect_settled(page, "compare-proposals")
    assert 1 <= len(posts) <= 2, posts


def test_a_bad_sentence_is_explained(open_page, run):
    page = open_page(TAB)
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    page.locator("#sentence2 textarea").fill("")
    expect(page.locator("#stage-compare-answers [role=alert]")).to_contain_text("Sentence 2 is empty")


def test_test_stands_behind_a_question(open_page, run):
    page = open_page(TAB)
    view(page, "Scores")
    stage = page.locator("#stage-compare-scores")
    expect(stage).to_contain_text("16 pairs of validation")
    expect(stage).to_contain_text("Against “always the more frequent answer”")
    expect(page.locator("#stage-compare-baselines")).to_contain_text(
        "Against “cosine of the untrained encoder"
    )
    expect(page.locator("#cmp-scores .cmp-confusion")).to_have_count(2)
    table = page.locator("#cmp-scores table.sortable")
    names = [name.splitlines()[0] for name in table.locator("tbody th").all_inner_texts()]
    table.locator("thead button", has_text="Base").click()
    values = [float(text.split()[0]) for text in table.locator("td:nth-child(2)").all_inner_texts()]
    assert values == sorted(values)
    rows = list(csv.reader(io.StringIO(download(page, "#cmp-scores .table-tools button"))))
    assert sorted(row[0].split()[0] for row in rows[1:]) == sorted(name.split()[0] for name in names)

    question = page.get_by_text("Test should be looked at once.")
    page.locator("#cmp-split").get_by_label("test").check()
    expect(question).to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(stage).to_contain_text("16 pairs of validation")
    page.locator("#cmp-split").get_by_label("test").check()
    page.get_by_role("button", name="Show test").click()
    expect(stage).to_contain_text("16 pairs of test")
    unfold(page, "calibration")
    expect(page.locator("#stage-compare-calibration")).to_contain_text(
        "chosen on validation and judged on test"
    )
    page.locator("#cmp-split").get_by_label("validation").check()
    expect(stage).to_contain_text("16 pairs of validation")


def test_calibration_thresholds_and_baselines_are_folded(open_page, run):
    page = open_page(TAB)
    view(page, "Scores")
    unfold(page, "calibration")
    for name in ("roc", "precision-recall", "reliability", "threshold-chart"):
        expect(page.locator(f"#cmp-{name} .js-plotly-plot")).to_be_visible()
    behind = page.locator("#cmp-roc details.numbers")
    behind.locator("summary").click()
    titles = ["Series", "false positive rate", "true positive rate (recall)"]
    expect(behind.locator("thead th")).to_have_text(titles)
    expect(behind.locator("tbody tr").first).to_contain_text(re.compile(r"Base: AUC 0\.\d{3}"))
    page.locator("#cmp-threshold input[type=number]").fill("0.3")
    expect(page.locator("#stage-compare-threshold")).to_contain_text("above 0.30")
    unfold(page, "baselines")
    expect(page.locator("#cmp-baselines .js-plotly-plot")).to_be_visible()
    expect(page.locator("#cmp-baselines-table tbody tr")).to_have_count(7)


def test_the_pairs_that_changed_lead_to_the_pair_view(open_page, run):
    page = open_page(TAB)
    view(page, "Where it fails")
    cells = page.locator("#stage-compare-pairs .cmp-cell")
    expect(cells).to_have_count(4)
    numbers = [int(cell.locator("b").inner_text()) for cell in cells.all()]
    assert sum(numbers) == 16
    names = ("fixed", "both_wrong", "both_right", "broken")  # as they stand in the table
    count, name = max(zip(numbers, names, strict=True))
    page.locator(f".cmp-cell[data-id={name}]").click()
    expect(page.locator(f".cmp-cell[data-id={name}]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#cmp-pairs .table-tools")).to_contain_text(f"{count} rows")
    expect(page.locator("#cmp-pairs mark").first).to_be_visible()

    page.locator("#cmp-pairs th button", has_text="Base").click()
    expect(page.locator("#cmp-pairs th", has_text="Base")).to_have_attribute("aria-sort", "ascending")
    column = [cell.inner_text() for cell in page.locator("#cmp-pairs td[data-title='Base, %']").all()]
    assert [float(cell) for cell in column] == sorted(float(cell) for cell in column)

    text = download(page, "#cmp-pairs .table-tools button:has-text('Download CSV')")
    assert len(list(csv.DictReader(io.StringIO(text)))) == count

    sentence = page.locator("#cmp-pairs td[data-title='Sentence 1']").first.inner_text()
    page.locator("#cmp-pairs .open-cell button").first.click()
    expect(page.locator("#sentence1 textarea")).to_have_value(sentence)
    expect(page.locator("#stage-compare-answers")).to_contain_text("The corpus says:")


def test_kinds_of_pairs_filter_the_table(open_page, run):
    page = open_page(TAB)
    view(page, "Where it fails")
    unfold(page, "kinds")
    row = page.locator("#cmp-kinds tbody tr").first
    name = row.locator("td").first.inner_text()
    row.locator(".open-cell button").click()
    expect(page.locator("#stage-compare-pairs")).to_contain_text(f"All pairs, {name}")
    expect(page.locator("#cmp-kind input")).to_have_value(name)


def test_behavioural_tests_lead_to_cases_and_pairs(open_page, run):
    page = open_page(TAB)
    view(page, "Where it fails")
    expect(page.locator("#stage-compare-tests")).to_contain_text("changes its answer for")
    expect(page.locator("#cmp-tests-chart .js-plotly-plot")).to_be_visible()
    page.locator("#cmp-tests tr", has_text="identical sentences").get_by_role("button").click()
    expect(page.locator("#stage-compare-pairs")).to_contain_text("A sentence and itself say the same.")
    expect(page.locator("#cmp-pairs caption")).to_have_text("Cases: identical sentences")
    page.locator("#cmp-pairs .open-cell button").first.click()
    expect(page.locator("#stage-compare-answers .cmp-meter")).to_have_count(2)
    expect(page.locator("#sentence1 textarea")).not_to_have_value("This is the first sentence.")
    first = page.locator("#sentence1 textarea").input_value()
    assert first == page.locator("#sentence2 textarea").input_value() != ""


def test_the_data_map_leads_to_pairs(open_page, run, tiny_data_dir):
    page = open_page(TAB)
    view(page, "Where it fails")
    for region in ("ambiguous", "easy", "hard"):
        choose(page, "#cmp-filter", f"Training pairs: {region}")
        expect(page.locator("#stage-compare-pairs")).to_contain_text(region.capitalize() + ":")
    choose(page, "#cmp-filter", "Training pairs: doubted labels")
    expect(page.locator("#stage-compare-pairs")).to_contain_text("contradicts the corpus")
    expect(page.locator("#cmp-pairs tbody tr")).to_have_count(10)
    unfold(page, "map")
    expect(page.locator("#cmp-map .js-plotly-plot")).to_be_visible()
    page.evaluate(
        "document.querySelector('#cmp-map .chart').emit('plotly_click', {points: [{customdata: 5}]})"
    )
    row = load_data("folder", tiny_data_dir).dataset["train"][5]
    expect(page.locator("#sentence1 textarea")).to_have_value(row["sentence1"])
    expect(page.locator("#stage-compare-answers")).to_contain_text("The corpus says:")


def test_a_short_run_says_why_it_has_no_map(open_page, run, live_app):
    page = open_page(TAB)
    (short,) = [found for found in live_app.store.list() if found.config.hyperparameters.seed == 2]
    choose(page, "#run", re.compile("seed 2"))
    expect(page.locator("#cmp-second input")).to_have_value(re.compile(r"^Fine-tuned, epoch [12] \(best\)$"))
    view(page, "Where it fails")
    unfold(page, "map")
    expect(page.locator("#stage-compare-map")).to_contain_text("this run has 2")
    assert short.config.hyperparameters.num_epochs == 2


def test_both_answers_move_while_a_word_is_edited(open_page, run, live_app, tiny_data_dir):
    page = open_page(TAB)
    type_pair(page, "The mayor closed two roads.", "Two roads were closed by the mayor.")
    expect(page.locator("#stage-compare-answers")).to_contain_text(re.compile(r"time\s*(\d+|< 1) ms"))
    edited = "The mayor closed two roads.", "Two roads were closed by the mayor. Seven trains won."
    page.locator("#sentence2 textarea").press_sequentially(" Seven trains won.", delay=30)
    data = load_data("folder", tiny_data_dir)
    comparisons = Comparisons(live_app.store, lambda: data, Settings(runs_dir=live_app.runs_dir))
    answers = comparisons.answer_pair(f"{run.run_id}:base", f"{run.run_id}:best", *edited)
    for place, answer in zip(("first", "second"), answers, strict=True):
        meter = page.locator(f"#stage-compare-answers .side-{place} .cmp-meter i")
        expect(meter).to_have_attribute("style", f"width:{100 * answer.prob_equivalent:.2f}%")


def test_one_pair_is_explained_in_sections(open_page, run):
    row = tiny_rows(1, start=5)[0]
    page = open_page(TAB)
    type_pair(page, row["sentence1"], row["sentence2"])
    unfold(page, "what-if")
    expect(page.locator("#stage-compare-what-if tbody th")).to_have_text(
        [
            re.compile("^as typed"),
            re.compile("^sentences swapped"),
            re.compile("^token_type_ids zeroed"),
            re.compile("^token_type_ids swapped"),
        ]
    )
    expect(page.locator("#stage-compare-what-if")).to_contain_text(re.compile(r"takes [\d.]+ ms by Base"))

    unfold(page, "words")
    for place in ("first", "second"):
        side = page.locator(f"#stage-compare-words .side-{place}").first
        words = page.locator(f"#stage-compare-words article.side-{place} .cmp-strip")
        expect(words).to_have_text([shown_words(row["sentence1"]), shown_words(row["sentence2"])])
        expect(side).to_contain_text(
            re.compile(
                r"The words add [+-]\d+\.\d+ to the margin.*error \d+\.\d+ %, \d+ Gauss-Legendre points", re.S
            )
        )
    expect(page.locator("#cmp-effects .js-plotly-plot")).to_be_visible()
    label = re.compile("moves the answer most")
    expect(page.locator("#cmp-effects .chart")).to_have_attribute("aria-label", label)
    expect(page.locator("#cmp-effects .legend")).to_contain_text("Fine-tuned")

    unfold(page, "attention")
    for place in ("first", "second"):
        where = re.compile("in layer 2, all heads, from sentence 1 to sentence 2")
        expect(page.locator(f"#cmp-{place}-attention .chart")).to_have_attribute("aria-label", where)
        expect(page.locator(f"#cmp-{place}-attention .js-plotly-plot")).to_be_visible()
    page.locator("#cmp-direction").get_by_label("sentence 2 → 1").check()
    page.evaluate(
        "document.querySelector('#cmp-second-heads .chart')"
        ".emit('plotly_click', {points: [{customdata: '1:2'}]})"
    )
    where = re.compile("in layer 1, head 2, from sentence 2 to sentence 1")
    expect(page.locator("#cmp-second-attention .chart")).to_have_attribute("aria-label", where)

    unfold(page, "nearest")
    page.locator("#cmp-nearest-find").click()
    expect(page.locator("#cmp-nearest tbody tr")).to_have_count(8)
    nearest = page.locator("#cmp-nearest tbody tr").first
    expect(nearest.locator("td[data-title='Pair']")).to_have_text("5")
    expect(nearest.locator("td[data-title=Cosine]")).to_have_text("1.000")


def test_an_epoch_without_weights_says_why_it_cannot_answer(open_page, run):
    page = open_page(TAB)
    choose(page, "#cmp-second", re.compile("stored answers only"))
    expect(page.locator("#stage-compare-answers [role=alert]")).to_contain_text(
        "were not kept (keep_epochs is best_last)"
    )
    view(page, "Scores")
    expect(page.locator("#cmp-scores .cmp-confusion")).to_have_count(2)


def test_sides_and_view_stand_in_the_address(open_page, run):
    page = open_page(TAB)
    choose(page, "#cmp-first", re.compile("word overlap"))
    view(page, "Scores")
    expect(page.locator("#stage-compare-scores")).to_contain_text("pairs of validation")
    page.wait_for_url(re.compile("first=baseline%3Aoverlap"))
    page.reload()
    expect(page.locator("#cmp-first input")).to_have_value("Baseline: word overlap")
    expect(page.locator("#cmp-scores")).to_contain_text("word overlap")


def test_pasted_pairs_are_answered_scored_and_downloaded(open_page, run):
    page = open_page(TAB)
    view(page, "Your pairs")
    stage = page.locator("#stage-compare-own")
    page.locator("#cmp-own-text textarea").fill("The town.\tThe city.\nOnly one sentence here")
    page.locator("#cmp-own-ask").click()
    expect(stage.locator("[role=alert]")).to_contain_text("Line 2 has 1 part")
    page.locator("#cmp-own-text textarea").fill("=1+1\tThe <b>city</b>.\t0\nThe mayor. ||| The mayor. ||| 1")
    page.locator("#cmp-own-ask").click()
    expect(stage).to_contain_text("2 pairs")
    expect(stage.locator(".cmp-confusion")).to_have_count(2)
    expect(page.locator("#cmp-own-answers tbody tr")).to_have_count(2)
    expect(page.locator("#cmp-own-answers")).to_contain_text("The <b>city</b>.")
    for button in ("#cmp-own-download", "#cmp-own-answers .table-tools button:has-text('Download CSV')"):
        rows = list(csv.reader(io.StringIO(download(page, button))))
        assert len(rows) == 3
        assert "'=1+1" in [cell for row in rows for cell in row]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_of_pairs_is_answered(open_page, run, tmp_path, suffix):
    rows = [{key: row[key] for key in ("sentence1", "sentence2")} for row in tiny_rows(30)]
    path = tmp_path / f"pairs{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, path) if suffix == ".parquet" else pa.csv.write_csv(table, path)
    page = open_page(TAB)
    view(page, "Your pairs")
    page.locator("#cmp-own-file input[type=file]").set_input_files(path)
    expect(page.locator("#cmp-own-file")).to_contain_text("pairs")
    page.locator("#cmp-own-ask").click()
    expect(page.locator("#stage-compare-own")).to_contain_text("30 pairs")
    expect(page.locator("#cmp-own-answers .table-tools")).to_contain_text("30 rows, page 1 of 3")
    page.locator("#cmp-own-answers input[type=search]").fill("mayor")
    expect(page.locator("#cmp-own-answers .table-tools")).to_contain_text("of 30 rows")


def test_many_pairs_show_their_progress_and_can_be_cancelled(open_page, run, tmp_path):
    path = tmp_path / "many.csv"
    sentence = "The mayor of the town closed two roads after the storm " * 8
    path.write_text("sentence1,sentence2\n" + f"{sentence},{sentence}\n" * 3000)
    page = open_page(TAB)
    view(page, "Your pairs")
    page.locator("#cmp-own-file input[type=file]").set_input_files(path)
    expect(page.locator("#cmp-own-file")).to_contain_text("many")
    page.locator("#cmp-own-ask").click()
    stage = page.locator("#stage-compare-own")
    expect(stage.locator("progress")).to_be_visible()
    expect(stage).to_contain_text("of 6,000")
    stage.get_by_role("button", name="Cancel").click()
    expect(stage).to_contain_text("Cancelled.")
    expect(page.locator("#cmp-own-answers tbody tr")).to_have_count(0)


def test_the_report_opens_from_a_file_and_asks_for_nothing(open_page, run, browser, tmp_path):
    page = open_page(TAB)
    view(page, "Scores")
    page.locator("#cmp-report").click()
    expect(page.locator("#stage-compare-report")).to_contain_text("The report is ready.")
    with page.expect_download() as downloaded:
        page.locator("#cmp-report-download").click()
    path = tmp_path / downloaded.value.suggested_filename
    downloaded.value.save_as(path)
    assert path.name == f"comparison-{run.run_id}-validation.html"

    asked: list[str] = []
    complaints: list[str] = []
    for scheme, paper in (("light", "rgb(251, 250, 247)"), ("dark", "rgb(18, 23, 29)")):
        context = browser.new_context(offline=True, color_scheme=scheme)
        report = context.new_page()
        report.on("request", lambda request: asked.append(request.url))
        report.on("console", lambda message: complaints.append(message.text))
        report.on("pageerror", lambda error: complaints.append(str(error)))
        report.goto(path.as_uri())
        expect(report.get_by_role("heading", name="What did fine-tuning change?")).to_be_visible()
        verdict = report.locator(".notice", has_text="Against “always the more frequent answer”")
        expect(verdict).to_be_visible()
        expect(report.locator("[data-figure] .main-svg").first).to_be_visible()
        for name in ("roc", "precision-recall", "reliability", "threshold", "baselines", "map"):
            expect(report.locator(f"[data-figure={name}].js-plotly-plot")).to_be_visible()
        expect(report.locator("body")).to_contain_text(run.config.data.fingerprint)
        assert report.evaluate("getComputedStyle(document.body).backgroundColor") == paper
        names = report.locator("[data-table=kinds] tbody tr td:first-child")
        report.locator("[data-table=kinds] th button", has_text="Kind of pair").click()
        assert names.all_inner_texts() == sorted(names.all_inner_texts(), key=str.casefold)
        context.close()
    assert [text for text in complaints if not text.startswith("[.WebGL")] == []  # of a driver without a GPU
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()] * 2
