import numpy as np

from mrpc.app.compare.scores import (
    Scores,
    SideScores,
    baseline_findings,
    compare_answers,
    one_answer_findings,
    side_finding,
)
from mrpc.app.compare.sides import Both, Side
from mrpc.core.model.stored_predictions import PairPredictions

LABELS = np.array([1] * 12 + [0] * 8)
BASE = Side("r:base", "base", "Base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", "Fine-tuned, epoch 2", None, 2, 60, "b" * 64)
LAST = Side("r:last", "tuned", "Fine-tuned, epoch 3", None, 3, 90, "c" * 64)
MAJORITY = Side("baseline:majority", "baseline", "Baseline: always the more frequent answer")
COSINE = Side("baseline:embedding", "baseline", "Baseline: cosine of vectors")


def answers(*right):
    """Answers that are right for these rows."""
    margins = np.where(np.isin(np.arange(20), list(right)), 2 * LABELS - 1, 1 - 2 * LABELS)
    return PairPredictions(np.arange(20), LABELS, np.stack([-margins, margins], axis=1).astype(np.float32))


def compare(first, first_right, second, second_right) -> Scores:
    return compare_answers(
        "validation", Both(first, second), Both(answers(*first_right), answers(*second_right))
    )


FEW, MANY, ALWAYS_YES = range(3, 8), range(19), range(12)


def test_a_gain_between_two_trained_models_may_be_luck_or_not():
    found = side_finding(compare(LAST, FEW, BEST, MANY))
    assert found.tone == "good"
    assert "14 fixed, 0 broken. This gain is unlikely to be luck (p < 0.001)." in found.text
    found = side_finding(compare(LAST, range(2, 8), BEST, range(8)))
    assert (found.tone, found.text.split(". ")[1]) == ("warn", "This gain may well be luck (p = 0.500).")
    found = side_finding(compare(LAST, MANY, BEST, FEW))
    assert (found.tone, "This loss is unlikely to be luck" in found.text) == ("warn", True)
    assert "No answer changed between right and wrong" in side_finding(compare(LAST, FEW, BEST, FEW)).text


def test_a_gain_over_a_random_head_proves_little():
    for scores in (compare(BASE, FEW, BEST, MANY), compare(BEST, MANY, BASE, FEW)):
        found = side_finding(scores)
        assert "head of Base is random, so this proves little" in found.text
        assert "luck" not in found.text
        assert found.tone == "note"


def test_baselines_come_in_the_order_of_their_names():
    scores = compare(BASE, FEW, BEST, MANY)
    baselines = [SideScores(COSINE, answers(*range(14))), SideScores(MAJORITY, answers(*ALWAYS_YES))]
    found = baseline_findings(scores, baselines, ["majority", "embedding"])
    assert found[0].text.startswith("Against “always the more frequent answer” (60.0 % right): +35.0 points")
    assert found[1].text.startswith("Against “cosine of vectors” (")
    assert "unlikely to be luck" in found[0].text
    itself = compare(MAJORITY, ALWAYS_YES, BEST, MANY)
    assert baseline_findings(itself, baselines, ["majority"]) == []


def test_a_model_that_says_one_thing_is_told_so_in_amber():
    scores = compare(BASE, FEW, BEST, ALWAYS_YES)
    (found,) = one_answer_findings(scores)
    assert found.tone == "warn"
    assert "Fine-tuned, epoch 2 answers “equivalent” to every pair" in found.text
    assert one_answer_findings(compare(MAJORITY, ALWAYS_YES, BEST, MANY)) == []
    others = compare(LAST, range(12, 20), BEST, ALWAYS_YES)
    told = [finding.text for finding in one_answer_findings(others)]
    assert [text.partition(" answers ")[0] for text in told] == ["Fine-tuned, epoch 3", "Fine-tuned, epoch 2"]
    assert "luck" not in side_finding(compare(LAST, FEW, BEST, ALWAYS_YES)).text
    (against,) = baseline_findings(scores, [SideScores(MAJORITY, answers(*ALWAYS_YES))], ["majority"])
    assert "+0.0 points" in against.text
    assert "unlikely" not in against.text
