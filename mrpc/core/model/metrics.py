"""Accuracy and F1, computed by ``evaluate`` with the metric module beside this file, without a network.

Intervals, tests and curves are not here: see :mod:`mrpc.core.analysis.statistics`. ``evaluate`` takes
seconds to import, so it is imported when the first metric is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrpc.files import scratch_dir

if TYPE_CHECKING:
    import evaluate

METRIC_DIR = Path(__file__).resolve().parent / "glue_mrpc"


def new_metric() -> evaluate.EvaluationModule:
    """Return a fresh metric of ``evaluate``: ``add_batch(...)`` in the loop, ``compute()`` at the end.

    It keeps its rows in memory and needs no folder that can be written to.
    """
    import evaluate

    folder = str(scratch_dir())
    try:
        return evaluate.load(str(METRIC_DIR), keep_in_memory=True, cache_dir=folder)
    except OSError:
        # evaluate.load copies the module into HF_HOME, which may be read-only; the class is the same.
        from mrpc.core.model.glue_mrpc.glue_mrpc import GlueMrpc

        return GlueMrpc(keep_in_memory=True, cache_dir=folder)


def compute_metrics(
    predictions: Sequence[int] | np.ndarray, references: Sequence[int] | np.ndarray
) -> dict[str, float]:
    """Return ``accuracy`` and ``f1`` of predicted classes, each in [0, 1].

    Equal to scikit-learn's at the edges too: F1 is 0 when nothing is positive.
    """
    result = new_metric().compute(predictions=predictions, references=references)
    assert result is not None, "evaluate returns None on other ranks only"
    return dict(result)


def majority_metrics(labels: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Return ``accuracy`` and ``f1`` of always answering the class that is more frequent in ``labels``."""
    share = float(np.mean(np.asarray(labels) == 1))
    if share < 0.5:
        return {"accuracy": 1 - share, "f1": 0.0}
    return {"accuracy": share, "f1": 2 * share / (1 + share)}
