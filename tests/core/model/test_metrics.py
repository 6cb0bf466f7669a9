"""Accuracy and F1 equal scikit-learn's, offline, whatever the home directory is like."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from mrpc.core.model.metrics import compute_metrics, majority_metrics, new_metric

ROOT = Path(__file__).resolve().parents[3]

COMPUTE = """
from mrpc.core.model.metrics import compute_metrics, new_metric
metric = new_metric()
metric.add_batch(predictions=[1, 0], references=[1, 1])
metric.add_batch(predictions=[0], references=[0])
print(metric.compute() == {"accuracy": 2 / 3, "f1": 2 / 3} == compute_metrics([1, 0, 0], [1, 1, 0]))
"""


def sklearn_metrics(predictions: object, references: object) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where F1 is undefined, and returns 0
        return {
            "accuracy": float(accuracy_score(references, predictions)),
            "f1": float(f1_score(references, predictions)),
        }


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([0, 0, 0, 0], [1, 0, 1, 1]),  # nothing predicted positive
        ([0, 0, 0], [0, 0, 0]),  # nothing positive at all
        ([1, 1, 1], [1, 1, 1]),  # one class only
        ([1, 1, 0], [0, 0, 0]),  # only false positives
        ([1], [0]),
        ([1], [1]),
    ],
)
def test_edges_equal_scikit_learn(predictions: list[int], references: list[int]) -> None:
    assert compute_metrics(predictions, references) == pytest.approx(
        sklearn_metrics(predictions, references), abs=1e-12
    )


def test_random_classes_equal_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        predictions = (random.random(408) < share).astype(np.int64)
        references = (random.random(408) < 0.68).astype(np.int64)
        assert compute_metrics(predictions, references) == pytest.approx(
            sklearn_metrics(predictions, references), abs=1e-12
        )


def test_batches_add_up_and_the_metric_starts_anew() -> None:
    random = np.random.default_rng(1)
    predictions, references = random.integers(0, 2, (2, 100))
    metric = new_metric()
    for _ in range(2):
        for start in range(0, 100, 16):
            metric.add_batch(
                predictions=predictions[start : start + 16], references=references[start : start + 16]
            )
        assert metric.compute() == pytest.approx(sklearn_metrics(predictions, references), abs=1e-12)


def test_random_states_are_left_alone() -> None:
    import torch

    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    compute_metrics([1, 0], [1, 1])
    assert (np.random.get_state()[1] == numpy_before).all()
    assert torch.equal(torch.random.get_rng_state(), torch_before)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.684, 1.0])
def test_majority_is_the_metric_of_one_answer(share: float) -> None:
    labels = np.arange(1000) < share * 1000
    answer = np.full(1000, int(share >= 0.5))
    assert majority_metrics(labels.astype(int)) == pytest.approx(compute_metrics(answer, labels), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("home", "num_processes"), [("empty", 2), ("forbidden", 1)])
def test_any_home_and_two_processes_at_once(tmp_path: Path, home: str, num_processes: int) -> None:
    directory = tmp_path / "home"
    if home == "forbidden":
        directory.write_text("a file, so that no folder can be made below it, not even by root")
    environment = {
        **os.environ,
        "HOME": str(directory),
        "HF_HOME": str(directory / "huggingface"),
        "PYTHONPATH": str(ROOT),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMPUTE],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(num_processes)
    ]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out.strip()) == (0, "True"), err
