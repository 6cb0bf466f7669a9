"""The fast forward pass computes what transformers' own does, and its dropout is dropout."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from scipy import stats
from transformers import BertConfig, BertForSequenceClassification, DistilBertConfig, PreTrainedModel
from transformers import DistilBertForSequenceClassification as DistilBert

from mrpc.core.model.classifier import load_classifier, load_finetuned, save_model_folder
from mrpc.core.model.fast_bert import DropoutStream, use_fast_forward, why_not_fast
from mrpc.core.model.pretrained import PretrainedFiles, load_tokenizer, resolve_pretrained
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_pairs

SHORT = "The storm closed two roads."
LONG = "The police of the town said that the bridge was closed after the storm on the river."


@pytest.fixture(scope="module", params=["tiny", pytest.param("all-MiniLM-L6-v2", marks=pytest.mark.slow)])
def checkpoint(request: pytest.FixtureRequest, tiny_checkpoint_dir: Path) -> PretrainedFiles:
    local = tiny_checkpoint_dir if request.param == "tiny" else None
    return resolve_pretrained("" if local else request.param, local)


@pytest.fixture
def model(checkpoint: PretrainedFiles) -> PreTrainedModel:
    return load_classifier(checkpoint, seed=1).model


def batch_of(checkpoint: PretrainedFiles, *pairs: tuple[str, str]) -> dict[str, torch.Tensor]:
    tokenizer = load_tokenizer(checkpoint)
    encoding = encode_pairs(tokenizer, [a for a, _ in pairs], [b for _, b in pairs])
    names = ("input_ids", "attention_mask", "token_type_ids")
    rows = [{name: encoding[name][row] for name in names} for row in range(len(pairs))]
    return {**PairCollator(tokenizer)(rows), "labels": torch.arange(len(pairs)) % 2}


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


@pytest.mark.parametrize(
    "pairs", [[(SHORT, LONG), (LONG, LONG), (SHORT, SHORT)], [(SHORT, LONG)] * 2], ids=["padded", "even"]
)
def test_loss_logits_and_gradients_are_those_of_transformers(checkpoint, model, pairs):
    plain, fast = without_dropout(model), without_dropout(copy.deepcopy(model))
    use_fast_forward(fast, DropoutStream(0))
    batch = batch_of(checkpoint, *pairs)
    expected, got = plain(**batch), fast(**batch)
    torch.testing.assert_close(got.logits, expected.logits, rtol=1e-4, atol=1e-5)
    assert got.loss.item() == pytest.approx(expected.loss.item(), abs=1e-5)
    expected.loss.backward()
    got.loss.backward()
    for (name, ours), theirs in zip(fast.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None, name
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=2e-5, msg=name)


def test_bfloat16_is_close_in_training_and_not_there_in_evaluation(checkpoint, model):
    exact, mixed = without_dropout(model), without_dropout(copy.deepcopy(model))
    use_fast_forward(exact, DropoutStream(0))
    use_fast_forward(mixed, DropoutStream(0), dtype=torch.bfloat16)
    batch = batch_of(checkpoint, (SHORT, LONG), (LONG, LONG), (SHORT, SHORT))
    expected, got = exact(**batch), mixed(**batch)
    assert got.logits.dtype == got.loss.dtype == torch.float32
    assert not torch.equal(got.logits, expected.logits)
    assert got.loss.item() == pytest.approx(expected.loss.item(), abs=0.01)
    expected.loss.backward()
    got.loss.backward()
    ours = torch.cat([p.grad.flatten() for p in mixed.parameters()])
    theirs = torch.cat([p.grad.flatten() for p in exact.parameters()])
    assert {p.grad.dtype for p in mixed.parameters()} == {torch.float32}
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.99
    assert torch.equal(mixed.eval()(**batch).logits, exact.eval()(**batch).logits)


def test_losses_of_a_training_stay_with_the_plain_ones(checkpoint, model):
    plain, fast = without_dropout(model), without_dropout(copy.deepcopy(model))
    use_fast_forward(fast, DropoutStream(0))
    batches = [
        batch_of(checkpoint, (SHORT, LONG), (LONG, SHORT)),
        batch_of(checkpoint, (LONG, LONG), (SHORT, SHORT)),
    ]
    losses = {}
    for name, each in (("plain", plain), ("fast", fast)):
        optimizer = torch.optim.AdamW(each.parameters(), lr=5e-5)
        losses[name] = []
        for step in range(10):
            loss = each(**batches[step % 2]).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses[name].append(loss.item())
    assert losses["fast"] == pytest.approx(losses["plain"], abs=1e-4)
    assert losses["fast"][-1] < losses["fast"][0]


class TestUsedRows:
    """Only the word embeddings that the data uses are trained; what comes out is the same."""

    @pytest.fixture
    def batches(self, checkpoint: PretrainedFiles) -> list[dict[str, torch.Tensor]]:
        return [batch_of(checkpoint, (SHORT, LONG), (LONG, SHORT)), batch_of(checkpoint, (LONG, LONG))]

    @pytest.fixture
    def table(self, model) -> torch.Tensor:
        """The word embeddings before training."""
        return model.get_input_embeddings().weight.detach().clone()

    @pytest.fixture
    def models(self, model, table, batches) -> tuple[PreTrainedModel, PreTrainedModel]:
        """A plain model and a fast one of the same weights, both after some steps of AdamW."""
        plain, fast = without_dropout(model), without_dropout(copy.deepcopy(model))
        ids = torch.cat([batch["input_ids"].flatten() for batch in batches]).unique()
        use_fast_forward(fast, DropoutStream(0), ids)
        for each in (plain, fast):
            parameters = [p for p in each.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
            for step in range(4):
                optimizer.zero_grad()
                each(**batches[step % 2]).loss.backward()
                torch.nn.utils.clip_grad_norm_(each.parameters(), 0.5)
                optimizer.step()
        return plain, fast

    def test_the_weights_are_those_of_a_plain_training(self, models, table):
        plain, fast = models
        expected, got = plain.state_dict(), fast.state_dict()
        assert list(got) == list(expected)
        for name in expected:
            torch.testing.assert_close(got[name], expected[name], rtol=1e-3, atol=2e-4, msg=name)
        name = "bert.embeddings.word_embeddings.weight"
        moved = (got[name] != table).any(dim=1)
        assert 5 < moved.sum() < len(moved) / 2, "the words of the data move, the others stay"

    def test_words_that_training_never_saw_are_answered(self, checkpoint, models):
        plain, fast = (each.eval() for each in models)
        other = batch_of(checkpoint, ("Nine ships came before the vote.", SHORT), (LONG, "A judge won."))
        with torch.no_grad():
            torch.testing.assert_close(fast(**other).logits, plain(**other).logits, rtol=1e-2, atol=2e-3)

    def test_a_state_that_is_loaded_counts(self, models, batches):
        _, fast = models
        before = {name: tensor.clone() for name, tensor in fast.state_dict().items()}
        with torch.no_grad():
            answer = fast.eval()(**batches[0]).logits
            for parameter in fast.parameters():
                parameter.add_(0.1)
            fast.load_state_dict(before)
            assert torch.equal(fast(**batches[0]).logits, answer)
            trained = fast.train()(**batches[0]).logits
        torch.testing.assert_close(trained, answer)


def test_dropout_works_in_training_alone_and_gives_the_expected_answer(checkpoint, model):
    use_fast_forward(model, DropoutStream(3))
    batch = batch_of(checkpoint, (SHORT, LONG), (LONG, LONG))
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, model(**batch).logits)
        model.train()
        first, second = model(**batch).logits, model(**batch).logits
    assert not torch.allclose(first, second)


def test_the_folder_that_is_saved_is_plain(checkpoint, model, tmp_path):
    use_fast_forward(model, DropoutStream(0))
    save_model_folder(model, load_tokenizer(checkpoint), tmp_path / "saved")
    again, _ = load_finetuned(tmp_path / "saved")
    batch = batch_of(checkpoint, (SHORT, LONG), (LONG, LONG))
    assert type(again) is BertForSequenceClassification
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, model.eval()(**batch).logits, rtol=1e-4, atol=1e-5)


def test_other_models_are_left_as_they_are():
    small = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, hidden_act="relu")
    assert "unusual" in why_not_fast(BertForSequenceClassification(small))
    other = DistilBert(DistilBertConfig(dim=8, n_layers=1, n_heads=1, hidden_dim=8))
    assert "made for BERT" in why_not_fast(other)


class TestDropoutStream:
    @pytest.mark.parametrize("p", [0.1, 0.5])
    def test_elements_are_dropped_independently_with_the_probability(self, p):
        x = DropoutStream(7).apply(torch.ones(1000, 400), p)
        dropped = x == 0
        assert stats.binomtest(int(dropped.sum()), x.numel(), p).pvalue > 1e-3
        assert x[~dropped].unique().numel() == 1
        assert x.mean().item() == pytest.approx(1.0, abs=5e-3)
        for shift in (1, 4, 400):  # neighbours, the next word of random bits, the next row
            flat = dropped.flatten()
            both = int((flat[shift:] & flat[:-shift]).sum())
            assert stats.binomtest(both, len(flat) - shift, p * p).pvalue > 1e-3

    def test_nothing_is_dropped_at_zero(self):
        x = torch.randn(5)
        assert DropoutStream(0).apply(x, 0.0) is x

    def test_gradients_pass_the_kept_elements(self):
        x = torch.ones(1000, requires_grad=True)
        y = DropoutStream(0).apply(x, 0.3)
        y.sum().backward()
        assert torch.equal(x.grad, y.detach())

    def test_a_restored_state_draws_the_same_masks(self):
        stream, other = DropoutStream(1), DropoutStream(2)
        stream.apply(torch.ones(33), 0.1)
        other.load_state_dict(stream.state_dict())
        x = torch.ones(1001)
        assert torch.equal(stream.apply(x, 0.5), other.apply(x, 0.5))

    def test_global_random_states_are_left_alone(self):
        before = torch.get_rng_state()
        DropoutStream(0).apply(torch.ones(100), 0.5)
        assert torch.equal(before, torch.get_rng_state())
