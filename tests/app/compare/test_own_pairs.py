import csv
import io

import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.core.data.load import load_data
from mrpc.errors import DataError, InputError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    comparisons = Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    return comparisons, f"{run.run_id}:base", f"{run.run_id}:best"


def test_lines_are_answered_by_both_sides_as_one_pair_is(world):
    comparisons, left, right = world
    seen = []
    found = comparisons.answer_own(
        left,
        right,
        "The town.\tThe city.\nThe mayor.\tThe bank.",
        None,
        on_progress=lambda *step: seen.append(step),
    )
    for at, pair in enumerate(found.pairs):
        answers = comparisons.pair.answer(left, right, pair.sentence1, pair.sentence2)
        assert found.answers.first.prob_equivalent[at] == pytest.approx(
            answers.first.prob_equivalent, abs=1e-6
        )
        assert found.answers.second.prob_equivalent[at] == pytest.approx(
            answers.second.prob_equivalent, abs=1e-6
        )
    assert [step[1:] for step in seen] == [(2, 4), (4, 4)]
    assert found.scores is None


def test_labels_give_scores(world):
    comparisons, left, right = world
    found = comparisons.answer_own(left, right, "The town.\tThe city.\t0\nThe mayor.\tThe mayor.\t1", None)
    scores = found.scores
    assert len(scores.labels) == 2
    expected = (found.answers.second.predicted == found.answers.second.label).mean()
    assert scores.sides.second.metrics["accuracy"] == pytest.approx(expected)


def test_a_file_comes_before_pasted_lines(world, tmp_path):
    comparisons, left, right = world
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
def test_nothing_is_said_so(world, text):
    comparisons, left, right = world
    with pytest.raises(InputError, match="no pairs yet"):
        comparisons.answer_own(left, right, text, None)


def test_a_bad_line_is_named(world):
    comparisons, left, right = world
    with pytest.raises(DataError, match="Line 2 has 1 part"):
        comparisons.answer_own(left, right, "a\tb\nc", None)
