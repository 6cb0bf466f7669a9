import pytest

from mrpc.app.compare.changes import CELLS
from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.data.load import load_data
from mrpc.errors import InputError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


def test_the_cells_hold_every_pair_once(comparisons, left, right, data):
    counts = comparisons.compare(left, right).scores.as_dict()
    rows = []
    for cell in CELLS:
        pairs = [pair.as_dict() for pair in comparisons.compare(left, right).changes.in_cell(cell)]
        assert len(pairs) == counts[cell]
        changes = [abs(pair["change"]) for pair in pairs]
        assert changes == sorted(changes, reverse=True)
        for pair in pairs:
            row = data.dataset["validation"][pair["row"]]
            assert (pair["sentence1"], pair["label"], pair["idx"]) == (
                row["sentence1"],
                row["label"],
                row["idx"],
            )
            was = (pair["prob_left"] > 0.5) == bool(pair["label"])
            now = (pair["prob_right"] > 0.5) == bool(pair["label"])
            expected = {(0, 1): "fixed", (1, 0): "broken", (1, 1): "both_right", (0, 0): "both_wrong"}[
                was, now
            ]
            assert cell == expected
            assert pair["change"] == pytest.approx(pair["prob_right"] - pair["prob_left"])
        rows += [pair["row"] for pair in pairs]
    assert sorted(rows) == list(range(16))


@pytest.mark.parametrize("cell", ["", "FIXED", None, 3, ["fixed"], "idx"])
def test_another_cell_is_refused(comparisons, left, right, cell):
    with pytest.raises(InputError, match="must be one of fixed, broken"):
        comparisons.compare(left, right).changes.in_cell(cell)


def test_kinds_of_pairs_are_scored_the_worst_first(comparisons, left, right):
    changes = comparisons.compare(left, right).changes
    accuracies = [score.accuracy.second for score in changes.kinds]
    assert accuracies == sorted(accuracies)
    for score in changes.kinds:
        found = changes.of_kind(score.name)
        assert len(found) == score.num_pairs
        assert sum((pair.probs.second > 0.5) == bool(pair.label) for pair in found) == score.num_right.second
        assert sum(pair.cell == "fixed" for pair in found) == score.fixed
        assert score.interval.low <= score.accuracy.second <= score.interval.high
        wrongness = [abs(pair.label - pair.probs.second) for pair in found]
        assert wrongness == sorted(wrongness, reverse=True)
        fixed = changes.in_cell("fixed", kind=score.name)
        assert {pair.row for pair in fixed} == {pair.row for pair in found if pair.cell == "fixed"}
    with pytest.raises(InputError, match="no kind of pairs"):
        changes.of_kind("<b>nothing</b>")


def test_pairs_to_look_at_are_those_that_changed(comparisons, left, right):
    changes = comparisons.compare(left, right).changes
    num_changed = len(changes.in_cell("fixed", "broken"))
    proposed = changes.proposed(6)
    assert 0 < len(proposed) <= 6
    assert all(pair.cell in ("fixed", "broken") for pair in proposed) or num_changed == 0


def test_the_sample_is_cut_by_its_tags(tmp_path, tiny_checkpoint_dir):
    data = load_data("sample")
    run = make_finished_run(tmp_path, data, tiny_checkpoint_dir, num_epochs=1)
    comparisons = Comparisons(RunStore(tmp_path), lambda: data, Settings(runs_dir=tmp_path))
    changes = comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best").changes
    assert any(score.name.startswith("phenomenon: ") for score in changes.kinds)
