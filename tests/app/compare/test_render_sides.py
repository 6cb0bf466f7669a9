import numpy as np
import pytest

from mrpc.app.compare.one_pair import PairAnswer
from mrpc.app.compare.render_sides import render_answers, render_note, render_scoreboard
from mrpc.app.compare.sides import Side
from mrpc.app.compare.splits import compare_answers
from mrpc.core.model.stored_predictions import PairPredictions

BASE = Side("r:base", "base", "base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", "<img src=x onerror=alert(1)> (epoch 2)", None, 2, 60, "b" * 64)


@pytest.fixture
def comparison():
    labels = np.array([1] * 12 + [0] * 8)
    number = np.arange(20)
    left = np.where((number >= 12) & (number < 17), -1.0, np.where(number < 12, -1.0, 1.0))  # 5 right
    right = np.where(number < 12, 2.0, np.where(number < 15, 1.0, np.where(number < 17, -2.0, 1.0)))
    answers = [
        PairPredictions(np.arange(20), labels, np.stack([-margin, margin], axis=1).astype(np.float32))
        for margin in (left, right)
    ]
    return compare_answers("validation", BASE, answers[0], BEST, answers[1])


def test_both_answers_name_their_label_probability_and_weights():
    left = PairAnswer(BASE, "not_equivalent", 0.431, "a" * 64, 12.4)
    right = PairAnswer(BEST, "equivalent", 0.912, "b" * 64, 11.0)
    text = render_answers(left, right, label=1)
    assert "Not equivalent" in text
    assert "43.1 %" in text
    assert "91.2 %" in text
    assert "head is random" in text
    assert text.count("head is random") == 1
    assert "aaaaaaaaaaaa<" in text
    assert "The corpus says: equivalent." in text
    assert "✗ wrong" in text
    assert "✓ right" in text
    assert "<img" not in text


def test_without_a_label_nobody_is_right():
    answer = PairAnswer(BASE, "equivalent", 0.9, "a" * 64, 1.0)
    text = render_answers(answer, answer, label=None)
    assert "corpus" not in text
    assert "✓" not in text
    assert "Both sides agree" in text


def test_the_scoreboard_tells_the_whole_story_in_short(comparison):
    text = render_scoreboard(comparison)
    assert "12 fixed, 3 broken: the gain is unlikely to be luck (p = 0.035)." in text
    assert "20 pairs" in text
    assert "right for 60.0 %" in text  # the prior
    assert ">2 <small" in text  # true negatives of the right side
    assert "70.0" in text
    assert "<img" not in text


def test_notes_are_escaped():
    assert "<script" not in render_note("<script>alert(1)</script>", "bad")
