import pytest
import torch

from mrpc.app.compare.comparison import Comparison
from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_finetuned
from mrpc.errors import InputError, UnavailableError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run

SENTENCES = ("The mayor of the town closed two roads.", "Two roads were closed by the mayor of the town.")


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    return Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir)), run, data


@pytest.fixture(scope="module")
def looked_at(world):
    comparison, run, _ = world
    return comparison.pair.look_at(f"{run.run_id}:base", f"{run.run_id}:best", *SENTENCES)


def test_what_ifs_are_asked_of_both_sides(world, looked_at):
    comparison, run, _ = world
    variations = comparison.explanations.vary(*looked_at)
    assert [item.name for item in variations] == [
        "as typed",
        "sentences swapped",
        "token_type_ids zeroed",
        "token_type_ids swapped",
    ]
    model, tokenizer = load_finetuned(run.paths.best_model)
    with torch.no_grad():
        swapped = model(**tokenizer(*SENTENCES[::-1], return_tensors="pt")).logits[0].softmax(0)[1].item()
    assert variations[1].right == pytest.approx(swapped, abs=1e-6)
    assert all(0 < item.left < 1 for item in variations)


def test_words_and_effects_of_both_sides(world, looked_at):
    comparison, _, _ = world
    for side in looked_at[:2]:
        *_, found = comparison.explanations.attribute(side, looked_at[2])
        assert found.side is side
        assert found.attribution.is_complete
        assert found.duration_s > 0
        effects = comparison.explanations.leave_out(side, looked_at[2])
        assert len(effects) == 18
        assert comparison.explanations.measure_latency(side, looked_at[2]) > 0


@pytest.mark.parametrize("layer", [0, 3, -1, 1.5, None, "1", True, float("nan")])
def test_a_layer_that_is_not_there_is_refused(world, looked_at, layer):
    comparison, _, _ = world
    with pytest.raises(InputError, match="layers 1 to 2"):
        comparison.explanations.attend(looked_at[1], looked_at[2], layer)


def test_attention_of_a_layer(world, looked_at):
    comparison, _, _ = world
    attention = comparison.explanations.attend(looked_at[1], looked_at[2], 2)
    assert attention.layer == 1
    assert attention.tokens1[0] == "the"


def test_the_nearest_training_pair_of_a_training_pair_is_itself(world):
    comparison, run, data = world
    row = data.dataset["train"][5]
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    _, best, pair = comparison.pair.look_at(*sides, row["sentence1"], row["sentence2"])
    seen = []
    found = comparison.explanations.find_nearest(best, pair, report=lambda *step: seen.append(step))
    assert found[0].row == 5
    assert found[0].cosine == pytest.approx(1.0, abs=1e-5)
    assert seen[-1] == ("Placing the training pairs", 64, 64)
    anew = Comparison(RunStore(run.paths.run_dir.parent), lambda: data, Settings())
    again = anew.explanations.find_nearest(best, pair, report=lambda *_: pytest.fail("placed anew"))
    assert again == found


def test_a_baseline_is_asked_but_not_looked_into(world):
    comparison, run, _ = world
    overlap, _, pair = comparison.pair.look_at("baseline:overlap", f"{run.run_id}:best", *SENTENCES)
    assert [found.attribution for found in comparison.explanations.attribute(overlap, pair)] == [None]
    assert len(comparison.explanations.leave_out(overlap, pair)) == 18
    assert comparison.explanations.num_layers(overlap) == 0
    for ask in (
        lambda: comparison.explanations.attend(overlap, pair, 1),
        lambda: comparison.explanations.find_nearest(overlap, pair),
    ):
        with pytest.raises(UnavailableError, match="no layers and no space"):
            ask()
    variations = comparison.explanations.vary(overlap, comparison.catalog.find(f"{run.run_id}:best"), pair)
    assert variations[2].left is None
    assert variations[1].left == variations[0].left
