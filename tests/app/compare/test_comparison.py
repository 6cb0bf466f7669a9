"""Sides, pairs and splits on two finished runs of the tiny BERT."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from mrpc.app.compare.comparison import Comparison
from mrpc.app.compare.sides import check_weights_differ
from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_classifier, load_finetuned
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.core.model.weights import weights_sha256
from mrpc.errors import DataError, InputError, PairError, RunStateError, UnavailableError, UnknownRunError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run
from tests.tiny import tiny_rows, write_jsonl

SENTENCES = ("The mayor of the town closed two roads.", "Two roads were closed by the mayor of the town.")


@pytest.fixture(scope="module")
def data(tiny_data_dir):
    return load_data("folder", tiny_data_dir)


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs_dir, data, tiny_checkpoint_dir):
    return make_finished_run(runs_dir, data, tiny_checkpoint_dir)


@pytest.fixture(scope="module")
def other_run(runs_dir, data, tiny_checkpoint_dir):
    return make_finished_run(runs_dir, data, tiny_checkpoint_dir, num_epochs=1, seed=2)


@pytest.fixture(scope="module")
def comparison(runs_dir, data, run, other_run):
    return Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))


@pytest.fixture
def copied(tmp_path, run, data):
    """A copy of the run that a test may spoil, and a comparison over it."""
    shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)
    store = RunStore(tmp_path)
    return store.open(run.run_id), Comparison(store, lambda: data, Settings(runs_dir=tmp_path))


def test_a_pair_is_answered_by_the_models_that_the_run_kept(comparison, run, tiny_checkpoint_dir):
    result = comparison.pair.compare(run.run_id, *SENTENCES)
    base = load_classifier(resolve_pretrained("local:tiny-bert", tiny_checkpoint_dir), seed=1).model
    tuned, tokenizer = load_finetuned(run.paths.best_model)
    for model, answer in ((base, result["base"]), (tuned, result["tuned"])):
        with torch.no_grad():
            logits = model(**tokenizer(*SENTENCES, return_tensors="pt")).logits[0]
        assert answer["prob_equivalent"] == pytest.approx(logits.softmax(0)[1].item(), abs=1e-6)
        assert answer["label"] == ("equivalent" if logits[1] > logits[0] else "not_equivalent")
        assert answer["weights_sha256"] == weights_sha256(model)
        assert answer["checkpoint"] == "local:tiny-bert"
    assert result["base"]["step"] == 0
    assert result["tuned"]["step"] in {4, 8, 12}
    assert result["base"]["weights_sha256"] != result["tuned"]["weights_sha256"]


def test_at_most_two_sides_are_in_memory(comparison, run, other_run):
    for side in ("base", "best"):
        comparison.pair.answer(f"{run.run_id}:{side}", f"{other_run.run_id}:{side}", *SENTENCES)
    assert len(comparison.loaded._loaded) == 2


def test_a_base_that_is_the_fine_tuned_model_is_refused_before_it_answers(copied):
    run, comparison = copied
    lines = run.paths.events.read_text().splitlines(keepends=True)
    record = comparison.catalog.read_record(run)
    best = record.by_epoch[record.best_epoch].weights_sha256
    same = "".join(line.replace(record.by_epoch[0].weights_sha256, best) for line in lines)
    run.paths.events.write_text(same)
    with pytest.raises(RunStateError, match="have the same weights"):
        comparison.pair.compare(run.run_id, *SENTENCES)
    with pytest.raises(RunStateError, match="have the same weights"):
        comparison.compare_split(f"{run.run_id}:base", f"{run.run_id}:best")


def test_the_models_in_memory_are_checked_too(comparison, run):
    base, best = comparison.catalog.find_two(f"{run.run_id}:base", f"{run.run_id}:best")
    with pytest.raises(RunStateError, match="the fine-tuned model is the base"):
        check_weights_differ(base, "abc", best, "abc")
    check_weights_differ(base, "abc", best, "abd")


def test_weights_that_were_changed_behind_the_runs_back_are_refused(copied):
    run, comparison = copied
    shutil.rmtree(run.paths.best_model)
    base = comparison.loaded.get(comparison.catalog.find(f"{run.run_id}:base")).predictor
    base.model.save_pretrained(run.paths.best_model)
    base.tokenizer.save_pretrained(run.paths.best_model)
    with pytest.raises(RunStateError, match="not those that the run recorded"):
        comparison.pair.compare(run.run_id, *SENTENCES)


def test_an_epoch_without_weights_still_compares_on_validation(comparison, run):
    best = comparison.catalog.read_record(run).best_epoch
    epoch = next(number for number in (1, 2, 3) if number not in (best, 3))
    name = f"{run.run_id}:epoch-{epoch}"
    result = comparison.compare_split(name, f"{run.run_id}:best")
    stored = read_predictions(run.paths.validation_predictions(epoch))
    assert result.left.metrics["accuracy"] == pytest.approx((stored.predicted == stored.label).mean())
    with pytest.raises(UnavailableError, match=f"weights of epoch {epoch} were not kept"):
        comparison.pair.answer(name, f"{run.run_id}:best", *SENTENCES)


def test_an_epoch_whose_weights_are_kept_under_another_name_answers(comparison, run):
    best = comparison.catalog.read_record(run).best_epoch
    side = comparison.catalog.find(f"{run.run_id}:epoch-{best}")
    assert side.model_dir == run.paths.best_model


def test_the_split_is_that_of_the_stored_predictions(comparison, run):
    result = comparison.compare_split(f"{run.run_id}:base", f"{run.run_id}:best").as_dict()
    best = comparison.catalog.read_record(run).best_epoch
    left = read_predictions(run.paths.validation_predictions(0))
    right = read_predictions(run.paths.validation_predictions(best))
    was, now = left.predicted == left.label, right.predicted == right.label
    assert result["num_pairs"] == 16
    assert result["fixed"] == (~was & now).sum()
    assert result["broken"] == (was & ~now).sum()
    assert result["both_right"] == (was & now).sum()
    assert result["both_wrong"] == (~was & ~now).sum()
    assert result["accuracy_difference"]["value"] == pytest.approx(now.mean() - was.mean())
    for side in ("left", "right"):
        for metric, (low, high) in result[side]["intervals"].items():
            assert low <= result[side][metric] <= high


def test_stored_predictions_need_neither_torch_nor_the_data(comparison, run, runs_dir):
    code = (
        "import sys; from pathlib import Path; from mrpc.runs.store import RunStore; "
        "from mrpc.app.compare.comparison import Comparison; from mrpc.settings import Settings; "
        f"c = Comparison(RunStore(Path({str(runs_dir)!r})), None, Settings()); "
        f"c.compare_split('{run.run_id}:base', '{run.run_id}:best').as_dict(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'datasets', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_test_is_predicted_once_and_kept(comparison, run, runs_dir, data):
    seen = []
    first = comparison.compare_split(
        f"{run.run_id}:base", f"{run.run_id}:best", "test", report=lambda *progress: seen.append(progress)
    )
    assert ("base answers test", 16, 16) in seen
    after_a_restart = Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    again = after_a_restart.compare_split(
        f"{run.run_id}:base",
        f"{run.run_id}:best",
        "test",
        report=lambda *_: pytest.fail("predicted anew"),
    )
    np.testing.assert_array_equal(first.right.answers.logits, again.right.answers.logits)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "best",
            ":best",
            "RUN:",
            "RUN:first",
            "RUN:epoch-",
            "RUN:epoch--1",
            "RUN:epoch-01",
            "RUN:best\n",
        ),
        *("../x:best", "RUN:best:", "RUN:epoch-9", "RUN:epoch-9999", "baseline:", "baseline:none"),
        *(None, 7, ["RUN:best"]),
    ],
)
def test_a_name_that_is_no_side_is_refused(comparison, run, name):
    name = name.replace("RUN", run.run_id) if isinstance(name, str) else name
    with pytest.raises(InputError):
        comparison.compare_split(name, f"{run.run_id}:best")


def test_other_bad_arguments_are_refused(comparison, run):
    base, best = f"{run.run_id}:base", f"{run.run_id}:best"
    with pytest.raises(InputError, match="Both sides are"):
        comparison.compare_split(best, best)
    for split in ("train", "", None, ["test"]):
        with pytest.raises(InputError, match="validation or test"):
            comparison.compare_split(base, best, split)
    with pytest.raises(UnknownRunError):
        comparison.pair.compare("nobody", *SENTENCES)
    with pytest.raises(PairError, match="Sentence 2 is empty"):
        comparison.pair.compare(run.run_id, "One.", "  ")
    for row in (-1, 16, 0.5, float("nan"), float("inf"), None, "3", True):
        with pytest.raises(InputError, match="There is no pair"):
            comparison.pair.pick(base, best, "validation", row)


def test_a_row_of_the_data_and_its_label(comparison, run, data):
    base, best = f"{run.run_id}:base", f"{run.run_id}:best"
    pair = comparison.pair.pick(base, best, "validation", 3)
    assert (pair.sentence1, pair.idx) == (data.dataset["validation"][3]["sentence1"], 67)
    assert (
        comparison.pair.known_label(base, best, "validation", 3, pair.sentence1, pair.sentence2) == pair.label
    )
    assert comparison.pair.known_label(base, best, "validation", 3, pair.sentence1, "edited") is None
    assert comparison.pair.known_label(base, best, "validation", -3, pair.sentence1, "edited") is None


def test_runs_on_different_data_are_refused_unless_the_split_is_the_same(
    tmp_path, runs_dir, run, comparison, tiny_checkpoint_dir, tiny_data_dir
):
    write_jsonl(tmp_path / "train.jsonl", tiny_rows(32, start=200))
    shutil.copy(tiny_data_dir / "validation.jsonl", tmp_path)
    write_jsonl(tmp_path / "test.jsonl", tiny_rows(16, start=300))
    elsewhere = make_finished_run(runs_dir, load_data("folder", tmp_path), tiny_checkpoint_dir, num_epochs=1)
    sides = f"{run.run_id}:best", f"{elsewhere.run_id}:best"
    assert comparison.compare_split(*sides, "validation").as_dict()["num_pairs"] == 16
    with pytest.raises(DataError, match="their test splits differ"):
        comparison.compare_split(*sides, "test")
    shutil.rmtree(elsewhere.paths.run_dir)


def test_runs_without_weights_are_not_offered(copied):
    run, comparison = copied
    assert [found.run_id for found in comparison.comparable_runs()] == [run.run_id]
    shutil.rmtree(run.paths.models)
    assert comparison.comparable_runs() == []
    with pytest.raises(UnavailableError):
        comparison.pair.compare(run.run_id, *SENTENCES)
