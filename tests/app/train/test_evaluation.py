"""An evaluation in steps: what is shown is what the run wrote."""

from __future__ import annotations

import numpy as np
import pytest

from mrpc.app.train.run_facts import evaluation_html
from mrpc.core.model.stored_predictions import PairPredictions, write_predictions
from mrpc.errors import UnknownRunError
from tests.html import parse
from tests.written_run import write_ended


def write(run, epoch: int) -> None:
    label = np.array([1, 1, 0, 0, 1])
    logits = np.array([[-1.0, 1.0], [-0.5, 0.5], [0.3, 0.1], [0.2, 0.9], [0.8, 0.1]], dtype=np.float32)
    found = PairPredictions(np.arange(5), label, logits)
    write_predictions(run.paths.validation_predictions(epoch), found, {"epoch": str(epoch)})


def test_before_the_first_evaluation_it_says_so_and_for_no_run(services, tmp_path):
    run = write_ended(tmp_path)
    assert "after the first evaluation" in evaluation_html(services, run.run_id)
    with pytest.raises(UnknownRunError):
        evaluation_html(services, "gone")


def test_logits_become_answers_counts_and_scores(services, tmp_path):
    run = write_ended(tmp_path)
    write(run, 2)
    page = parse(evaluation_html(services, run.run_id))
    shown = page.text
    assert "After epoch 2." in shown
    first, second, wrong = page.all("table")[0].rows()
    right = (f"{1 / (1 + np.exp(-2)):.3f}", f"{np.log(1 + np.exp(-2)):.3f}")
    answer, label = "1 equivalent", "1 equivalent"
    assert first == ["0", "-1.00", "+1.00", answer, label, "right", *right]
    assert second[:6] == ["1", "-0.50", "+0.50", answer, label, "right"]
    assert wrong[:6] == ["3", "+0.20", "+0.90", answer, "0 not equivalent", "wrong"]
    assert "accuracy = (1 + 2) / 5 = 60.0 %" in shown
    assert "F1 = 2 · 2 / (2 · 2 + 1 + 1) = 66.7 %" in shown
    assert '{"accuracy": 0.6000, "f1": 0.6667}' in shown
    assert "−ln 0.5 = 0.693" in shown


def test_the_newest_epoch_whose_logits_were_kept_is_shown(services, tmp_path):
    run = write_ended(tmp_path)
    write(run, 0)
    write(run, 1)
    assert "After epoch 1." in parse(evaluation_html(services, run.run_id)).text
