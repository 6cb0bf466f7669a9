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

from mrpc.app.compare.comparison import Comparison
from mrpc.core.data.load import load_data
from mrpc.runs.store import Run, RunState
from mrpc.settings import Settings
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp
from tests.tiny import tiny_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def run(live_app: LiveApp, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    data = load_data("folder", tiny_data_dir)
    make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir, num_epochs=2, seed=2)
    return make_finished_run(live_app.runs_dir, data, tiny_checkpoint_dir)


def view(page: Page, name: str) -> None:
    page.locator("#cmp-views").get_by_role("tab", name=name, exact=True).click()


def download(page: Page, button: str) -> str:
    with page.expect_download() as downloaded:
        page.locator(button).click()
    return Path(downloaded.value.path()).read_text(encoding="utf-8-sig")


def type_pair(page: Page, sentence1: str, sentence2: str) -> None:
    expect(page.locator("#cmp-board .cmp-verdict")).to_be_visible()
    page.locator("#cmp-sentence1 textarea").fill(sentence1)
    page.locator("#cmp-sentence2 textarea").fill(sentence2)
    page.locator("#cmp-compare").click()
    expect(page.locator("#cmp-answers .cmp-meter")).to_have_count(2)


RECORD_ARRIVALS = """() => {
  window.arrivals = [];
  new MutationObserver(() => {
    for (const id of ['cmp-what-if', 'cmp-left-words', 'cmp-right-words', 'cmp-effects']) {
      const there = document.querySelector(`#${id} :is(table, .cmp-strip, .main-svg)`);
      if (there && !window.arrivals.includes(id)) window.arrivals.push(id);
    }
  }).observe(document.body, {childList: true, subtree: true});
}"""
"""Notes in which order the parts of an explanation come."""


