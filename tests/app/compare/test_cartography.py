import math
import shutil

import pyarrow.parquet as pq
import pytest

from mrpc.app.compare.comparison import Comparison
from mrpc.core.data.load import load_data
from mrpc.errors import InputError, UnavailableError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    short = make_finished_run(runs_dir, data, tiny_checkpoint_dir, num_epochs=2)
    comparison = Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    return comparison, run, short, data


def test_the_map_is_that_of_the_losses_the_training_wrote(world):
    comparison, run, _, data = world
    found = comparison.training_map(f"{run.run_id}:base", f"{run.run_id}:best")
    assert sum(found.counts().values()) == 64
    pair = found.at(5)
    assert pair.sentence1 == data.dataset["train"][5]["sentence1"]
    losses = []
    for epoch in (1, 2, 3):
        table = pq.ParquetFile(run.paths.train_records(epoch)).read().to_pydict()
        losses.append(table["loss"][table["idx"].index(5)])
    assert pair.confidence == pytest.approx(sum(math.exp(-loss) for loss in losses) / 3)
    for region, num in found.counts().items():
        assert len(found.in_region(region)) == num
    assert len(found.points()) == 64


@pytest.mark.parametrize("region", ["", None, "Hard", 1])
def test_another_region_is_refused(world, region):
    comparison, run, _, _ = world
    with pytest.raises(InputError, match="must be one of"):
        comparison.training_map(f"{run.run_id}:base", f"{run.run_id}:best").in_region(region)


@pytest.mark.parametrize("row", [-1, 64, None, "5", True, 5.0])
def test_another_row_is_refused(world, row):
    comparison, run, _, _ = world
    with pytest.raises(InputError, match="did not train on pair"):
        comparison.training_map(f"{run.run_id}:base", f"{run.run_id}:best").at(row)


def test_doubtful_labels_come_with_both_opinions(world):
    comparison, run, _, _ = world
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    pairs = comparison.doubt_labels(*sides)
    assert len(pairs) == 30
    disagree = [pair.both_disagree for pair in pairs]
    assert disagree == sorted(disagree, reverse=True)
    first = pairs[0]
    answers = comparison.pair.answer(*sides, first.sentence1, first.sentence2)
    assert first.left == pytest.approx(answers[0].prob_equivalent, abs=1e-6)
    assert first.right == pytest.approx(answers[1].prob_equivalent, abs=1e-6)


def test_an_epoch_without_weights_has_no_opinion(world):
    comparison, run, _, _ = world
    best = comparison.catalog.read_record(run).best_epoch
    epoch = next(number for number in (1, 2) if number != best)
    pairs = comparison.doubt_labels(f"{run.run_id}:epoch-{epoch}", f"{run.run_id}:last")
    assert all(pair.left is None and pair.right is not None for pair in pairs)


def test_too_few_epochs_are_said(world):
    comparison, _, short, _ = world
    with pytest.raises(UnavailableError, match="at least 3 whole epochs; this run has 2"):
        comparison.training_map(f"{short.run_id}:base", f"{short.run_id}:best")
    with pytest.raises(UnavailableError, match="Baselines are not trained"):
        comparison.training_map("baseline:majority", "baseline:tfidf")


def test_a_missing_file_is_a_missing_epoch(world, tmp_path):
    _, run, _, data = world
    shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)
    store = RunStore(tmp_path)
    store.open(run.run_id).paths.train_records(2).unlink()
    other = Comparison(store, lambda: data, Settings(runs_dir=tmp_path))
    with pytest.raises(UnavailableError, match="this run has 2"):
        other.training_map(f"{run.run_id}:base", f"{run.run_id}:best")
