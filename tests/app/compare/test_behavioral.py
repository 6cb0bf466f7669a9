import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.runs.store import RunStore
from mrpc.settings import Settings


@pytest.fixture(scope="module")
def results(comparisons, runs_dir, data, right):
    sides = "baseline:overlap", right
    seen = []
    results = comparisons.compare(*sides).behavioral_tests(lambda *step: seen.append(step))
    assert seen
    held = comparisons.compare(*sides).behavioral_tests(lambda *_: pytest.fail("asked anew"))
    assert held is results
    anew = Comparisons(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    anew.answers.ask = refuse_models(anew.answers.ask)  # what a model said is kept beside its run
    assert [result.rates for result in anew.compare(*sides).behavioral_tests()] == [
        result.rates for result in results
    ]
    return {result.test.name: result for result in results}


def refuse_models(ask):
    def refuse(side, *arguments, **options):
        assert side.kind == "baseline", "asked anew"
        return ask(side, *arguments, **options)

    return refuse


def test_word_overlap_passes_and_fails_as_it_must(results):
    """A baseline whose behaviour is known: it sees no order, no negation, no change of one number."""
    assert results["identical sentences"].rates.first == 1.0
    assert results["swapped order"].rates.first == 1.0
    assert results["changed number"].num_passed.first == 0


def test_passing_follows_from_the_probabilities(results):
    for result in results.values():
        assert 0 < result.num_cases == len(result.answers)
        for answer in result.answers:
            says = answer.probs.second > 0.5
            if result.test.expects == "same":
                assert answer.passed.second == (says == (answer.before.second > 0.5))
            else:
                assert answer.passed.second == (says == (result.test.expects == "equivalent"))
        interval = result.intervals.second
        assert interval.low <= result.rates.second <= interval.high
        assert 0 <= result.p <= 1


def test_failures_come_first(results):
    for result in results.values():
        passed = [answer.passed.second for _, answer in result.worst_first()]
        assert passed == sorted(passed)
