import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

from mrpc.core.analysis import baselines


@pytest.fixture(scope="module")
def pairs():
    generator = np.random.default_rng(4)
    vocabulary = [f"word{number}" for number in range(30)]
    first, second, labels = [], [], []
    for number in range(120):
        picked = generator.choice(vocabulary, size=8, replace=False)
        keep = generator.integers(4, 8) if number % 3 else generator.integers(0, 5)
        others = generator.choice(vocabulary, size=8 - keep)
        first.append(" ".join(picked))
        second.append(" ".join([*picked[:keep], *others]))
        labels.append(int(number % 3 > 0))
    return first, second, np.array(labels)


def accuracy(margins, labels):
    return ((margins > 0) == labels).mean()


def test_the_majority_answers_with_its_share(pairs):
    first, second, labels = pairs
    margins = baselines.Majority.fit(labels).margins(first, second)
    np.testing.assert_allclose(1 / (1 + np.exp(-margins)), labels.mean())
    assert math.isfinite(baselines.Majority.fit(np.ones(4)).margin)


def test_no_cut_is_right_more_often(pairs):
    first, second, labels = pairs
    scores = baselines.overlap_scores(first, second)
    threshold = baselines.best_accuracy_threshold(labels, scores)
    cuts = [
        scores.min() - 1,
        *((a + b) / 2 for a, b in itertools.pairwise(sorted(set(scores)))),
        scores.max() + 1,
    ]
    best = max(((scores > cut) == labels).mean() for cut in cuts)
    assert ((scores > threshold) == labels).mean() == best


@pytest.mark.parametrize(("labels", "expected"), [([1, 1, 1], [1, 1, 1]), ([0, 0, 0], [0, 0, 0])])
def test_one_class_on_train_is_always_answered(labels, expected):
    scores = np.array([0.2, 0.2, 0.9])
    threshold = baselines.best_accuracy_threshold(np.array(labels), scores)
    assert (scores > threshold).astype(int).tolist() == expected


def test_a_threshold_gives_fitting_probabilities(pairs):
    first, second, labels = pairs
    baseline = baselines.Threshold.fit(baselines.overlap_scores, first, second, labels)
    margins = baseline.margins(first, second)
    assert accuracy(margins, labels) > labels.mean()
    signed = np.where(labels == 1, margins, -margins)
    loss = np.logaddexp(0, -signed).mean()
    for factor in (0.8, 1.25):  # no other scale fits better
        assert np.logaddexp(0, -signed * factor).mean() >= loss


def test_tfidf_is_the_cosine_of_scikit_learn(pairs):
    first, second, _ = pairs
    score = baselines.TfidfCosine(first + second)
    expected = np.diag(
        cosine_similarity(score._vectorizer.transform(first), score._vectorizer.transform(second))
    )
    np.testing.assert_allclose(score(first, second), expected)


def bag(sentences):
    """Vectors of length 1 from word counts, in the place of an encoder."""
    counts = np.array([[sentence.split().count(f"word{n}") for n in range(30)] for sentence in sentences])
    return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def test_the_frozen_encoder_is_used_by_cosine_and_by_regression(pairs):
    first, second, labels = pairs
    cosine = baselines.Threshold.fit(baselines.embedding_cosine(bag), first, second, labels)
    regression = baselines.LogisticOnVectors(bag, first, second, labels)
    assert accuracy(cosine.margins(first, second), labels) > labels.mean()
    assert roc_auc_score(labels, regression.margins(first, second)) > 0.8
    np.testing.assert_allclose(
        regression.margins(first[:3], second[:3]), regression.margins(first, second)[:3]
    )
