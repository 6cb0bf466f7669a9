import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from mrpc.core.analysis import calibration as cal
from mrpc.core.analysis.statistics import Confusion


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(8)
    labels = (generator.random(600) < 0.65).astype(np.int64)
    margins = generator.normal(3.0 * (2 * labels - 1), 4.0)
    return labels, margins, 1 / (1 + np.exp(-margins))


def test_the_bins_are_those_of_scikit_learn(answers):
    labels, _, probabilities = answers
    share, mean = calibration_curve(labels, probabilities, n_bins=cal.NUM_BINS, strategy="uniform")
    bins = [item for item in cal.reliability_bins(labels, probabilities) if item.num_pairs]
    np.testing.assert_allclose([item.share_equivalent for item in bins], share)
    np.testing.assert_allclose([item.mean_probability for item in bins], mean)
    assert sum(item.num_pairs for item in bins) == len(labels)


def test_the_calibration_error_by_hand():
    labels = np.array([1, 0, 1, 1])
    probabilities = np.array([0.95, 0.97, 0.22, 0.28])
    # bin 9: two pairs, said 0.96, were 0.5; bin 2: two pairs, said 0.25, were 1
    expected = 0.5 * 0.46 + 0.5 * 0.75
    assert math.isclose(cal.expected_calibration_error(labels, probabilities), expected, rel_tol=1e-12)


def test_the_calibration_error_by_a_plain_loop(answers):
    labels, _, probabilities = answers
    total = 0.0
    for number in range(10):
        low, high = number / 10, (number + 1) / 10
        inside = [i for i, p in enumerate(probabilities) if low <= p < high or (number == 9 and p == 1.0)]
        if inside:
            gap = abs(sum(probabilities[i] for i in inside) - sum(int(labels[i]) for i in inside))
            total += gap / len(labels)
    assert math.isclose(cal.expected_calibration_error(labels, probabilities), total, rel_tol=1e-9)


def test_the_ends_belong_to_the_first_and_last_bin():
    bins = cal.reliability_bins(np.array([0, 1]), np.array([0.0, 1.0]))
    assert (bins[0].num_pairs, bins[-1].num_pairs) == (1, 1)
    assert cal.expected_calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0.0


def test_the_temperature_is_the_slope_of_a_logistic_regression(answers):
    labels, margins, _ = answers
    model = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-10).fit(margins[:, None], labels)
    temperature = cal.fit_temperature(labels, margins)
    assert math.isclose(temperature, 1 / model.coef_[0, 0], rel_tol=1e-4)
    before = metrics.log_loss(labels, cal.apply_temperature(margins, 1.0))
    after = metrics.log_loss(labels, cal.apply_temperature(margins, temperature))
    assert after < before


def test_answers_without_an_error_take_the_sharpest_temperature_allowed():
    assert math.isclose(
        cal.fit_temperature(np.array([0, 1]), np.array([-1.0, 1.0])), cal.TEMPERATURE_RANGE[0], rel_tol=1e-3
    )


def test_answers_that_are_all_wrong_take_the_flattest_temperature_allowed():
    temperature = cal.fit_temperature(np.array([0, 1]), np.array([1.0, -1.0]))
    assert math.isclose(temperature, cal.TEMPERATURE_RANGE[1], rel_tol=1e-3)
    judged = cal.Calibration(temperature, 0.7, 0.5, 0.5, Confusion(0, 1, 1, 0))
    assert judged.is_at_limit
    assert not replace(judged, temperature=2.0).is_at_limit


def test_the_areas_are_those_of_ranks_and_of_scikit_learn(answers):
    labels, _, probabilities = answers
    higher = probabilities[labels == 1][:, None] > probabilities[labels == 0][None, :]
    curve = cal.roc(labels, probabilities)
    assert math.isclose(
        curve.area, higher.mean(), rel_tol=1e-9
    )  # chance that an equivalent pair ranks higher
    curve = cal.precision_recall(labels, probabilities)
    ranked = labels[np.argsort(-probabilities)]  # no two are the same
    precision = [ranked[: place + 1].mean() for place in np.flatnonzero(ranked)]
    assert math.isclose(curve.area, np.mean(precision), rel_tol=1e-9)
    assert curve.x[0] <= curve.x[-1]


def test_one_class_has_no_curve():
    assert cal.roc(np.ones(3, dtype=np.int64), np.array([0.1, 0.2, 0.3])) is None
    assert cal.precision_recall(np.zeros(3, dtype=np.int64), np.array([0.1, 0.2, 0.3])) is None


def test_no_threshold_beats_the_best(answers):
    labels, _, probabilities = answers
    threshold = cal.best_f1_threshold(labels, probabilities)
    best = max(
        metrics.f1_score(labels, probabilities > cut, zero_division=0)
        for cut in np.concatenate([[0.0], probabilities])
    )
    assert math.isclose(metrics.f1_score(labels, probabilities > threshold), best, rel_tol=1e-12)


def test_of_equal_thresholds_the_one_nearest_to_the_middle_is_taken():
    labels, probabilities = np.array([0, 1, 1]), np.array([0.1, 0.8, 0.9])
    assert math.isclose(cal.best_f1_threshold(labels, probabilities), 0.45)
    assert cal.best_f1_threshold(np.array([1]), np.array([0.7])) == 0.0
