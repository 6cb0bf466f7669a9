import html
import json
import math

import numpy as np
import pytest
from sklearn import metrics

from mrpc.app.compare import render_split_figures as figures
from mrpc.app.compare import render_split_scores as scores
from mrpc.app.compare.judging import judge
from mrpc.app.compare.sides import Side
from mrpc.app.compare.splits import compare_answers
from mrpc.core.model.stored_predictions import PairPredictions

BASE = Side("r:base", "base", "base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", "best <b>", None, 2, 60, "b" * 64)


def predictions(labels, seed):
    margins = np.random.default_rng(seed).normal((2 * labels - 1) * 2 * seed, 2)
    logits = np.stack([-margins / 2, margins / 2], axis=1).astype(np.float32)
    return PairPredictions(np.arange(len(labels)), labels, logits)


@pytest.fixture(scope="module")
def comparison():
    labels = (np.random.default_rng(0).random(900) < 0.7).astype(np.int64)
    return compare_answers("validation", BASE, predictions(labels, 0), BEST, predictions(labels, 1))


@pytest.fixture(scope="module")
def one_class():
    labels = np.ones(30, dtype=np.int64)
    return compare_answers("validation", BASE, predictions(labels, 0), BEST, predictions(labels, 1))


def test_every_metric_has_a_row_with_its_interval(comparison):
    text = scores.render_score_table(comparison)
    for words in ("Accuracy", "F1", "Precision", "Recall", "Log loss", "Calibration error"):
        assert words in text
    assert f"<b>{100 * comparison.right.metrics['accuracy']:.1f}</b>" in text
    assert f"<b>{100 * comparison.accuracy_difference.value:+.1f}</b>" in text
    assert "<b>best" not in text
    assert "&lt;b&gt;" in text


def test_the_verdict_leads(comparison):
    text = scores.render_verdict(comparison)
    assert html.escape(comparison.verdict) in text
    assert "900 pairs of validation" in text


def test_what_is_chosen_on_validation_says_so(comparison):
    judgements = judge(comparison, comparison)
    text = scores.render_judgements(comparison, judgements)
    assert "Both were chosen on these very pairs" in text
    assert f"{judgements.right.temperature:.2f}" in text
    test = compare_answers("test", BASE, comparison.left.answers, BEST, comparison.right.answers)
    assert "very pairs" not in scores.render_judgements(test, judge(test, comparison))


def test_curves_end_where_they_must_and_carry_their_area(comparison):
    figure = figures.roc_figure(comparison)
    right = figure["data"][2]
    area = metrics.roc_auc_score(comparison.labels, comparison.right.answers.margin)
    assert right["name"] == f"right: AUC {area:.3f}"
    assert (right["x"][0], right["y"][0], right["x"][-1], right["y"][-1]) == (0.0, 0.0, 1.0, 1.0)
    assert len(right["x"]) <= figures.MAX_POINTS
    figure = figures.precision_recall_figure(comparison)
    assert figure["data"][0]["y"][0] == pytest.approx(comparison.labels.mean())
    json.dumps([figure, figures.reliability_figure(comparison)], allow_nan=False)


def test_the_threshold_chart_is_a_plain_sweep(comparison):
    figure = figures.threshold_figure(comparison, 0.37)
    f1 = next(trace for trace in figure["data"] if trace["name"] == "F1, right")
    called = comparison.right.answers.prob_equivalent > 0.37
    assert f1["y"][37] == pytest.approx(metrics.f1_score(comparison.labels, called), abs=1e-4)
    assert figure["layout"]["shapes"][0]["x0"] == 0.37


def test_the_ladder_shows_every_rung(comparison):
    rungs = [("majority", comparison.left), ("best", comparison.right)]
    figure = figures.ladder_figure(rungs)
    assert figure["data"][0]["y"] == ["majority", "best"]
    assert figure["data"][0]["marker"]["symbol"] == ["circle-open", "circle"]
    rows = scores.ladder_table(rungs)["rows"]
    assert rows[1]["accuracy_low"] < rows[1]["accuracy"] < rows[1]["accuracy_high"]
    json.dumps([figure, rows], allow_nan=False)


def test_one_class_has_scores_but_no_curves(one_class):
    assert figures.roc_figure(one_class) is None
    assert figures.precision_recall_figure(one_class) is None
    assert "nan" not in scores.render_score_table(one_class)
    assert "nan" not in scores.render_judgements(one_class, judge(one_class, one_class))
    result = one_class.as_dict()
    json.dumps(result, allow_nan=False)
    assert not math.isnan(result["right"]["accuracy"])
