"""The endpoints of the Compare tab, as a script asks them, on finished runs of the tiny BERT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from sklearn import metrics

from mrpc.core.data.load import load_data
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.runs.run import Run
from tests.finished_run import make_finished_run
from tests.live_app import LiveApp, running_app
from tests.tiny import tiny_rows, write_jsonl, write_tiny_data

pytestmark = pytest.mark.integration

SIDE_KEYS = {"accuracy", "f1", "precision", "recall", "log_loss", "ece", "confusion", "intervals"}
CELLS = {"fixed", "broken", "both_right", "both_wrong"}
METRICS = {"accuracy", "f1", "precision", "recall", "log_loss"}


@pytest.fixture(scope="module")
def app(tmp_path_factory, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Iterator[LiveApp]:
    arguments = ("--data-dir", str(tiny_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    with running_app(tmp_path_factory.mktemp("runs"), *arguments) as app:
        yield app


@pytest.fixture(scope="module")
def client(app: LiveApp) -> Iterator[Client]:
    client = Client(app.url, verbose=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def run(app: LiveApp, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    return make_finished_run(app.runs_dir, load_data("folder", tiny_data_dir), tiny_checkpoint_dir)


@pytest.fixture(scope="module")
def run_on_other_data(app: LiveApp, tmp_path_factory, tiny_checkpoint_dir: Path) -> Run:
    """A run whose data has the same validation split, and other rows in train and test."""
    directory = write_tiny_data(tmp_path_factory.mktemp("other"))
    write_jsonl(directory / "train.jsonl", tiny_rows(48, start=200))
    write_jsonl(directory / "test.jsonl", tiny_rows(16, start=300))
    data = load_data("folder", directory)
    return make_finished_run(app.runs_dir, data, tiny_checkpoint_dir, num_epochs=1, seed=2)


def compare(client: Client, left: Any, right: Any, split: Any = "validation") -> dict[str, Any]:
    return client.predict(left, right, split, api_name="/compare_split")


def refusal(client: Client, *arguments: Any, api_name: str = "/compare_split") -> str:
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name)
    message = str(caught.value)
    assert "Traceback" not in message
    assert 'File "' not in message
    return message


def test_a_split_is_compared_from_what_the_run_stored(client: Client, run: Run):
    answer = compare(client, f"{run.run_id}:base", f"{run.run_id}:last")
    assert set(answer) == {"num_pairs", "left", "right", *CELLS, "mcnemar_p", "accuracy_difference"}
    assert answer["num_pairs"] == 16 == sum(answer[cell] for cell in CELLS)
    assert set(answer["accuracy_difference"]) == {"value", "low", "high"}
    stored = [read_predictions(run.paths.validation_predictions(epoch)) for epoch in (0, 3)]
    labels = stored[0].label
    for side, predictions in zip((answer["left"], answer["right"]), stored, strict=True):
        assert set(side) == SIDE_KEYS
        called = predictions.prob_equivalent > 0.5
        assert side["accuracy"] == pytest.approx(metrics.accuracy_score(labels, called))
        assert side["f1"] == pytest.approx(metrics.f1_score(labels, called, zero_division=0))
        assert side["precision"] == pytest.approx(metrics.precision_score(labels, called, zero_division=0))
        assert side["recall"] == pytest.approx(metrics.recall_score(labels, called, zero_division=0))
        assert side["log_loss"] == pytest.approx(metrics.log_loss(labels, predictions.prob_equivalent))
        assert side["confusion"] == metrics.confusion_matrix(labels, called).tolist()
        assert set(side["intervals"]) == METRICS
        for metric, (low, high) in side["intervals"].items():
            assert low <= side[metric] <= high
    wrong = [(answers.prob_equivalent > 0.5) != (labels == 1) for answers in stored]
    assert answer["fixed"] == int(np.sum(wrong[0] & ~wrong[1]))
    assert answer["broken"] == int(np.sum(~wrong[0] & wrong[1]))
    gained = answer["right"]["accuracy"] - answer["left"]["accuracy"]
    assert answer["accuracy_difference"]["value"] == pytest.approx(gained)


def test_the_pairs_of_every_cell_are_listed(client: Client, run: Run):
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    counts = compare(client, *sides)
    rows = {row["idx"]: row for row in tiny_rows(16, start=64)}
    seen = set()
    for cell in CELLS:
        found = client.predict(*sides, "validation", cell, api_name="/flips")
        listed = found.pop("pairs")
        assert found == {"split": "validation", "cell": cell, "num_pairs": counts[cell]}
        assert len(listed) == counts[cell]
        changes = [abs(pair["change"]) for pair in listed]
        assert changes == sorted(changes, reverse=True)
        for pair in listed:
            row = rows[pair["idx"]]
            assert {name: pair[name] for name in row} == row
            right = [(pair[name] > 0.5) == bool(row["label"]) for name in ("prob_left", "prob_right")]
            expected = {(False, True): "fixed", (True, False): "broken", (True, True): "both_right"}
            assert cell == expected.get(tuple(right), "both_wrong")
            seen.add(pair["idx"])
    assert seen == set(rows)


def test_an_epoch_whose_weights_were_not_kept_is_compared_on_validation_only(client: Client, run: Run):
    dropped = next(n for n in (1, 2) if not run.paths.epoch_model(n).exists() and f"epoch-{n}" != best(run))
    side = f"{run.run_id}:epoch-{dropped}"
    stored = read_predictions(run.paths.validation_predictions(dropped))
    answer = compare(client, f"{run.run_id}:base", side)
    expected = metrics.accuracy_score(stored.label, stored.prob_equivalent > 0.5)
    assert answer["right"]["accuracy"] == pytest.approx(expected)
    message = refusal(client, f"{run.run_id}:base", side, "test")
    assert f"The weights of epoch {dropped} were not kept" in message


def best(run: Run) -> str:
    return f"epoch-{run.read_status().best_epoch}"


def test_runs_on_different_data_are_compared_where_the_split_is_the_same(
    client: Client, run: Run, run_on_other_data: Run
):
    sides = f"{run.run_id}:best", f"{run_on_other_data.run_id}:best"
    assert compare(client, *sides)["num_pairs"] == 16
    message = refusal(client, *sides, "test")
    assert "were trained on different data: their test splits differ" in message
    assert "their test splits differ" in refusal(client, *sides, "test", "fixed", api_name="/flips")


def test_baselines_are_sides_too(client: Client, run: Run):
    answer = compare(client, "baseline:majority", f"{run.run_id}:best")
    assert answer["left"]["accuracy"] == 0.5
    assert answer["left"]["confusion"] in ([[8, 0], [8, 0]], [[0, 8], [0, 8]])
    assert answer["left"]["intervals"]["accuracy"][0] == pytest.approx(0.2800, abs=1e-4)


def test_test_is_predicted_when_it_is_asked_for(client: Client, run: Run):
    assert compare(client, f"{run.run_id}:base", f"{run.run_id}:best", "test")["num_pairs"] == 16


@pytest.mark.parametrize(
    ("left", "right", "split", "words"),
    [
        ("{run}:first", "{run}:best", "validation", "names no side"),
        ("{run}:base", "baseline:luck", "validation", "names no side"),
        ("{run}:base", "../../etc:best", "validation", "names no side"),
        ("{run}:base", None, "validation", "right is None; it must be text"),
        ("{run}:base", ["x"], "validation", "it must be text"),
        ("{run}:base", "20200101-000000-quick-0000:best", "validation", "There is no run"),
        ("{run}:base", "{run}:epoch-9", "validation", "has no epoch 9; it evaluated 1, 2, 3"),
        ("{run}:base", "{run}:base", "validation", "Both sides are"),
        ("{run}:base", "{run}:best", "train", "it must be validation or test"),
        ("{run}:base", "{run}:best", None, "split is None; it must be text"),
        ("{run}:base", "{run}:best", "<b>", "The split is '<b>'"),
    ],
)
def test_sides_and_splits_that_are_not_there(client: Client, run: Run, left, right, split, words):
    names = [name.format(run=run.run_id) if isinstance(name, str) else name for name in (left, right)]
    message = refusal(client, *names, split)
    assert words in message


@pytest.mark.parametrize("cell", ["Fixed", "", None, 3, {"a": 1}])
def test_a_cell_that_is_not_there(client: Client, run: Run, cell):
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    message = refusal(client, *sides, "validation", cell, api_name="/flips")
    is_text = isinstance(cell, str)
    words = "it must be one of fixed, broken, both_right, both_wrong" if is_text else "it must be text"
    assert words in message