def shown_words(sentence: str) -> re.Pattern[str]:
    """Match a sentence whatever spaces stand between its words."""
    return re.compile(r"^\s*" + r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", sentence))) + r"\s*$")


def explain(page: Page, part: str) -> None:
    page.locator("#cmp-explain-parts").get_by_role("tab", name=part, exact=True).click()


def test_without_a_run_a_preview_is_offered(open_page, live_app):
    """First of this file, while the runs folder is empty."""
    page = open_page("Compare")
    expect(page.get_by_text("Nothing to compare yet")).to_be_visible()
    expect(page.locator("#cmp-run")).to_be_hidden()
    page.locator("#cmp-preview").click()
    expect(page.get_by_role("tab", name="Train", exact=True)).to_have_attribute("aria-selected", "true")
    (run,) = live_app.store.list()
    assert run.config.hyperparameters.preset == "quick"
    live_app.end_trainings()
    live_app.wait_for_state(run.run_id, RunState.FINISHED, RunState.STOPPED, RunState.INTERRUPTED)


def test_the_tab_opens_with_the_scores_of_the_newest_run(open_page, run):
    page = open_page("Compare")
    expect(page.locator("#cmp-board .cmp-verdict")).to_contain_text("fixed")
    expect(page.locator("#cmp-board .cmp-confusion")).to_have_count(2)
    expect(page.locator("#cmp-board")).to_contain_text("16 pairs")
    expect(page.locator("#cmp-left input")).to_have_value("base")
    expect(page.locator("#cmp-right input")).to_have_value(re.compile(r"^best \(epoch [123]\)$"))


def test_a_bad_sentence_is_explained(open_page, run):
    page = open_page("Compare")
    page.locator("#cmp-sentence1 textarea").fill("The town.")
    page.locator("#cmp-compare").click()
    expect(page.locator("#cmp-answers [role=alert]")).to_contain_text("Sentence 2 is empty")
    page.locator("#cmp-row input").fill("99")
    page.locator("#cmp-take").click()
    expect(page.locator("#cmp-answers [role=alert]")).to_contain_text("There is no pair")


def test_test_stands_behind_a_question(open_page, run):
    page = open_page("Compare")
    view(page, "The split")
    expect(page.locator("#cmp-split-heading")).to_contain_text("pairs of validation")
    metrics = page.locator("#cmp-scores tbody th")
    names = [name.splitlines()[0] for name in metrics.all_inner_texts()]
    page.locator("#cmp-scores th button", has_text="Base").click()
    values = [
        float(text.split()[0]) for text in page.locator("#cmp-scores td:nth-child(2)").all_inner_texts()[1:]
    ]
    assert values == sorted(values)
    rows = list(csv.reader(io.StringIO(download(page, "#cmp-scores .cmp-table-tools button"))))
    assert sorted(row[0].split()[0] for row in rows[1:]) == sorted(name.split()[0] for name in names)

    page.locator("#cmp-look").click()
    expect(page.get_by_text("Test should be looked at once.")).to_be_visible()
    page.locator("#cmp-test-no").click()
    expect(page.get_by_text("Test should be looked at once.")).to_be_hidden()
    page.locator("#cmp-look").click()
    page.locator("#cmp-test-yes").click()
    expect(page.locator("#cmp-split-heading")).to_contain_text("pairs of test")
    expect(page.locator("#cmp-judgements")).to_contain_text("chosen on validation and judged on test")
    page.locator("#cmp-back").click()
    expect(page.locator("#cmp-split-heading")).to_contain_text("pairs of validation")


def test_the_pairs_that_changed_lead_to_the_one_pair_view(open_page, run):
    page = open_page("Compare")
    view(page, "Flips")
    cells = page.locator("#cmp-flip-cells .cmp-cell")
    expect(cells).to_have_count(4)
    numbers = [int(cell.locator("b").inner_text()) for cell in cells.all()]
    assert sum(numbers) == 16
    names = ("fixed", "both_wrong", "both_right", "broken")  # as they stand in the table
    count, name = max(zip(numbers, names, strict=True))
    page.locator(f".cmp-cell[data-id={name}]").click()
    expect(page.locator(f".cmp-cell[data-id={name}]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#cmp-flips .cmp-table-tools")).to_contain_text(f"{count} rows")
    expect(page.locator("#cmp-flips mark").first).to_be_visible()

    page.locator("#cmp-flips th button", has_text="Left").click()
    expect(page.locator("#cmp-flips th", has_text="Left")).to_have_attribute("aria-sort", "ascending")
    column = [cell.inner_text() for cell in page.locator("#cmp-flips td[data-title=Left]").all()]
    assert [float(cell) for cell in column] == sorted(float(cell) for cell in column)

    text = download(page, "#cmp-flips .cmp-table-tools button:has-text('Download CSV')")
    assert len(list(csv.DictReader(io.StringIO(text)))) == count

    sentence = page.locator("#cmp-flips td[data-title='Sentence 1']").first.inner_text()
    page.locator("#cmp-flips .cmp-open button").first.click()
    expect(page.locator("#cmp-sentence1 textarea")).to_have_value(sentence)
    expect(page.locator("#cmp-answers")).to_contain_text("The corpus says:")


def test_kinds_of_pairs_lead_to_pairs(open_page, run):
    page = open_page("Compare")
    view(page, "Flips")
    row = page.locator("#cmp-slices tbody tr").first
    name = row.locator("td").first.inner_text()
    row.locator(".cmp-open button").click()
    expect(page.locator("#cmp-flips-title")).to_contain_text(name)


def test_probes_lead_to_cases_and_pairs(open_page, run):
    page = open_page("Compare")
    view(page, "Probes")
    page.locator("#cmp-probe").click()
    expect(page.locator("#cmp-symmetry")).to_contain_text("the answer flips for")
    expect(page.locator("#cmp-probe-chart .js-plotly-plot")).to_be_visible()
    page.locator("#cmp-probes tr", has_text="identical sentences").get_by_role("button").click()
    expect(page.locator("#cmp-cases-title")).to_contain_text("Identical sentences")
    page.locator("#cmp-cases .cmp-open button").first.click()
    expect(page.locator("#cmp-answers .cmp-meter")).to_have_count(2)
    first = page.locator("#cmp-sentence1 textarea").input_value()
    assert first == page.locator("#cmp-sentence2 textarea").input_value() != ""


def test_the_data_map_leads_to_pairs(open_page, run):
    page = open_page("Compare")
    view(page, "Data map")
    expect(page.locator("#cmp-map .js-plotly-plot")).to_be_visible()
    for region in ("ambiguous", "easy", "hard"):
        page.locator("#cmp-region").get_by_label(region).check()
        expect(page.locator("#cmp-map-title")).to_contain_text(region.capitalize())
    page.evaluate(
        "document.querySelector('#cmp-map .cmp-chart').emit('plotly_click', {points: [{customdata: 5}]})"
    )
    expect(page.locator("#cmp-map-title")).to_contain_text("Pair 5 of train")
    page.locator("#cmp-doubt").click()
    expect(page.locator("#cmp-doubtful tbody tr")).to_have_count(10)
    page.locator("#cmp-doubtful .cmp-open button").first.click()
    expect(page.locator("#cmp-answers")).to_contain_text("The corpus says:")


def test_a_short_run_says_why_it_has_no_map(open_page, run, live_app):
    page = open_page("Compare")
    (short,) = [found for found in live_app.store.list() if found.config.hyperparameters.seed == 2]
    page.locator("#cmp-run input").click()
    page.get_by_role("option", name="seed 2").click()
    view(page, "Data map")
    expect(page.locator("#cmp-map-status")).to_contain_text("this run has 2")
    assert short.config.hyperparameters.num_epochs == 2


def test_both_answers_move_while_a_word_is_edited(open_page, run, live_app, tiny_data_dir):
    page = open_page("Compare")
    type_pair(page, "The mayor closed two roads.", "Two roads were closed by the mayor.")
    expect(page.locator("#cmp-answers")).to_contain_text(re.compile(r"time\s*(\d+|< 1) ms"))
    edited = "The mayor closed two roads.", "Two roads were closed by the mayor. Seven trains won."
    page.locator("#cmp-sentence2 textarea").press_sequentially(" Seven trains won.", delay=30)
    data = load_data("folder", tiny_data_dir)
    comparison = Comparison(live_app.store, lambda: data, Settings(runs_dir=live_app.runs_dir))
    answers = comparison.pair.answer(f"{run.run_id}:base", f"{run.run_id}:best", *edited)
    for place, answer in zip(("left", "right"), answers, strict=True):
        meter = page.locator(f"#cmp-answers .cmp-{place} .cmp-meter i")
        expect(meter).to_have_attribute("style", f"width:{100 * answer.prob_equivalent:.2f}%")


def test_one_pair_is_explained_part_by_part(open_page, run):
    row = tiny_rows(1, start=5)[0]
    page = open_page("Compare")
    type_pair(page, row["sentence1"], row["sentence2"])
    page.evaluate(RECORD_ARRIVALS)
    page.locator("#cmp-explain-button").click()
    explain(page, "Words")  # and watch the parts come
    expect(page.locator("#cmp-explain-status")).to_contain_text("About:")

    explain(page, "What if")
    changes = page.locator("#cmp-what-if tbody th")
    expect(changes).to_have_text(
        [
            re.compile("^as typed"),
            re.compile("^sentences swapped"),
            re.compile("^token_type_ids zeroed"),
            re.compile("^token_type_ids swapped"),
        ]
    )
    expect(page.locator("#cmp-what-if")).to_contain_text(re.compile(r"takes [\d.]+ ms on the left"))

    explain(page, "Words")
    for place in ("left", "right"):
        words = page.locator(f"#cmp-{place}-words .cmp-strip")
        expect(words).to_have_text([shown_words(row["sentence1"]), shown_words(row["sentence2"])])
        expect(page.locator(f"#cmp-{place}-words")).to_contain_text(
            re.compile(
                r"The words add [+-]\d+\.\d+ to the margin.*error \d+\.\d+ %, \d+ Gauss-Legendre points"
            )
        )
    expect(page.locator("#cmp-effects .js-plotly-plot")).to_be_visible()
    assert page.evaluate("window.arrivals") == [
        "cmp-what-if",
        "cmp-left-words",
        "cmp-right-words",
        "cmp-effects",
    ]
    expect(page.locator("#cmp-effects .cmp-chart")).to_have_attribute(
        "aria-label", re.compile("moves the answer most")
    )
    expect(page.locator("#cmp-effects .legend")).to_contain_text("right")

    explain(page, "Attention")
    for place in ("left", "right"):
        expect(page.locator(f"#cmp-{place}-attention .cmp-chart")).to_have_attribute(
            "aria-label", f"Attention of layer 2 on the {place} from sentence 1 to sentence 2."
        )
        expect(page.locator(f"#cmp-{place}-attention .js-plotly-plot")).to_be_visible()
    page.locator("#cmp-direction").get_by_label("sentence 2 → 1").check()
    page.locator("#cmp-layer input[type=number]").fill("1")
    expect(page.locator("#cmp-right-attention .cmp-chart")).to_have_attribute(
        "aria-label", "Attention of layer 1 on the right from sentence 2 to sentence 1."
    )

    explain(page, "Nearest training pairs")
    page.locator("#cmp-nearest-find").click()
    expect(page.locator("#cmp-nearest tbody tr")).to_have_count(8)
    nearest = page.locator("#cmp-nearest tbody tr").first
    expect(nearest.locator("td[data-title='Pair of train']")).to_have_text("5")
    expect(nearest.locator("td[data-title=Cosine]")).to_have_text("1.000")


def test_an_epoch_without_weights_says_why_it_cannot_answer(open_page, run):
    page = open_page("Compare")
    page.locator("#cmp-right input").click()
    page.get_by_role("option", name=re.compile("stored answers only")).first.click()
    expect(page.locator("#cmp-board .cmp-confusion")).to_have_count(2)
    page.locator("#cmp-sentence1 textarea").fill("The town.")
    page.locator("#cmp-sentence2 textarea").fill("The city.")
    page.locator("#cmp-compare").click()
    expect(page.locator("#cmp-answers [role=alert]")).to_contain_text(
        "were not kept (keep_epochs is best_last)"
    )


def test_pasted_pairs_are_answered_scored_and_downloaded(open_page, run):
    page = open_page("Compare")
    view(page, "Your pairs")
    page.locator("#cmp-own-text textarea").fill("The town.\tThe city.\nOnly one sentence here")
    page.locator("#cmp-own-ask").click()
    expect(page.locator("#cmp-own-status [role=alert]")).to_contain_text("Line 2 has 1 part")
    page.locator("#cmp-own-text textarea").fill("=1+1\tThe <b>city</b>.\t0\nThe mayor. ||| The mayor. ||| 1")
    page.locator("#cmp-own-ask").click()
    expect(page.locator("#cmp-own-summary")).to_contain_text("2 pairs")
    expect(page.locator("#cmp-own-summary .cmp-confusion")).to_have_count(2)
    expect(page.locator("#cmp-own-answers tbody tr")).to_have_count(2)
    expect(page.locator("#cmp-own-answers")).to_contain_text("The <b>city</b>.")
    for button in ("#cmp-own-download", "#cmp-own-answers .cmp-table-tools button:has-text('Download CSV')"):
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
    page = open_page("Compare")
    view(page, "Your pairs")
    page.locator("#cmp-own-file input[type=file]").set_input_files(path)
    expect(page.locator("#cmp-own-file")).to_contain_text("pairs")
    page.locator("#cmp-own-ask").click()
    expect(page.locator("#cmp-own-summary")).to_contain_text("30 pairs")
    expect(page.locator("#cmp-own-answers .cmp-table-tools")).to_contain_text("30 rows, page 1 of 3")
    page.locator("#cmp-own-answers input[type=search]").fill("mayor")
    expect(page.locator("#cmp-own-answers .cmp-table-tools")).to_contain_text("of 30 rows")


def test_many_pairs_show_their_progress_and_can_be_cancelled(open_page, run, tmp_path):
    path = tmp_path / "many.csv"
    sentence = "The mayor of the town closed two roads after the storm " * 8
    path.write_text("sentence1,sentence2\n" + f"{sentence},{sentence}\n" * 8000)
    page = open_page("Compare")
    view(page, "Your pairs")
    page.locator("#cmp-own-file input[type=file]").set_input_files(path)
    expect(page.locator("#cmp-own-file")).to_contain_text("many")
    page.locator("#cmp-own-ask").click()
    expect(page.locator("#cmp-own-status [role=progressbar]")).to_be_visible()
    expect(page.locator("#cmp-own-status")).to_contain_text("of 16,000")
    page.locator("#cmp-own-stop").click()
    expect(page.locator("#cmp-own-status")).to_contain_text("Cancelled.")
    expect(page.locator("#cmp-own-answers tbody tr")).to_have_count(0)


def test_the_report_opens_from_a_file_and_asks_for_nothing(open_page, run, browser, tmp_path):
    page = open_page("Compare")
    view(page, "Report")
    page.locator("#cmp-report").click()
    expect(page.locator("#cmp-report-status")).to_contain_text("The report is ready.")
    with page.expect_download() as downloaded:
        page.locator("#cmp-report-download").click()
    path = tmp_path / downloaded.value.suggested_filename
    downloaded.value.save_as(path)
    assert path.name == f"comparison-{run.run_id}-validation.html"

    context = browser.new_context(offline=True)
    asked, complaints = [], []
    report = context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.on("console", lambda message: complaints.append(message.text))
    report.on("pageerror", lambda error: complaints.append(str(error)))
    report.goto(path.as_uri())
    expect(report.get_by_role("heading", name="What did fine-tuning change?")).to_be_visible()
    expect(report.locator(".cmp-verdict")).to_contain_text("fixed")
    expect(report.locator("[data-figure] .main-svg").first).to_be_visible()
    for name in ("roc", "precision-recall", "reliability", "threshold", "ladder"):
        expect(report.locator(f"[data-figure={name}].js-plotly-plot")).to_be_visible()
    expect(report.locator("body")).to_contain_text(run.config.data.fingerprint)
    names = report.locator("[data-table=slices] tbody tr td:first-child")
    report.locator("[data-table=slices] th button", has_text="Kind of pair").click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), key=str.casefold)
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
