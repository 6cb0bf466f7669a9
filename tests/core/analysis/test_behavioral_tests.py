import numpy as np
import pytest

from mrpc.core.analysis import behavioral_tests as behavioral
from mrpc.core.text.wording import words
from tests.tiny import tiny_rows


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It sold 12 ships.", "It sold 16 ships."),
        ("It sold 1,200 ships and 3 boats.", "It sold 1,600 ships and 3 boats."),
        ("It opened in 2003.", "It opened in 1997."),
        ("Up 3.5 percent.", "Up 7.5 percent."),
        ("Up 7.5 percent.", "Up 3.5 percent."),
        ("The two ships sank.", "The five ships sank."),
        ("No number here.", None),
    ],
)
def test_a_number_becomes_another(before, after):
    assert behavioral.change_number(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The bank will close.", "The bank will not close."),
        ("He has been there and was seen.", "He has not been there and was seen."),
        ("He has not been there.", None),
        ("He came.", None),
    ],
)
def test_a_sentence_is_negated_once(before, after):
    assert behavioral.negate(before) == after


def test_a_synonym_keeps_its_capital():
    assert behavioral.use_synonym("Officials came.") == "Authorities came."
    assert behavioral.use_synonym("The company said so.") == "The firm said so."
    assert behavioral.use_synonym("Nothing to see.") is None


def test_a_typo_swaps_two_letters_of_one_word():
    generator = np.random.default_rng(0)
    before = "The parliament voted on Tuesday."
    for _ in range(20):
        after = behavioral.add_typo(before, generator)
        assert after != before
        assert sorted(after) == sorted(before)
        changed = [(a, b) for a, b in zip(words(before), words(after), strict=True) if a != b]
        assert len(changed) == 1
        assert changed[0][0][0] == changed[0][1][0]  # the first letter stays
    assert behavioral.add_typo("a bb ccc", generator) is None
    assert behavioral.add_typo("ooooooo", generator) is None


def test_the_suite_is_made_of_the_data_and_always_the_same():
    rows = tiny_rows(40)
    pairs = [row["sentence1"] for row in rows], [row["sentence2"] for row in rows]
    suite = behavioral.make_behavioral_tests(*pairs)
    assert suite == behavioral.make_behavioral_tests(*pairs)
    by_name = {test.name: test for test in suite}
    assert len(by_name["swapped order"].cases) == 40
    assert all(case.sentence1 == case.sentence2 for case in by_name["identical sentences"].cases)
    for case in by_name["swapped order"].cases:
        assert case.before == (case.sentence2, case.sentence1)
    known = set(zip(*pairs, strict=True))
    for test in suite:
        assert test.cases
        assert (test.expects == "same") == (test.cases[0].before is not None)
        assert all(case.before in known for case in test.cases if case.before)


def test_without_pairs_there_are_no_tests():
    assert behavioral.make_behavioral_tests([], []) == []
