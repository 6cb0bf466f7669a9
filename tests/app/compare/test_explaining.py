import pytest
import torch

from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.model.classifier import load_finetuned
from mrpc.errors import InputError, UnavailableError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings

SENTENCES = ("The mayor of the town closed two roads.", "Two roads were closed by the mayor of the town.")


@pytest.fixture(scope="module")
def looked_at(comparisons, run):
    return comparisons.look_at(f"{run.run_id}:base", f"{run.run_id}:best", *SENTENCES)


def test_what_ifs_are_asked_of_both_sides(comparisons, run, looked_at):
    variations = comparisons.explanations.vary(*looked_at)
    assert [item.name for item in variations] == [
        "as typed",
        "sentences swapped",
        "token_type_ids zeroed",
        "token_type_ids swapped",
    ]
    model, tokenizer = load_finetuned(run.paths.best_model)
    with torch.no_grad():
        swapped = model(**tokenizer(*SENTENCES[::-1], return_tensors="pt")).logits[0].softmax(0)[1].item()
    assert variations[1].probs.second == pytest.approx(swapped, abs=1e-6)
    assert all(0 < item.probs.first < 1 for item in variations)


def test_words_and_effects_of_both_sides(comparisons, looked_at):
    for side in looked_at[0]:
        *_, found = comparisons.explanations.attribute(side, looked_at[1])
        assert found.side is side
        assert found.attribution.is_complete
        assert found.duration_s > 0
        effects = comparisons.explanations.leave_out(side, looked_at[1])
        assert len(effects) == 18
        assert comparisons.explanations.measure_latency(side, looked_at[1]) > 0


@pytest.mark.parametrize("layer", [0, 3, -1, 1.5, None, "1", True, float("nan")])
def test_a_layer_that_is_not_there_is_refused(comparisons, looked_at, layer):
    with pytest.raises(InputError, match="whole number from 1 to 2"):
        comparisons.explanations.attend(looked_at[0].second, looked_at[1], layer)


def test_attention_of_a_layer(comparisons, looked_at):
    attention = comparisons.explanations.attend(looked_at[0].second, looked_at[1], 2)
    assert attention.layer == 1
    assert attention.head is None
    assert attention.tokens1[0] == "the"


def test_each_head_can_be_looked_at_and_the_mean_is_theirs(comparisons, looked_at):
    side, pair = looked_at[0].second, looked_at[1]
    _, num = comparisons.explanations.layers_and_heads(side)
    heads = [comparisons.explanations.attend(side, pair, 1, head) for head in range(1, num + 1)]
    assert [found.head for found in heads] == list(range(num))
    mean = comparisons.explanations.attend(side, pair, 1)
    assert mean.forth == pytest.approx(sum(found.forth for found in heads) / num)
    assert mean.forth_by_head.shape == (2, num)
    assert mean.forth_by_head[0, 1] == pytest.approx(heads[1].forth.sum(axis=1).mean())
    for head in (0, num + 1, 1.5, "1", True):
        with pytest.raises(InputError, match="The head of"):
            comparisons.explanations.attend(side, pair, 1, head)


def test_the_nearest_training_pair_of_a_training_pair_is_itself(comparisons, run, data):
    row = data.dataset["train"][5]
    sides = f"{run.run_id}:base", f"{run.run_id}:best"
    both, pair = comparisons.look_at(*sides, row["sentence1"], row["sentence2"])
    seen = []
    found = comparisons.explanations.find_nearest(
        both.second, pair, on_progress=lambda *step: seen.append(step)
    )
    assert found[0].row == 5
    assert found[0].cosine == pytest.approx(1.0, abs=1e-5)
    assert seen[-1] == ("Reading the training pairs", 64, 64)
    anew = Comparisons(RunStore(run.paths.run_dir.parent), lambda: data, Settings())
    again = anew.explanations.find_nearest(
        both.second, pair, on_progress=lambda *_: pytest.fail("placed anew")
    )
    assert again == found


def test_a_baseline_is_asked_but_not_looked_into(comparisons, run):
    sides, pair = comparisons.look_at("baseline:overlap", f"{run.run_id}:best", *SENTENCES)
    overlap = sides.first
    assert [found.attribution for found in comparisons.explanations.attribute(overlap, pair)] == [None]
    assert len(comparisons.explanations.leave_out(overlap, pair)) == 18
    assert comparisons.explanations.layers_and_heads(overlap) == (0, 0)
    for ask in (
        lambda: comparisons.explanations.attend(overlap, pair, 1),
        lambda: comparisons.explanations.find_nearest(overlap, pair),
    ):
        with pytest.raises(UnavailableError, match="no layers and no vectors"):
            ask()
    variations = comparisons.explanations.vary(sides, pair)
    assert variations[2].probs.first is None
    assert variations[1].probs.first == variations[0].probs.first
