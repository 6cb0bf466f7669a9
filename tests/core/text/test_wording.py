import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrpc.core.text.wording import (
    is_negated,
    mark_differences,
    names,
    numbers,
    word_overlap,
    words,
)


def test_words_are_lower_case_without_punctuation():
    assert words("The U.S. didn’t pay $1,234.50 - yet.") == [
        "the",
        "u",
        "s",
        "didn't",
        "pay",
        "1,234.50",
        "yet",
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("a b c", "b c d", 2 / 4), ("A b", "b a.", 1.0), ("x", "y", 0.0), ("", "", 1.0), ("a", "", 0.0)],
)
def test_overlap_is_the_jaccard_index_of_the_words(first, second, expected):
    assert word_overlap(first, second) == expected


def test_numbers_in_digits_and_words():
    assert numbers("Some 1,200 of the twelve thousand left in 2003, up 3.5 %.") == {
        "1200",
        "twelve",
        "thousand",
        "2003",
        "3.5",
    }
    assert numbers("None.") == set()


def test_names_are_capitalised_words_inside_a_sentence():
    assert names("Yesterday the mayor of Springfield met Ann Lee. Nobody came.") == {
        "Springfield",
        "Ann",
        "Lee",
    }


def test_negations():
    assert is_negated("He did not come.")
    assert is_negated("They won’t pay.")
    assert is_negated("They don 't pay.")
    assert is_negated("They do n't pay.")
    assert not is_negated("A notable knot.")


def test_differences_are_marked_word_by_word():
    first, second = mark_differences("The bank closed two branches.", "the bank opened two new branches.")
    assert [tuple(segment) for segment in first] == [
        ("The bank ", "same"),
        ("closed", "only"),
        (" two branches.", "same"),
    ]
    assert [segment.text for segment in second if segment.mark == "only"] == ["opened", "new"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_segments_make_up_the_sentences_again(first, second):
    left, right = mark_differences(first, second)
    assert "".join(segment.text for segment in left) == first
    assert "".join(segment.text for segment in right) == second
