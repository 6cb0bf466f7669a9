import math

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mrpc.core.model.stored_predictions import (
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import UnavailableError


@pytest.fixture
def predictions():
    generator = np.random.default_rng(0)
    return PairPredictions(
        idx=np.array([7, 3, 900, 12]),
        label=np.array([1, 0, 1, 0]),
        logits=(generator.normal(size=(4, 2)) * 5).astype(np.float32),
    )


def test_probabilities_and_loss_are_those_of_scipy(predictions):
    logits = predictions.logits.astype(np.float64)
    np.testing.assert_allclose(predictions.prob_equivalent, softmax(logits, axis=1)[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(predictions.predicted, logits.argmax(axis=1))
    expected = -log_softmax(logits, axis=1)[np.arange(4), predictions.label].mean()
    assert math.isclose(predictions.loss, expected, rel_tol=1e-12)


def test_extreme_logits_stay_finite():
    sure = PairPredictions(
        np.arange(2), np.array([0, 1]), np.array([[-900, 900], [900, -900]], dtype=np.float32)
    )
    np.testing.assert_array_equal(sure.prob_equivalent, [1.0, 0.0])
    np.testing.assert_allclose(sure.pair_losses, [1800.0, 1800.0])


def test_a_tie_is_not_equivalent_and_unlabelled_pairs_do_not_count():
    tie = PairPredictions(np.arange(2), np.array([1, -1]), np.zeros((2, 2), dtype=np.float32))
    assert tie.predicted.tolist() == [0, 0]
    assert tie.prob_equivalent.tolist() == [0.5, 0.5]
    assert math.isclose(tie.loss, math.log(2))
    unlabelled = PairPredictions(np.arange(1), np.array([-1]), np.zeros((1, 2), dtype=np.float32))
    assert math.isnan(unlabelled.loss)


@pytest.mark.parametrize(
    ("num_equivalent", "only"), [(200, 1), (198, 1), (197, None), (100, None), (3, None), (2, 0), (0, 0)]
)
def test_who_says_nearly_always_the_same_gives_one_answer(num_equivalent, only):
    margins = np.where(np.arange(200) < num_equivalent, 1.0, -1.0)
    logits = np.stack([-margins, margins], axis=1).astype(np.float32)
    assert PairPredictions(np.arange(200), np.ones(200, dtype=np.int64), logits).only_answer == only


def test_a_file_gives_back_the_same_bits_and_metadata(tmp_path, predictions):
    path = tmp_path / "predictions" / "validation-epoch-001.parquet"
    write_predictions(path, predictions, {"weights_sha256": "abc", "split": "validation"})
    back = read_predictions(path)
    np.testing.assert_array_equal(back.idx, predictions.idx)
    np.testing.assert_array_equal(back.label, predictions.label)
    np.testing.assert_array_equal(back.logits, predictions.logits)
    assert back.logits.dtype == np.float32
    assert read_prediction_metadata(path) == {"weights_sha256": "abc", "split": "validation"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [None, b"", b"not parquet at all"])
def test_a_missing_or_torn_file_is_unavailable(tmp_path, content):
    path = tmp_path / "validation-epoch-001.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"validation-epoch-001\.parquet"):
        read_predictions(path)
    with pytest.raises(UnavailableError):
        read_prediction_metadata(path)
