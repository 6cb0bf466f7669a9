"""The second task: which words are shared, what its loss is, and that nothing of it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier, save_model_folder
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.model.recipe import add_shared_words, learn_shared_words
from mrpc.errors import ConfigError
from tests.tiny import folder_sha256

PAIRS = (["the bank sold the shares", "a"], ["the shares of the firm", "of of"])


@pytest.fixture
def loaded(tiny_checkpoint_dir: Path):
    """Return a tiny classifier, and its tokenizer."""
    checkpoint = resolve_pretrained("", tiny_checkpoint_dir)
    model = load_classifier(checkpoint, 1, attention_dropout=False).model
    return model, AutoTokenizer.from_pretrained(tiny_checkpoint_dir)


def test_words_of_the_other_sentence_are_marked(loaded):
    model, tokenizer = loaded
    task = add_shared_words(model, tokenizer, 1.0)
    batch = tokenizer(*PAIRS, padding=True, return_tensors="pt")
    labels = task.labels(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    for row, (first, second) in enumerate(zip(*PAIRS, strict=True)):
        tokens = [tokenizer.tokenize(text) for text in (first, second)]
        expected = [[int(token in tokens[1 - side]) for token in tokens[side]] for side in (0, 1)]
        found = labels[row, : batch["attention_mask"][row].sum()].tolist()
        assert found == [-100, *expected[0], -100, *expected[1], -100]
        assert set(labels[row, len(found) :].tolist()) <= {-100}
    assert {0, 1} < set(labels.flatten().tolist())


def test_the_loss_is_the_mean_over_words(loaded):
    model, tokenizer = loaded
    task = add_shared_words(model, tokenizer, 0.25)
    hidden = torch.randn(5, 32)
    labels = torch.tensor([-100, 0, 1, 1, -100])
    log_probabilities = task.dense(hidden).log_softmax(-1)
    expected = -sum(log_probabilities[place, labels[place]] for place in (1, 2, 3)) / 3
    assert task(hidden, labels).item() == pytest.approx(0.25 * expected.item(), rel=1e-5)
    assert task(hidden, torch.full((5,), -100)).item() == 0.0


def test_training_learns_both_and_evaluation_stays_as_it_is(loaded, tmp_path: Path):
    model, tokenizer = loaded
    batch = {**tokenizer(*PAIRS, padding=True, return_tensors="pt"), "labels": torch.tensor([1, 0])}
    before, sha256 = model.eval()(**batch), weights_sha256(model)
    task = add_shared_words(model, tokenizer, 0.5)
    learn_shared_words(model, task)
    after = model(**batch)
    assert torch.equal(after.logits, before.logits)
    assert after.loss.item() == before.loss.item()

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    both = model.train()(**batch)
    assert torch.equal(both.logits, before.logits)
    both.loss.backward()
    assert both.loss.item() > before.loss.item()
    assert task.dense.weight.grad.abs().sum() > 0

    assert weights_sha256(model) == sha256
    save_model_folder(model, tokenizer, tmp_path / "saved")
    with safe_open(tmp_path / "saved" / "model.safetensors", "pt") as file:
        assert not [name for name in file.keys() if "shared" in name]  # noqa: SIM118
    assert folder_sha256(tmp_path / "saved") == sha256
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(again(**batch).logits, before.logits)


def test_a_model_that_is_not_told_the_sentence_is_refused(tiny_checkpoint_dir: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint_dir)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = AutoConfig.for_model("roberta", vocab_size=30, hidden_size=16, num_attention_heads=2)
    model = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(ConfigError, match="is not told which sentence a token is of; use 0"):
        add_shared_words(model, tokenizer, 1.0)
