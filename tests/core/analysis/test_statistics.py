"""Each statistic against scikit-learn, against plain arithmetic, or against a published worked example."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics

from mrpc.core.analysis import statistics as st


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(3)
    labels = (generator.random(408) < 0.68).astype(np.int64)
    left = np.clip(generator.normal(0.55 + 0.1 * labels, 0.25), 0.001, 0.999)
    right = np.clip(generator.normal(0.35 + 0.4 * labels, 0.25), 0.001, 0.999)
    return labels, left, right


def predicted(probabilities):
    return (probabilities > 0.5).astype(np.int64)


def plain_f1(labels, called):
    """Return F1 by its definition; scikit-learn takes milliseconds for each of thousands."""
    return 2 * np.sum(labels * called) / np.sum(labels + called)


def test_the_counts_and_ratios_are_those_of_scikit_learn(answers):
    labels, _, right = answers
    called = predicted(right)
    cells = st.confusion(labels, called)
    assert list(cells) == metrics.confusion_matrix(labels, called).ravel().tolist()
    assert math.isclose(cells.accuracy, metrics.accuracy_score(labels, called), rel_tol=1e-12)
    assert math.isclose(cells.f1, metrics.f1_score(labels, called), rel_tol=1e-12)
    assert math.isclose(cells.f1, plain_f1(labels, called), rel_tol=1e-12)
    assert math.isclose(cells.precision, metrics.precision_score(labels, called), rel_tol=1e-12)
    assert math.isclose(cells.recall, metrics.recall_score(labels, called), rel_tol=1e-12)
    losses = st.pair_log_losses(labels, right)
    assert math.isclose(losses.mean(), metrics.log_loss(labels, right), rel_tol=1e-12)


@pytest.mark.parametrize(("label", "called"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_one_class_only_is_no_division_by_zero(label, called):
    labels, answers = np.full(5, label), np.full(5, called)
    cells = st.confusion(labels, answers)
    assert cells.f1 == metrics.f1_score(labels, answers, zero_division=0)
    assert cells.precision == metrics.precision_score(labels, answers, zero_division=0)
    assert cells.recall == metrics.recall_score(labels, answers, zero_division=0)


def test_a_certain_wrong_answer_has_a_finite_loss():
    labels, probabilities = np.array([1, 0]), np.array([0.0, 1.0])
    np.testing.assert_allclose(st.pair_log_losses(labels, probabilities), -math.log(1e-15))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    interval = st.wilson_interval(successes, trials)
    assert round(interval.low, 4) == low
    assert round(interval.high, 4) == high


def test_wilson_gives_the_closed_form():
    share, num, z = 351 / 408, 408, norm.ppf(0.975)
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    np.testing.assert_allclose(st.wilson_interval(351, 408), (middle - half, middle + half), rtol=1e-9)
    assert all(map(math.isnan, st.wilson_interval(0, 0)))


def test_the_bootstrap_interval_is_that_of_a_plain_loop(answers):
    labels, _, right = answers
    called = predicted(right)
    generator = np.random.default_rng(99)
    scores = []
    for _ in range(3000):
        rows = generator.integers(0, len(labels), len(labels))
        scores.append(plain_f1(labels[rows], called[rows]))
    expected = np.percentile(scores, [2.5, 97.5])
    got = st.bootstrap_interval(st.f1_statistic, labels, called)
    np.testing.assert_allclose(got, expected, atol=0.1 * (expected[1] - expected[0]))


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval(answers):
    labels, _, right = answers
    losses = st.pair_log_losses(labels, right)
    half = norm.ppf(0.975) * losses.std(ddof=1) / math.sqrt(len(losses))
    got = st.bootstrap_interval(np.mean, losses)
    np.testing.assert_allclose(got, (losses.mean() - half, losses.mean() + half), atol=0.15 * half)


def test_batches_of_resamples_do_not_change_the_interval(answers, monkeypatch):
    labels, _, right = answers
    monkeypatch.setattr(st, "RESAMPLE_CELLS", 408 * 700)
    few = st.bootstrap_interval(st.f1_statistic, labels, predicted(right))
    monkeypatch.setattr(st, "RESAMPLE_CELLS", 408 * 100_000)
    many = st.bootstrap_interval(st.f1_statistic, labels, predicted(right))
    np.testing.assert_allclose(few, many, atol=0.004)


def test_the_paired_interval_of_the_difference_in_accuracy(answers):
    labels, left, right = answers
    left, right = predicted(left), predicted(right)
    change = (right == labels).astype(int) - (left == labels)
    generator = np.random.default_rng(5)
    resampled = change[generator.integers(0, len(change), (5000, len(change)))].mean(axis=1)
    difference = st.accuracy_difference(labels, left, right)
    expected = metrics.accuracy_score(labels, right) - metrics.accuracy_score(labels, left)
    assert math.isclose(difference.value, expected, rel_tol=1e-12)
    np.testing.assert_allclose(
        (difference.low, difference.high), np.percentile(resampled, [2.5, 97.5]), atol=0.01
    )


def test_the_difference_in_f1_is_that_of_scikit_learn(answers):
    labels, left, right = answers
    left, right = predicted(left), predicted(right)
    difference = st.f1_difference(labels, left, right)
    assert math.isclose(difference.value, metrics.f1_score(labels, right) - metrics.f1_score(labels, left))
    assert difference.low < difference.value < difference.high


@pytest.mark.slow
def test_the_paired_interval_of_the_difference_in_f1_is_that_of_a_plain_loop(answers):
    labels, left, right = answers
    left, right = predicted(left), predicted(right)
    generator = np.random.default_rng(17)
    changes = []
    for _ in range(3000):
        rows = generator.integers(0, len(labels), len(labels))
        scores = [plain_f1(labels[rows], called[rows]) for called in (left, right)]
        changes.append(scores[1] - scores[0])
    expected = np.percentile(changes, [2.5, 97.5])
    difference = st.f1_difference(labels, left, right)
    got = difference.low, difference.high
    np.testing.assert_allclose(got, expected, atol=0.1 * (expected[1] - expected[0]))


def test_every_pair_is_in_one_cell(answers):
    labels, left, right = answers
    left, right = predicted(left), predicted(right)
    counts = st.transitions(labels, left, right)
    assert sum(counts) == len(labels)
    assert counts.fixed == sum((a != y) and (b == y) for y, a, b in zip(labels, left, right, strict=True))
    assert counts.broken == sum((a == y) and (b != y) for y, a, b in zip(labels, left, right, strict=True))
    assert counts.both_wrong == sum(
        (a != y) and (b != y) for y, a, b in zip(labels, left, right, strict=True)
    )
    gained = (counts.fixed - counts.broken) / len(labels)
    assert math.isclose(gained, st.accuracy_difference(labels, left, right).value)


@pytest.mark.parametrize(("fixed", "broken"), [(12, 3), (3, 12), (0, 6), (40, 41), (10, 10), (1, 0)])
def test_mcnemar_is_the_binomial_sum(fixed, broken):
    num, smaller = fixed + broken, min(fixed, broken)
    tail = sum(math.comb(num, k) for k in range(smaller + 1)) / 2**num
    assert math.isclose(st.mcnemar_p(fixed, broken), min(1.0, 2 * tail), rel_tol=1e-9)


def test_mcnemar_without_a_change_is_one():
    assert st.mcnemar_p(0, 0) == 1.0


def test_the_correction_for_many_finds_the_four_of_the_paper():
    # Y. Benjamini, Y. Hochberg, J. R. Statist. Soc. B 57 (1995), section 4.1
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p_values += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000]
    assert [p <= 0.05 for p in st.corrected_p(p_values)] == [True] * 4 + [False] * 11
    num = len(p_values)
    # q(i) is the least of p(j) * m / j over j >= i, at most 1
    by_hand = [min(1.0, *(p_values[j] * num / (j + 1) for j in range(i, num))) for i in range(num)]
    np.testing.assert_allclose(st.corrected_p(p_values), by_hand)
    assert st.corrected_p([]) == []


def test_fisher_drinks_tea():
    # R. A. Fisher, The Design of Experiments (1935): three of four cups right
    assert math.isclose(st.share_difference_p(3, 4, 1, 4), 0.4857142857, rel_tol=1e-9)
    assert st.share_difference_p(0, 0, 1, 4) == 1.0
