import json

from mrpc.app.compare.changes import FlippedPair, SliceScore
from mrpc.app.compare.render_changes import flips_table, render_cells, slices_table
from mrpc.core.analysis.statistics import Interval, Transitions


def test_the_shown_cell_is_pressed():
    text = render_cells(Transitions(12, 3, 1300, 20), "broken")
    assert 'data-id="broken" aria-pressed="true"' in text
    assert text.count('aria-pressed="true"') == 1
    assert "<b>1,300</b> Right both times" in text


def test_pairs_are_plain_data_with_marked_words():
    pair = FlippedPair(4, 77, "The <b>bank</b> closed.", "The bank opened.", 0, 0.75, 0.25, "fixed")
    table = flips_table([pair], "fixed")
    (row,) = table["rows"]
    assert row["id"] == 4
    assert row["change"] == -0.5
    assert ["</b> closed", "only"] in row["sentence1"]
    assert "".join(text for text, _ in row["sentence1"]) == pair.sentence1
    assert table["file"] == "pairs-fixed.csv"
    json.dumps(table)


def test_a_kind_that_is_worse_than_elsewhere_is_named_so():
    scores = [
        SliceScore("one sentence is negated", 18, 9, 8, Interval(0.2, 0.7), Interval(0.2, 0.6), 3, 4, 0.02),
        SliceScore("the names differ", 200, 120, 150, Interval(0.5, 0.7), Interval(0.7, 0.8), 40, 10, 0.9),
    ]
    assert [row["reading"] for row in slices_table(scores)["rows"]] == [
        "worse than elsewhere",
        "as elsewhere",
    ]
