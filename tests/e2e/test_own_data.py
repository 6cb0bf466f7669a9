"""A file that a person brings becomes a model, compared and exported, without a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mrpc.runs.log import read_events
from tests.e2e.pages import open_by
from tests.e2e.test_train import open_group, start_training
from tests.live_app import LiveApp

pytestmark = pytest.mark.e2e

PLACES = ("Köln", "Genève", "the old café", "Málaga", "Brno", "the harbour", "Århus", "the north gate")
ASKED = (
    "Where is {}?",
    "How far is {} from here?",
    "Who built {}?",
    "When does {} open?",
    "Is {} safe at night?",
)


def write_questions(path: Path, num: int = 500) -> Path:
    """Write pairs of questions as an office program does; one row lacks a question."""
    lines = ["id;question1;question2;is_duplicate"]
    for at in range(num):
        place, asked = PLACES[at % len(PLACES)], ASKED[at % len(ASKED)]
        other = asked if at % 2 else ASKED[(at + 1 + at // 40) % len(ASKED)]
        lines.append(
            f"{at};No. {at}: {asked.format(place)};{other.format(place)} ({at});{int(asked == other)}"
        )
    lines.append(f"{num};;{ASKED[0].format(PLACES[0])};0")
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return path


def upload(page: Page, *paths: Path) -> None:
    open_group(page, "num_train_pairs")
    clear = page.locator("#data-file").get_by_label("Clear")
    if clear.count():
        clear.first.click()
    page.locator("#data-file input[type=file]").set_input_files(list(paths))


def test_a_file_becomes_a_model_without_a_shell(open_page, live_app: LiveApp, tmp_path: Path) -> None:
    page = open_page("2 Fine-tune", width=1440)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("left,right,same\na,b,1\nc,d,0\n")
    upload(page, wrong)
    said = page.locator("#data-message [role=alert]")
    expect(said).to_contain_text("wrong.csv, line 1: the column sentence1 is missing")
    expect(said).to_contain_text("Found the columns 'left', 'right', 'same'")

    upload(page, write_questions(tmp_path / "questions.csv"))
    report = page.locator("#train-data-report")
    for words in ("questions.csv", "Windows-1252", "delimiter: semicolon", "sentence1 from question1"):
        expect(report).to_contain_text(words)
    expect(report).to_contain_text("1 row with an empty sentence (line 502)")
    expect(report).to_contain_text("Drawn from train")
    expect(page.locator("#train-plan")).to_contain_text("450 pairs")

    start_training(page, num_epochs=1, num_train_pairs=120, learning_rate="1e-3")
    expect(page.locator("#run-live")).to_contain_text("finished")
    (run,) = live_app.store.list()
    data = run.config.data
    assert (data.name, data.kind) == ("questions.csv", "folder")
    assert data.data_dir is not None
    assert data.data_dir.parent == live_app.runs_dir / ".data"
    assert read_events(run.paths.events, 0, 10**6)

    open_by(page.locator("#export-fold > button"))
    code = page.locator("#export-code")
    expect(code).to_contain_text("on questions.csv as run")
    expect(code).to_contain_text(f".data/{data.data_dir.name}")

    page.get_by_role("tab", name="3 Compare", exact=True).click()
    page.get_by_role("tab", name="Scores", exact=True).click()
    expect(page.locator("#stage-compare-scores")).to_contain_text("pairs")
