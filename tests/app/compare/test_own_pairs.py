import csv
import io

import pytest

from mrpc.errors import DataError, InputError


def test_lines_are_answered_by_both_sides_as_one_pair_is(comparisons, left, right):
    seen = []
    found = comparisons.answer_own(
        left,
        right,
        "The town.\tThe city.\nThe mayor.\tThe bank.",
        None,
        on_progress=lambda *step: seen.append(step),
    )
    for at, pair in enumerate(found.pairs):
        answers = comparisons.answer_pair(left, right, pair.sentence1, pair.sentence2)
        assert found.answers.first.prob_equivalent[at] == pytest.approx(
            answers.first.prob_equivalent, abs=1e-6
        )
        assert found.answers.second.prob_equivalent[at] == pytest.approx(
            answers.second.prob_equivalent, abs=1e-6
        )
    assert [step[1:] for step in seen] == [(2, 4), (4, 4)]
    assert found.scores is None


def test_labels_give_scores(comparisons, left, right):
    found = comparisons.answer_own(left, right, "The town.\tThe city.\t0\nThe mayor.\tThe mayor.\t1", None)
    scores = found.scores
    assert len(scores.labels) == 2
    expected = (found.answers.second.predicted == found.answers.second.label).mean()
    assert scores.sides.second.metrics["accuracy"] == pytest.approx(expected)


def test_a_file_comes_before_pasted_lines(comparisons, left, right, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2\n=1+1,The city.\n")
    found = comparisons.answer_own(left, right, "a\tb", str(path))
    (row,) = csv.DictReader(io.StringIO(found.as_csv()))
    assert row["sentence1"] == "'=1+1"
    assert row["label"] == ""
    assert float(row["right_prob_equivalent"]) == pytest.approx(
        found.answers.second.prob_equivalent[0], abs=1e-6
    )
    assert row["right_label"] in {"equivalent", "not_equivalent"}


@pytest.mark.parametrize("text", ["", "  \n", None, 5])
def test_nothing_is_said_so(comparisons, left, right, text):
    with pytest.raises(InputError, match="no pairs yet"):
        comparisons.answer_own(left, right, text, None)


def test_a_bad_line_is_named(comparisons, left, right):
    with pytest.raises(DataError, match="Line 2 has 1 part"):
        comparisons.answer_own(left, right, "a\tb\nc", None)


def test_what_was_left_out_is_said_beside_the_answers(comparisons, left, right, tmp_path):
    path = tmp_path / "pairs.csv"
    rows = "".join(f"Road {at}.,The road {at}.,{('no', 'yes')[at % 2]}\n" for at in range(30))
    path.write_bytes(
        f"sentence1;sentence2;label\n{rows};x;no\nCaf\xe9.;-;-\n".replace(",", ";").encode("cp1252")
    )
    found = comparisons.answer_own(left, right, None, str(path))
    said = " ".join(found.how_read)
    assert len(found.pairs) == 31  # "-" is no label, and needs none
    assert "delimiter: semicolon" in said
    assert "1 row with an empty sentence left out (line 32)" in said
    assert "yes became 1" in said
    assert "read as Windows-1252" in said
    found = comparisons.answer_own(left, right, "The town.\tThe city.", None)
    assert found.how_read == ["pasted lines: 1 pair."]
