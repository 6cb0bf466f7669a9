import math
import shutil

import pyarrow.parquet as pq
import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.errors import InputError, UnavailableError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def short(runs_dir, data, tiny_checkpoint_dir):
    return make_finished_run(runs_dir, data, tiny_checkpoint_dir, num_epochs=2)


def test_the_map_is_that_of_the_losses_the_training_wrote(comparisons, run, data):
    found = comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best").training_map
    assert sum(found.counts().values()) == 64
    pairs = {pair.row: pair for region in found.counts() for pair in found.in_region(region)}
    assert sorted(pairs) == list(range(64))
    pair = pairs[5]
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
def test_another_region_is_refused(comparisons, run, region):
    with pytest.raises(InputError, match="must be one of"):
        comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best").training_map.in_region(region)


def test_doubtful_labels_come_with_both_opinions(comparisons, run):
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    pairs = comparisons.compare(*sides).doubtful_labels()
    assert len(pairs) == 30
    doubts = [pair.num_doubts for pair in pairs]
    assert doubts == sorted(doubts, reverse=True)
    for pair in pairs:  # the base has a say in nothing: its head is random
        assert pair.num_doubts == int((pair.probs.second > 0.5) != bool(pair.label))
    first = pairs[0]
    answers = comparisons.answer_pair(*sides, first.sentence1, first.sentence2)
    assert first.probs.first == pytest.approx(answers.first.prob_equivalent, abs=1e-6)
    assert first.probs.second == pytest.approx(answers.second.prob_equivalent, abs=1e-6)


def test_an_epoch_without_weights_has_no_opinion(comparisons, run):
    best = comparisons.catalog.read_record(run).best_epoch
    epoch = next(number for number in (1, 2) if number != best)
    pairs = comparisons.compare(f"{run.run_id}:epoch-{epoch}", f"{run.run_id}:last").doubtful_labels()
    assert all(pair.probs.first is None and pair.probs.second is not None for pair in pairs)


def test_too_few_epochs_are_said(comparisons, short):
    with pytest.raises(UnavailableError, match="at least 3 whole epochs; this run has 2"):
        assert comparisons.compare(f"{short.run_id}:base", f"{short.run_id}:best").training_map
    with pytest.raises(UnavailableError, match="Baselines are not trained"):
        assert comparisons.compare("baseline:majority", "baseline:tfidf").training_map


def test_a_missing_file_is_a_missing_epoch(run, data, tmp_path):
    shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)
    store = RunStore(tmp_path)
    store.open(run.run_id).paths.train_records(2).unlink()
    other = Comparisons(store, lambda: data, Settings(runs_dir=tmp_path))
    with pytest.raises(UnavailableError, match="this run has 2"):
        assert other.compare(f"{run.run_id}:base", f"{run.run_id}:best").training_map
