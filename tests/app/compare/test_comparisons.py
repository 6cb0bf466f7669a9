"""Sides, pairs and splits on two finished runs of the tiny BERT."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrpc.app.compare.comparisons import Comparisons
from mrpc.app.compare.pair_tables import find_row
from mrpc.app.compare.sides import Both, check_weights_differ
from mrpc.core.data.load import load_data
from mrpc.core.data.pairs import SentencePair
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier, load_finetuned
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.errors import DataError, InputError, PairError, RunStateError, UnavailableError, UnknownRunError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run
from tests.tiny import tiny_rows, write_jsonl

SENTENCES = ("The mayor of the town closed two roads.", "Two roads were closed by the mayor of the town.")


@pytest.fixture(scope="module")
def other_run(runs_dir, data, tiny_checkpoint_dir):
    return make_finished_run(runs_dir, data, tiny_checkpoint_dir, num_epochs=1, seed=2)


@pytest.fixture(scope="module")
def comparisons(runs_dir, data, run, other_run):
    return Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))


@pytest.fixture
def copied(tmp_path, run, data):
    """A copy of the run that a test may spoil, and a comparisons over it."""
    shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)
    store = RunStore(tmp_path)
    return store.open(run.run_id), Comparisons(store, lambda: data, Settings(runs_dir=tmp_path))


def compare_pair(comparisons, run_id, sentence1, sentence2):
    """As the endpoint of this name does."""
    answers = comparisons.answer_pair(f"{run_id}:base", f"{run_id}:best", sentence1, sentence2)
    return {"base": answers.first.as_dict(), "tuned": answers.second.as_dict()}


def test_a_pair_is_answered_by_the_models_that_the_run_kept(comparisons, run, tiny_checkpoint_dir):
    result = compare_pair(comparisons, run.run_id, *SENTENCES)
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


def test_at_most_two_sides_are_in_memory(comparisons, run, other_run):
    for side in ("base", "best"):
        comparisons.answer_pair(f"{run.run_id}:{side}", f"{other_run.run_id}:{side}", *SENTENCES)
    assert len(comparisons.loaded._loaded) == 2


def test_a_base_that_is_the_fine_tuned_model_is_refused_before_it_answers(copied):
    run, comparisons = copied
    lines = run.paths.events.read_text().splitlines(keepends=True)
    record = comparisons.catalog.read_record(run)
    best = record.by_epoch[record.best_epoch].weights_sha256
    same = "".join(line.replace(record.by_epoch[0].weights_sha256, best) for line in lines)
    run.paths.events.write_text(same)
    with pytest.raises(RunStateError, match="have the same weights"):
        compare_pair(comparisons, run.run_id, *SENTENCES)
    with pytest.raises(RunStateError, match="have the same weights"):
        comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best")


def test_a_base_and_a_fine_tuned_model_have_different_weights(comparisons, run):
    sides = comparisons.catalog.find_two(f"{run.run_id}:base", f"{run.run_id}:best")

    def with_hashes(first, second):
        return Both(replace(sides.first, weights_sha256=first), replace(sides.second, weights_sha256=second))

    with pytest.raises(RunStateError, match="the fine-tuned model is the base"):
        check_weights_differ(with_hashes("abc", "abc"))
    check_weights_differ(with_hashes("abc", "abd"))


def test_weights_that_were_changed_behind_the_runs_back_are_refused(copied):
    run, comparisons = copied
    shutil.rmtree(run.paths.best_model)
    base = comparisons.loaded.get(comparisons.catalog.find(f"{run.run_id}:base"))
    base.model.save_pretrained(run.paths.best_model)
    base.tokenizer.save_pretrained(run.paths.best_model)
    with pytest.raises(RunStateError, match="not those that the run recorded"):
        compare_pair(comparisons, run.run_id, *SENTENCES)


def test_an_epoch_without_weights_still_compares_on_validation(comparisons, run):
    best = comparisons.catalog.read_record(run).best_epoch
    epoch = next(number for number in (1, 2, 3) if number not in (best, 3))
    name = f"{run.run_id}:epoch-{epoch}"
    result = comparisons.compare(name, f"{run.run_id}:best")
    stored = read_predictions(run.paths.validation_predictions(epoch))
    assert result.scores.sides.first.metrics["accuracy"] == pytest.approx(
        (stored.predicted == stored.label).mean()
    )
    with pytest.raises(UnavailableError, match=f"weights of epoch {epoch} were not kept"):
        comparisons.answer_pair(name, f"{run.run_id}:best", *SENTENCES)


def test_an_epoch_whose_weights_are_kept_under_another_name_answers(comparisons, run):
    best = comparisons.catalog.read_record(run).best_epoch
    side = comparisons.catalog.find(f"{run.run_id}:epoch-{best}")
    assert side.model_dir == run.paths.best_model


def test_the_split_is_that_of_the_stored_predictions(comparisons, run):
    result = comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best").scores.as_dict()
    best = comparisons.catalog.read_record(run).best_epoch
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


def test_stored_predictions_need_neither_torch_nor_the_data(comparisons, run, runs_dir):
    code = (
        "import sys; from pathlib import Path; from mrpc.runs.store import RunStore; "
        "from mrpc.app.compare.comparisons import Comparisons; from mrpc.settings import Settings; "
        f"c = Comparisons(RunStore(Path({str(runs_dir)!r})), None, Settings()); "
        f"c.compare('{run.run_id}:base', '{run.run_id}:best').scores.as_dict(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'datasets', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_test_is_predicted_once_and_kept(comparisons, run, runs_dir, data):
    seen = []
    first = comparisons.compare(
        f"{run.run_id}:base",
        f"{run.run_id}:best",
        "test",
        on_progress=lambda *progress: seen.append(progress),
    )
    assert ("Base answers test", 16, 16) in seen
    after_a_restart = Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    again = after_a_restart.compare(
        f"{run.run_id}:base",
        f"{run.run_id}:best",
        "test",
        on_progress=lambda *_: pytest.fail("predicted anew"),
    )
    np.testing.assert_array_equal(
        first.scores.sides.second.answers.logits, again.scores.sides.second.answers.logits
    )


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
def test_a_name_that_is_no_side_is_refused(comparisons, run, name):
    name = name.replace("RUN", run.run_id) if isinstance(name, str) else name
    with pytest.raises(InputError):
        comparisons.compare(name, f"{run.run_id}:best")


def test_other_bad_arguments_are_refused(comparisons, run):
    base, best = f"{run.run_id}:base", f"{run.run_id}:best"
    with pytest.raises(InputError, match="Both sides are"):
        comparisons.compare(best, best)
    for split in ("train", "", None, ["test"]):
        with pytest.raises(InputError, match="validation or test"):
            comparisons.compare(base, best, split)
    with pytest.raises(UnknownRunError):
        compare_pair(comparisons, "nobody", *SENTENCES)
    with pytest.raises(PairError, match="Sentence 2 is empty"):
        compare_pair(comparisons, run.run_id, "One.", "  ")
    rows = ("-1", "16", "0.5", "nan", "", "\uff13", "x", "99999999999")
    for row in (
        *(f"validation:{number}" for number in rows),
        "nowhere:3",
        "3",
        None,
        3,
        ["validation:3"],
        True,
    ):
        with pytest.raises(InputError, match=r"There is no|must be a whole number from 0 to 15"):
            find_row(comparisons, base, best, row)


def test_a_row_of_the_data_and_its_label(comparisons, run, data):
    base, best = f"{run.run_id}:base", f"{run.run_id}:best"
    pair = find_row(comparisons, base, best, "validation:3")
    assert (pair.sentence1, pair.idx) == (data.dataset["validation"][3]["sentence1"], 67)
    sides = comparisons.catalog.find_two(base, best)
    assert comparisons.shelf.label(sides, SentencePair(pair.sentence1, pair.sentence2)) == pair.label
    assert comparisons.shelf.label(sides, SentencePair(pair.sentence1, "edited")) is None
    assert find_row(comparisons, base, best, "validation:any").idx in data.dataset["validation"]["idx"]


def test_any_pair_is_another_than_the_shown_one(comparisons, run, data, monkeypatch):
    base, best = f"{run.run_id}:base", f"{run.run_id}:best"
    rows = data.dataset["validation"]
    last = len(rows) - 1
    monkeypatch.setattr("random.randrange", lambda stop: last)
    assert find_row(comparisons, base, best, "validation:any").idx == rows[last]["idx"]
    shown = (rows[last]["sentence1"], rows[last]["sentence2"])
    assert find_row(comparisons, base, best, "validation:any", shown).idx == rows[0]["idx"]
    assert find_row(comparisons, base, best, f"validation:{last}", shown).idx == rows[last]["idx"]


def test_a_comparison_is_made_once_and_held(comparisons, run):
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    held = comparisons.compare(*sides)
    assert comparisons.compare(*sides) is held
    assert held.changes is held.changes
    assert held.calibration() is held.calibration()
    assert comparisons.compare(*sides, "test") is not held
    assert comparisons.compare(*reversed(sides)) is not held


def test_runs_on_different_data_are_refused_unless_the_split_is_the_same(
    tmp_path, runs_dir, run, comparisons, tiny_checkpoint_dir, tiny_data_dir
):
    write_jsonl(tmp_path / "train.jsonl", tiny_rows(32, start=200))
    shutil.copy(tiny_data_dir / "validation.jsonl", tmp_path)
    write_jsonl(tmp_path / "test.jsonl", tiny_rows(16, start=300))
    elsewhere = make_finished_run(runs_dir, load_data("folder", tmp_path), tiny_checkpoint_dir, num_epochs=1)
    sides = f"{run.run_id}:best", f"{elsewhere.run_id}:best"
    assert comparisons.compare(*sides, "validation").scores.as_dict()["num_pairs"] == 16
    with pytest.raises(DataError, match="their test splits differ"):
        comparisons.compare(*sides, "test")
    shutil.rmtree(elsewhere.paths.run_dir)


def test_runs_without_weights_are_not_offered(copied):
    run, comparisons = copied
    assert [found.run_id for found in comparisons.catalog.comparable_runs()] == [run.run_id]
    shutil.rmtree(run.paths.models)
    assert comparisons.catalog.comparable_runs() == []
    with pytest.raises(UnavailableError):
        compare_pair(comparisons, run.run_id, *SENTENCES)
