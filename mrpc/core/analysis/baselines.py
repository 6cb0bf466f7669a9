"""Baselines: answers that need no fine-tuning.

Every baseline is fitted on train alone and gives margins, float64 [N]: above 0 means equivalent. A score
(overlap, cosine) becomes a margin by a threshold that is right most often on train, and by a scale that
makes its probabilities fit there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mrpc.core.analysis.calibration import fit_temperature
from mrpc.core.analysis.statistics import FloatArray, IntArray
from mrpc.core.text.wording import word_overlap

Sentences = Sequence[str]
Embed = Callable[[Sentences], "np.ndarray"]
"""Sentences to vectors of length 1, float32 [N, H]."""

LOGISTIC_C = 1e-3
"""Inverse strength of the penalty: the best of 1e-4 ... 1 in five-fold cross-validation on MRPC's train."""


class Baseline(Protocol):
    """Something that answers pairs."""

    def margins(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        """Return one margin a pair, float64 [N]; above 0 means equivalent."""
        ...


@dataclass(frozen=True)
class Majority:
    """Always the more frequent answer of train, with its share there as probability."""

    margin: float

    @classmethod
    def fit(cls, labels: IntArray) -> Majority:
        """Count the answers of train."""
        share = float(np.clip(labels.mean(), 1e-6, 1 - 1e-6))
        return cls(math.log(share / (1 - share)))

    def margins(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        """Return the same margin for every pair, float64 [N]."""
        return np.full(len(sentence1), self.margin)


@dataclass(frozen=True)
class Threshold:
    """A score of pairs, cut where it is right most often on train.

    Attributes:
        score: from sentences to float64 [N]; higher means more alike.
        threshold: scores above it are called equivalent.
        scale: divides the distance to the threshold.
    """

    score: Callable[[Sentences, Sentences], FloatArray]
    threshold: float
    scale: float

    @classmethod
    def fit(
        cls,
        score: Callable[[Sentences, Sentences], FloatArray],
        sentence1: Sentences,
        sentence2: Sentences,
        labels: IntArray,
    ) -> Threshold:
        """Fit the threshold and the scale on train."""
        scores = score(sentence1, sentence2)
        threshold = best_accuracy_threshold(labels, scores)
        return cls(score, threshold, fit_temperature(labels, scores - threshold))

    def margins(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        """Return the scaled distances to the threshold, float64 [N]."""
        return (self.score(sentence1, sentence2) - self.threshold) / self.scale


class TfidfCosine:
    """Cosine of TF-IDF vectors whose word weights come from train's sentences."""

    def __init__(self, sentences: Sentences) -> None:
        self._vectorizer = TfidfVectorizer().fit(sentences)

    def __call__(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        """Return the cosines, float64 [N]."""
        left, right = self._vectorizer.transform(sentence1), self._vectorizer.transform(sentence2)
        return np.asarray(left.multiply(right).sum(axis=1), dtype=np.float64).ravel()


class LogisticOnVectors:
    """Logistic regression on what a frozen encoder says of both sentences."""

    def __init__(self, embed: Embed, sentence1: Sentences, sentence2: Sentences, labels: IntArray) -> None:
        self._embed = embed
        self._model = make_pipeline(StandardScaler(), LogisticRegression(C=LOGISTIC_C, max_iter=1000))
        self._model.fit(self._features(sentence1, sentence2), labels)

    def margins(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        """Return the log-odds of equivalent, float64 [N]."""
        return np.asarray(self._model.decision_function(self._features(sentence1, sentence2)))

    def _features(self, sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        left, right = self._embed(sentence1), self._embed(sentence2)
        product = left * right
        overlap = overlap_scores(sentence1, sentence2)
        return np.column_stack([np.abs(left - right), product, product.sum(axis=1), overlap])


def overlap_scores(sentence1: Sentences, sentence2: Sentences) -> FloatArray:
    """Return the word overlap of each pair, float64 [N]."""
    return np.array(
        [word_overlap(*pair) for pair in zip(sentence1, sentence2, strict=True)], dtype=np.float64
    )


def embedding_cosine(embed: Embed) -> Callable[[Sentences, Sentences], FloatArray]:
    """Return the score "cosine of the two sentences' vectors"."""

    def score(sentence1: Sentences, sentence2: Sentences) -> FloatArray:
        return (embed(sentence1) * embed(sentence2)).sum(axis=1).astype(np.float64)

    return score


def best_accuracy_threshold(labels: IntArray, scores: FloatArray) -> float:
    """Return the cut between neighbouring scores above which "equivalent" is right most often.

    Of several equally good ones the middle one.
    """
    order = np.argsort(scores, kind="stable")
    ordered, is_equivalent = scores[order], labels[order]
    below = np.concatenate([[0], np.cumsum(1 - is_equivalent)])
    above = is_equivalent.sum() - np.concatenate([[0], np.cumsum(is_equivalent)])
    edges = np.concatenate([[ordered[0] - 1e-6], ordered, [ordered[-1] + 1e-6]])
    is_cut = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])  # no cut between equal scores
    num_right = np.where(is_cut, below + above, -1)
    best = np.flatnonzero(num_right == num_right.max())
    cut = int(best[len(best) // 2])
    return float((edges[cut] + edges[cut + 1]) / 2)
