"""What is worked out after a run, while nothing trains."""

from __future__ import annotations

import pytest

from mrpc.app.compare.background import Background, Job
from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.data.load import load_data
from mrpc.errors import UnavailableError
from mrpc.runs.queue import RunQueue
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    comparisons = Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    return run, comparisons


class Store(RunStore):
    """A runs folder of which a test says who trains."""

    training = None

    def holder(self):
        return self.training


@pytest.fixture
def store(world):
    run, _ = world
    return Store(run.paths.run_dir.parent)


@pytest.fixture
def background(world, store):
    return Background(store, lambda: world[1])


def end_training(background, store, run):
    store.training = run
    background.look()
    store.training = None
    background.look()


def test_a_run_that_ended_is_tested_then_its_baselines_are_fitted(world, store, background):
    run, comparisons = world
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    background.look()
    assert background.do_next() is None
    end_training(background, store, run)
    assert background.do_next() == Job("tests", *sides)
    assert len(list(run.paths.derived.glob("behavioral-*.parquet"))) == 2
    comparison = comparisons.compare(*sides)
    assert comparison.known_behavioral_tests() is not None
    assert len(comparison.baselines(False)) == 3
    assert background.do_next() == Job("baselines", *sides)
    assert len(comparison.baselines(False)) == 5
    assert background.do_next() is None


def test_a_training_goes_first(world, store, background, monkeypatch):
    run, comparisons = world
    end_training(background, store, run)
    queue = RunQueue(store.runs_dir)
    queue.add(run.run_id)
    assert background.do_next() is None
    queue.remove(run.run_id)

    def begin(*arguments):
        store.training = run
        background._looked_at = float("-inf")
        background._note("Asking", 1, 2)

    monkeypatch.setattr(comparisons, "compare", begin)
    assert background.do_next() is None, "it was cut"
    assert "until no training is under way" in background.want(background._jobs[0])
    monkeypatch.undo()
    store.training = None
    assert background.do_next().what == "tests"


def test_a_run_without_a_model_is_left_alone(world, store, background, monkeypatch):
    run, comparisons = world
    monkeypatch.setattr(comparisons.catalog, "comparable_runs", list)
    end_training(background, store, run)
    assert background.do_next() is None


def test_who_wants_something_goes_first_and_is_told_what_is_wrong(world, store, background):
    run, _ = world
    end_training(background, store, run)
    job = Job("baselines", "gone:base", "gone:best")
    assert background.want(job) == "It is worked out in the background."
    assert background.do_next() == job
    with pytest.raises(UnavailableError, match="There is no run"):
        background.want(job)
