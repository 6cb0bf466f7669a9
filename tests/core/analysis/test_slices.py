import numpy as np

from mrpc.core.analysis.slices import MIN_PAIRS, make_slices, sample_phenomena
from mrpc.core.data.pairs import SPLITS
from tests.tiny import tiny_rows


def test_pairs_are_cut_by_what_is_written_in_them():
    rows = tiny_rows(60)
    slices = make_slices([row["sentence1"] for row in rows], [row["sentence2"] for row in rows])
    by_name = {item.name: item.mask for item in slices}
    differ = by_name["the numbers differ"]
    assert differ.tolist() == [row["label"] == 0 for row in rows]  # every second pair has another number
    assert (by_name["the numbers are the same"] == ~differ).all()
    assert all(MIN_PAIRS <= mask.sum() < 60 for mask in by_name.values())


def test_lengths_and_overlaps_are_cut_in_three():
    first = [" ".join(f"w{n}" for n in range(number + 1)) for number in range(30)]
    slices = make_slices(first, ["w0"] * 30)
    for kind in ("word overlap", "words"):
        thirds = [
            item.mask
            for item in slices
            if kind in item.name and ("overlap" in item.name) == ("overlap" in kind)
        ]
        assert len(thirds) == 3
        assert (np.sum(thirds, axis=0) == 1).all()


def test_negation_and_names():
    first = ["The mayor did not come."] * 6 + ["He met Ann Lee."] * 6
    second = ["The mayor came."] * 6 + ["He met Bob Roe."] * 6
    by_name = {item.name: item.mask for item in make_slices(first, second)}
    assert by_name["one sentence is negated"].tolist() == [True] * 6 + [False] * 6
    assert by_name["the names differ"].tolist() == [False] * 6 + [True] * 6
    assert "both are negated" not in by_name


def test_tags_of_the_writer_become_slices():
    slices = make_slices(["a b."] * 12, ["a c."] * 12, ["number"] * 6 + ["role"] * 4 + [""] * 2)
    assert [item.name for item in slices if item.name.startswith("phenomenon")] == ["phenomenon: number"]


def test_few_pairs_have_no_kinds():
    assert make_slices(["a"] * 3, ["b"] * 3) == []
    assert make_slices([], []) == []


def test_every_pair_of_the_sample_has_a_tag():
    for split in SPLITS:
        tags = sample_phenomena(split)
        assert len(tags) >= 40
        assert all(tags.values())
