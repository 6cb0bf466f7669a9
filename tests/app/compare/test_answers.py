"""Baselines as sides."""

import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.app.compare.sides import BASELINES
from mrpc.runs.store import RunStore
from mrpc.settings import Settings


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_compares_with_a_model(comparisons, run, name):
    result = comparisons.compare(f"baseline:{name}", f"{run.run_id}:best").scores.as_dict()
    assert result["num_pairs"] == 16
    assert result["right"]["accuracy"] > 0
    if name == "majority":
        assert result["left"]["accuracy"] == 0.5


def test_vectors_of_sentences_are_kept_on_disk(comparisons, run, runs_dir):
    seen = []
    comparisons.compare("baseline:embedding", f"{run.run_id}:best")
    assert len(list((runs_dir / ".derived").glob("vectors-*.npy"))) == 2
    anew = Comparisons(RunStore(runs_dir), comparisons.shelf._app_data, Settings(runs_dir=runs_dir))
    anew.compare(
        "baseline:embedding", f"{run.run_id}:best", on_progress=lambda *progress: seen.append(progress)
    )
    assert seen == []
    assert [found.run_id for found in RunStore(runs_dir).list()] == [run.run_id]


def test_baselines_answer_typed_pairs(comparisons, run):
    answers = comparisons.answer_pair(
        "baseline:overlap", f"{run.run_id}:best", "The same words.", "The same words."
    )
    assert answers.first.label == "equivalent"
    assert answers.first.side.weights_sha256 == ""
    assert answers.second.side.weights_sha256


def test_two_baselines_compare_on_the_data_in_use(comparisons):
    assert comparisons.compare("baseline:majority", "baseline:tfidf").scores.as_dict()["num_pairs"] == 16
