"""Accuracy and F1 of paraphrase detection, as a metric module for ``evaluate.load``.

What ``evaluate.load("glue", "mrpc")`` computes, without asking the Hub for code. Used by
:mod:`mrpc.core.model.metrics`; evaluate copies this file into its cache, so it imports nothing of this
project.
"""

import datasets
import evaluate
import numpy as np


class GlueMrpc(evaluate.Metric):
    """Accuracy, and F1 of the class 1 (equivalent)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy and F1 for the Microsoft Research Paraphrase Corpus.",
            citation="Dolan and Brockett, 2005. Wang et al., 2019 (GLUE).",
            inputs_description="predictions and references: classes, 0 or 1, one a pair.",
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
            format="numpy",
        )

    def _compute(self, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        hits = int(np.sum((predictions == 1) & (references == 1)))
        positives = int(np.sum(predictions == 1)) + int(np.sum(references == 1))
        return {
            "accuracy": float(np.mean(predictions == references)),
            # As in scikit-learn, F1 without any positive, predicted or true, is 0.
            "f1": 2 * hits / positives if positives else 0.0,
        }
