"""Baselines as sides, and long work that can be followed."""

import threading

import pytest

from mrpc.app.compare.comparison import Comparison
from mrpc.app.compare.sides import BASELINES
from mrpc.app.progress import Done, Progress, follow
from mrpc.core.data.load import load_data
from mrpc.errors import InputError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    return Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir)), run, runs_dir


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_compares_with_a_model(world, name):
    comparison, run, _ = world
    result = comparison.compare_split(f"baseline:{name}", f"{run.run_id}:best").as_dict()
    assert result["num_pairs"] == 16
    assert result["right"]["accuracy"] > 0
    if name == "majority":
        assert result["left"]["accuracy"] == 0.5


def test_vectors_of_sentences_are_kept_on_disk(world):
    comparison, run, runs_dir = world
    seen = []
    comparison.compare_split("baseline:embedding", f"{run.run_id}:best")
    assert len(list((runs_dir / ".derived").glob("vectors-*.npy"))) == 2
    anew = Comparison(RunStore(runs_dir), comparison.shelf._app_data, Settings(runs_dir=runs_dir))
    anew.compare_split(
        "baseline:embedding", f"{run.run_id}:best", report=lambda *progress: seen.append(progress)
    )
    assert seen == []
    assert [found.run_id for found in RunStore(runs_dir).list()] == [run.run_id]


def test_baselines_answer_typed_pairs(world):
    comparison, run, _ = world
    left, right = comparison.pair.answer(
        "baseline:overlap", f"{run.run_id}:best", "The same words.", "The same words."
    )
    assert left.label == "equivalent"
    assert left.weights_sha256 == ""
    assert right.weights_sha256


def test_two_baselines_compare_on_the_data_in_use(world):
    comparison, _, _ = world
    assert comparison.compare_split("baseline:majority", "baseline:tfidf").as_dict()["num_pairs"] == 16


def test_work_is_followed_to_its_result():
    gate = threading.Event()

    def work(report, should_stop):
        report("counting", 1, 2)
        gate.wait(5)
        return "result"

    steps = follow(work)
    assert next(steps) == Progress("counting", 1, 2)
    gate.set()
    assert list(steps) == [Done("result")]


def test_what_work_raises_is_raised_to_who_follows():
    def work(report, should_stop):
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        list(follow(work))


def test_who_stops_following_stops_the_work():
    stopped = threading.Event()

    def work(report, should_stop):
        report("counting", 1, 2)
        while not should_stop():
            stopped.wait(0.01)
        stopped.set()

    steps = follow(work)
    next(steps)
    steps.close()
    assert stopped.wait(5)
