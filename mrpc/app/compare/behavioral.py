"""The behavioural tests, asked of both sides; what a model answered is kept beside its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.changes import Changes
from mrpc.app.compare.sides import Both, Side
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.behavioral_tests import BehavioralCase, BehavioralTest, make_behavioral_tests
from mrpc.core.model.stored_predictions import PairPredictions
from mrpc.errors import InputError
from mrpc.progress import OnProgress
from mrpc.publish.answers import answers_to_cases

SYMMETRY_TEST = "swapped order"


@dataclass(frozen=True)
class CaseAnswer:
    """One case with what both sides say.

    Attributes:
        case: the pair, and what it was before.
        probs: of "equivalent", of both sides.
        before: the same before the change; None where nothing was before.
        passed: whether each side does as expected.
    """

    case: BehavioralCase
    probs: Both[float]
    before: Both[float | None]
    passed: Both[bool]


@dataclass(frozen=True)
class TestResult:
    """One behavioural test, scored."""

    __test__ = False  # no test of this project

    test: BehavioralTest
    answers: list[CaseAnswer]

    @property
    def num_cases(self) -> int:
        """Cases of the test."""
        return len(self.answers)

    @property
    def num_passed(self) -> Both[int]:
        """Cases in which each side does as expected."""
        return Both(
            sum(answer.passed.first for answer in self.answers),
            sum(answer.passed.second for answer in self.answers),
        )

    @property
    def rates(self) -> Both[float]:
        """Share of the cases that each side passes."""
        return self.num_passed.map(lambda num: num / self.num_cases)

    @property
    def intervals(self) -> Both[st.Interval]:
        """95 % interval of each rate."""
        return self.num_passed.map(lambda num: st.wilson_interval(num, self.num_cases))

    @property
    def p(self) -> float:
        """Exact p of McNemar's test on the cases that one side alone passes."""
        fixed = sum(answer.passed.second and not answer.passed.first for answer in self.answers)
        broken = sum(answer.passed.first and not answer.passed.second for answer in self.answers)
        return st.mcnemar_p(fixed, broken)

    def worst_first(self) -> list[tuple[int, CaseAnswer]]:
        """Return the cases with their numbers, those that the second side fails first and most clearly."""

        def badness(numbered: tuple[int, CaseAnswer]) -> tuple[bool, float]:
            answer = numbered[1]
            wanted = (
                answer.before.second if self.test.expects == "same" else self.test.expects == "equivalent"
            )
            return answer.passed.second, -abs(answer.probs.second - (wanted or 0.0))

        return sorted(enumerate(self.answers), key=badness)

    def case(self, number: object) -> BehavioralCase:
        """Return a case by its number.

        Raises:
            InputError: when there is no such case.
        """
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < self.num_cases:
            raise InputError(f"There is no case {str(number)[:40]!r}; the test has {self.num_cases}.")
        return self.answers[number].case


def run_behavioral_tests(answers: Answers, changes: Changes, on_progress: OnProgress) -> list[TestResult]:
    """Make the tests from the pairs of a split and ask both sides.

    What they said to the unchanged pairs is taken from the comparison.
    """
    tests = make_behavioral_tests(changes.sentence1, changes.sentence2)
    cases = [case for test in tests for case in test.cases]
    pairs = list(zip(changes.sentence1, changes.sentence2, strict=True))
    probs, known = [], []
    for scores in changes.scores.sides:
        said = _ask(answers, scores.side, cases, on_progress)
        probs.append(said.prob_equivalent.tolist())
        known.append(dict(zip(pairs, scores.answers.prob_equivalent.tolist(), strict=True)))
    results, start = [], 0
    for test in tests:
        judged = []
        for number, case in enumerate(test.cases, start=start):
            after = Both(probs[0][number], probs[1][number])
            before = Both(*(said.get(case.before) if case.before else None for said in known))
            passed = Both(*(_passes(test, *both) for both in zip(after, before, strict=True)))
            judged.append(CaseAnswer(case, after, before, passed))
        results.append(TestResult(test, judged))
        start += len(test.cases)
    return results


def find_result(results: Sequence[TestResult], name: object) -> TestResult:
    """Return the result of a test by its name.

    Raises:
        InputError: when there is no such test.
    """
    for result in results:
        if result.test.name == name:
            return result
    raise InputError(f"There is no behavioural test called {str(name)[:40]!r}.")


def _ask(
    answers: Answers, side: Side, cases: Sequence[BehavioralCase], on_progress: OnProgress
) -> PairPredictions:
    """Return what a side says to all cases, from its run's folder where it was asked before."""
    sentences = [case.sentence1 for case in cases], [case.sentence2 for case in cases]

    def ask() -> PairPredictions:
        return answers.ask(side, *sentences, on_progress=on_progress)

    return ask() if side.run is None else answers_to_cases(side.run, side.weights_sha256, cases, ask)


def _passes(test: BehavioralTest, prob: float, prob_before: float | None) -> bool:
    return test.passes(prob > 0.5, None if prob_before is None else prob_before > 0.5)
