import json
import math

import numpy as np
import pytest
from sklearn import metrics

from mrpc.app.compare import score_figures as figures
from mrpc.app.compare.comparisons import shown_split
from mrpc.app.compare.pair_tables import baselines_table
from mrpc.app.compare.scores import compare_answers
from mrpc.app.compare.scores_view import choose_split
from mrpc.app.compare.sides import Both, Side
from mrpc.app.templates import render_macro
from mrpc.core.model.stored_predictions import PairPredictions
from tests.html import parse

SIDES = Both(
    Side("r:base", "base", "Base", None, 0, 0, "a" * 64),
    Side("r:best", "tuned", "Best <b>", None, 2, 60, "b" * 64),
)


def predictions(labels, seed):
    margins = np.random.default_rng(seed).normal((2 * labels - 1) * 2 * seed, 2)
    logits = np.stack([-margins / 2, margins / 2], axis=1).astype(np.float32)
    return PairPredictions(np.arange(len(labels)), labels, logits)


def scores_of(labels, split="validation"):
    return compare_answers(split, SIDES, Both(predictions(labels, 0), predictions(labels, 1)))


@pytest.fixture(scope="module")
def scores():
    return scores_of((np.random.default_rng(0).random(900) < 0.7).astype(np.int64))


@pytest.fixture(scope="module")
def one_class():
    return scores_of(np.ones(30, dtype=np.int64))


def render_scores(scores):
    return render_macro("compare/scores.html", "score_table", scores)


def render_calibrations(scores, found):
    return render_macro("compare/scores.html", "calibrations", scores, found)


def test_every_metric_has_a_row_with_its_interval(scores):
    page = parse(render_scores(scores))
    rows = page.rows()[:6]
    names = ["Accuracy", "F1", "Precision", "Recall", "Log loss", "Calibration error"]
    assert all(row[0].startswith(name) for row, name in zip(rows, names, strict=True))
    assert rows[0][2].startswith(f"{100 * scores.sides.second.metrics['accuracy']:.1f} ")
    assert rows[0][3].startswith(f"{100 * scores.accuracy_difference.value:+.1f} ")
    assert "Best <b>" in [head.text for head in page.all("th")]
    assert len(page.all("table", cls="cmp-confusion")) == 2


def test_what_is_chosen_on_validation_says_so(scores):
    found = scores.calibrated_on(scores)
    page = parse(render_calibrations(scores, found))
    assert "Both were chosen on these very pairs" in page.text
    assert page.rows()[1][1].startswith(f"{found.second.temperature:.2f}")
    test = compare_answers("test", SIDES, scores.sides.map(lambda side: side.answers))
    assert "very pairs" not in parse(render_calibrations(test, test.calibrated_on(scores))).text


def test_a_temperature_at_its_limit_is_said_in_words():
    labels = np.array([1, 0] * 20)
    wrong = PairPredictions(
        np.arange(40), labels, np.stack([labels * 2.0 - 1, 1 - labels * 2.0], axis=1).astype(np.float32)
    )
    scores = compare_answers("validation", SIDES, Both(wrong, predictions(labels, 1)))
    row = parse(render_calibrations(scores, scores.calibrated_on(scores))).rows()[0]
    assert row[1] == "no temperature helps 50 % for every pair would be best"


def test_curves_end_where_they_must_and_carry_their_area(scores):
    figure = figures.roc_figure(scores)
    second = figure["data"][2]
    area = metrics.roc_auc_score(scores.labels, scores.sides.second.answers.margin)
    assert second["name"] == f"Best &lt;b&gt;: AUC {area:.3f}"
    assert (second["x"][0], second["y"][0], second["x"][-1], second["y"][-1]) == (0.0, 0.0, 1.0, 1.0)
    assert len(second["x"]) <= figures.MAX_POINTS
    figure = figures.precision_recall_figure(scores)
    assert figure["data"][0]["y"][0] == pytest.approx(scores.labels.mean())
    json.dumps([figure, figures.reliability_figure(scores)], allow_nan=False)


def test_the_threshold_chart_is_a_plain_sweep(scores):
    figure = figures.threshold_figure(scores, 0.37)
    f1 = next(trace for trace in figure["data"] if trace["name"].startswith("F1, Best"))
    called = scores.sides.second.answers.prob_equivalent > 0.37
    assert f1["y"][37] == pytest.approx(metrics.f1_score(scores.labels, called), abs=1e-4)
    assert figure["layout"]["shapes"][0]["x0"] == 0.37


def test_baselines_and_models_stand_beside_each_other(scores):
    named = [("majority", scores.sides.first), ("best", scores.sides.second)]
    figure = figures.baselines_figure(named)
    assert figure["data"][0]["y"] == ["majority", "best"]
    assert figure["data"][0]["marker"]["symbol"] == ["circle-open", "circle"]
    rows = baselines_table(named)["rows"]
    assert rows[1]["accuracy_low"] < rows[1]["accuracy"] < rows[1]["accuracy_high"]
    json.dumps([figure, rows], allow_nan=False)


def test_one_class_has_scores_but_no_curves(one_class):
    assert figures.roc_figure(one_class) is None
    assert figures.precision_recall_figure(one_class) is None
    assert "nan" not in render_scores(one_class)
    assert "nan" not in render_calibrations(one_class, one_class.calibrated_on(one_class))
    result = one_class.as_dict()
    json.dumps(result, allow_nan=False)
    assert not math.isnan(result["right"]["accuracy"])


def test_test_is_shown_to_who_asked_for_it():
    assert shown_split("validation", False) == "validation"
    assert shown_split("test", True) == "test"
    for consent in (False, None, "yes", 1):
        assert shown_split("test", consent) == ""
    assert choose_split("test") == {"split": "test", "consent": True}
    assert choose_split(None) == {"split": "validation", "consent": False}
