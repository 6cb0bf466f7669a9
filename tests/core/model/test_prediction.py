import threading

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from mrpc.core.model.prediction import Predictor
from mrpc.errors import TaskCancelled

WORDS = [
    *["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "then", "again"],
    ".",
    ",",
]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    return BertTokenizerFast(vocab={word: number for number, word in enumerate(vocabulary)})


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def dataset():
    generator = np.random.default_rng(1)

    def sentence():
        return " ".join(generator.choice(WORDS, size=generator.integers(2, 20)))

    num = 21
    return Dataset.from_dict(
        {
            "sentence1": [sentence() for _ in range(num)],
            "sentence2": [sentence() for _ in range(num)],
            "label": [number % 2 for number in range(num)],
            "idx": [100 + 3 * number for number in range(num)],
        }
    )


def one_by_one(model, tokenizer, dataset):
    """The plain library, a pair at a time, nothing padded."""
    logits = []
    with torch.no_grad():
        for row in dataset:
            encoding = tokenizer(
                row["sentence1"], row["sentence2"], truncation=True, max_length=48, return_tensors="pt"
            )
            logits.append(model(**encoding).logits[0].numpy())
    return np.stack(logits)


def test_sorted_batches_give_the_plain_answers_in_the_rows_order(model, tokenizer, dataset, monkeypatch):
    monkeypatch.setattr("mrpc.core.model.prediction.WINDOW_PAIRS", 8)
    seen = []
    monkeypatch.setattr("mrpc.core.model.prediction.BATCH_PAIRS", 4)
    predictions = Predictor(model, tokenizer, max_length=48).predict_dataset(dataset, seen.append)
    np.testing.assert_allclose(predictions.logits, one_by_one(model, tokenizer, dataset), atol=1e-5)
    assert predictions.idx.tolist() == dataset["idx"]
    assert predictions.label.tolist() == dataset["label"]
    assert seen == sorted(seen)
    assert seen[-1] == len(dataset)


def test_predicting_leaves_random_states_and_the_training_mode_alone(model, tokenizer, dataset):
    model.train()
    before = torch.random.get_rng_state()
    first = Predictor(model, tokenizer).predict_dataset(dataset)
    second = Predictor(model, tokenizer).predict_dataset(dataset)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training
    np.testing.assert_array_equal(first.logits, second.logits)  # so dropout was off
    model.eval()


def test_pairs_without_labels_are_predicted_too(model, tokenizer, dataset):
    predictions = Predictor(model, tokenizer).predict_dataset(dataset.remove_columns("label"))
    assert set(predictions.label.tolist()) == {-1}


def test_it_can_be_stopped_between_batches(model, tokenizer, dataset, monkeypatch):
    monkeypatch.setattr("mrpc.core.model.prediction.BATCH_PAIRS", 4)
    told = []

    def on_progress(num_done):
        told.append(num_done)
        if len(told) > 2:
            raise TaskCancelled("Cancelled.")

    with pytest.raises(TaskCancelled):
        Predictor(model, tokenizer).predict_dataset(dataset, on_progress)
    assert told == [4, 8, 12]
    assert not model.training


def test_a_predictor_answers_threads_as_it_answers_one(model, tokenizer, dataset):
    predictor = Predictor(model, tokenizer, max_length=48)
    pairs = [(row["sentence1"], row["sentence2"]) for row in dataset]
    alone = [predictor.predict([first], [second]).tolist() for first, second in pairs]
    answers = {}

    def ask(number):
        first, second = pairs[number]
        answers[number] = predictor.predict([first], [second]).tolist()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number] for number in range(len(pairs))] == alone
    assert np.shape(alone) == (len(pairs), 1, 2)
