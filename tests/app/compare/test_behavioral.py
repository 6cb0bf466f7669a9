import pytest

from mrpc.app.compare.behavioral import flip_share, worst_cases
from mrpc.app.compare.comparison import Comparison
from mrpc.core.data.load import load_data
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    comparison = Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    sides = "baseline:overlap", f"{run.run_id}:best"
    seen = []
    results = comparison.probe(*sides, report=lambda *step: seen.append(step))
    assert seen
    assert comparison.probe(*sides, report=lambda *_: pytest.fail("asked anew")) is results
    return {result.probe.name: result for result in results}


def test_word_overlap_passes_and_fails_as_it_must(results):
    """A baseline whose behaviour is known: it sees no order, no negation, no change of one number."""
    assert results["identical sentences"].num_left == results["identical sentences"].num_cases
    assert flip_share(results["swapped order"])[0] == 0.0
    assert results["changed number"].num_left == 0


def test_passing_follows_from_the_probabilities(results):
    for result in results.values():
        assert 0 < result.num_cases == len(result.answers)
        for answer in result.answers:
            if result.probe.expects == "same":
                assert answer.right_passed == ((answer.right > 0.5) == (answer.right_before > 0.5))
            else:
                assert answer.right_passed == ((answer.right > 0.5) == (result.probe.expects == "equivalent"))
        assert result.right_interval.low <= result.num_right / result.num_cases <= result.right_interval.high
        assert 0 <= result.p <= 1


def test_failures_come_first(results):
    for result in results.values():
        passed = [answer.right_passed for answer in worst_cases(result)]
        assert passed == sorted(passed)
