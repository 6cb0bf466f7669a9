import numpy as np
import pytest
import torch

from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.prediction import Predictor, nearest
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.errors import TaskCancelled
from tests.tiny import tiny_rows


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint_dir):
    checkpoint = resolve_pretrained("local:tiny-bert", tiny_checkpoint_dir)
    return load_classifier(checkpoint, seed=3).model, load_tokenizer(checkpoint)


@pytest.fixture(scope="module")
def sentences():
    return [row["sentence1"] for row in tiny_rows(9)]


def test_sentences_are_pooled_over_their_own_tokens(tiny, sentences):
    model, tokenizer = tiny
    vectors = Predictor(model, tokenizer).embed_sentences(sentences)
    for sentence, vector in zip(sentences, vectors, strict=True):
        with torch.no_grad():
            hidden = model.base_model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0]
        mean = hidden.mean(0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)


def test_pairs_are_what_the_head_sees(tiny, sentences):
    model, tokenizer = tiny
    vectors = Predictor(model, tokenizer).embed_pairs(sentences, sentences[::-1])
    with torch.no_grad():
        encoding = tokenizer(sentences[0], sentences[-1], return_tensors="pt")
        first = model.base_model(**encoding).last_hidden_state[0, 0]
    np.testing.assert_allclose(vectors[0], (first / first.norm()).numpy(), atol=1e-5)


def test_it_tells_how_far_it_is_and_can_be_stopped(tiny, sentences):
    model, tokenizer = tiny
    seen = []
    Predictor(model, tokenizer).embed_sentences(sentences, seen.append)
    assert seen[-1] == len(sentences)

    def cancel(num_done):
        raise TaskCancelled("Cancelled.")

    with pytest.raises(TaskCancelled):
        Predictor(model, tokenizer).embed_sentences(sentences, cancel)


def test_the_nearest_is_the_vector_itself():
    vectors = np.eye(4, dtype=np.float32)
    vectors[3] = [0.6, 0.8, 0, 0]
    assert nearest(vectors[1], vectors, 3) == [(1, 1.0), (3, pytest.approx(0.8)), (0, 0.0)]
