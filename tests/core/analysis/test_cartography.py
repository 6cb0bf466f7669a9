import numpy as np
import pytest

from mrpc.core.analysis.cartography import REGIONS, build_cartography
from mrpc.errors import UnavailableError


@pytest.fixture
def epochs():
    generator = np.random.default_rng(2)
    probabilities = generator.uniform(0.02, 0.98, size=(4, 30))
    epochs = []
    for row in probabilities:
        order = generator.permutation(30)  # every epoch sees the pairs in another order
        epochs.append((100 + order, -np.log(row[order])))
    return epochs, probabilities


def test_confidence_and_variability_are_mean_and_spread_of_the_labels_probability(epochs):
    epochs, probabilities = epochs
    found = build_cartography(epochs)
    assert found.idx.tolist() == list(range(100, 130))
    assert found.num_epochs == 4
    np.testing.assert_allclose(found.confidence, probabilities.mean(axis=0))
    np.testing.assert_allclose(found.variability, probabilities.std(axis=0))
    np.testing.assert_allclose(found.correctness, (probabilities > 0.5).mean(axis=0))


def test_every_pair_is_in_one_region(epochs):
    found = build_cartography(epochs[0])
    ambiguous, hard, easy = (found.order(region) for region in REGIONS)
    assert len(ambiguous) == 10
    assert sorted([*ambiguous, *hard, *easy]) == list(range(30))
    assert found.variability[ambiguous].min() >= found.variability[[*hard, *easy]].max()
    assert (found.confidence[hard] < 0.5).all()
    assert (found.confidence[easy] >= 0.5).all()
    assert (np.diff(found.confidence[hard]) >= 0).all()
    assert (np.diff(found.variability[ambiguous]) <= 0).all()


def test_the_least_believed_labels_are_doubted_first(epochs):
    found = build_cartography(epochs[0])
    assert found.doubtful(3).tolist() == np.argsort(found.confidence)[:3].tolist()


def test_two_epochs_are_too_few_and_a_cut_one_does_not_count(epochs):
    epochs = epochs[0]
    with pytest.raises(UnavailableError, match="at least 3 whole epochs; this run has 2"):
        build_cartography(epochs[:2])
    idx, losses = epochs[2]
    with pytest.raises(UnavailableError, match="this run has 2"):
        build_cartography([*epochs[:2], (idx[:7], losses[:7])])
    with pytest.raises(UnavailableError, match="this run has 0"):
        build_cartography([])


def test_epochs_about_other_pairs_are_refused(epochs):
    epochs = epochs[0]
    idx, losses = epochs[3]
    with pytest.raises(UnavailableError, match="not about the same pairs"):
        build_cartography([*epochs[:3], (idx + 1, losses)])
