"""A training on other data than MRPC: own names and labels, and a test split without labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_finetuned
from mrpc.errors import DataError
from mrpc.runs.store import RunStore
from mrpc.training.evaluation import evaluate_test
from tests.training.in_process import evaluations, make_run, train_here


@pytest.fixture
def questions_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "questions"
    folder.mkdir()
    names = "id;question1;question2;is_duplicate"
    lines = [f"{at};Où est le café {at} ?;Is café {at} open?;{('no', 'yes')[at % 2]}" for at in range(40)]
    (folder / "train.csv").write_bytes("\r\n".join([names, *lines]).encode("cp1252"))
    (folder / "test.csv").write_bytes(
        "\r\n".join([names[:-13], "1;Où ?;=Where?", "2;Qui ?;Who?"]).encode("cp1252")
    )
    return folder


def test_it_trains_keeps_its_names_and_predicts_test(
    tmp_path: Path, questions_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path / "runs", questions_dir, tiny_checkpoint_dir, num_epochs=1)
    stored = json.loads(run.paths.config.read_text())["data"]
    assert (stored["name"], stored["label_names"]) == ("questions", ["no", "yes"])
    train_here(run)
    model, _ = load_finetuned(run.paths.best_model)
    assert model.config.id2label == {0: "no", 1: "yes"}
    before = len(evaluations(run))
    evaluate_test(run)
    assert len(evaluations(run)) == before  # nothing is scored
    with run.paths.test_predictions("best").with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sentence1"] for row in rows] == ["Où ?", "Qui ?"]
    assert rows[0]["sentence2"] == "'=Where?"
    assert {row["predicted"] for row in rows} <= {"no", "yes"}
    assert all(0 <= float(row["prob_yes"]) <= 1 for row in rows)


def test_compare_refuses_to_score_it_in_a_sentence(
    tmp_path: Path, questions_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    from mrpc.app.compare.comparisons import Comparisons
    from mrpc.settings import Settings

    run = train_here(make_run(tmp_path / "runs", questions_dir, tiny_checkpoint_dir, num_epochs=1))
    data = load_data("folder", questions_dir)
    comparisons = Comparisons(RunStore(tmp_path / "runs"), lambda: data, Settings(runs_dir=tmp_path / "runs"))
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    with pytest.raises(DataError, match="None of the pairs of test has a label, so answers cannot be scored"):
        comparisons.compare(*sides, "test").scores.as_dict()
    (questions_dir / "test.csv").unlink()
    data = load_data("folder", questions_dir)
    with pytest.raises(DataError, match=r"questions has no test split; it has train, validation\."):
        data.split("test")
