"""The behavioural checks, asked of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.changes import SplitPairs
from mrpc.app.compare.sides import Side
from mrpc.app.progress import Report, ShouldStop
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.behavioral_tests import BehavioralCase, BehavioralTest, make_behavioral_tests
from mrpc.core.model.stored_predictions import PairPredictions


@dataclass(frozen=True)
class ProbeAnswer:
    """One case with what both sides say.

    Attributes:
        case: the pair, and what it was before.
        left: probability of "equivalent" on the left; ``right`` on the right.
        left_before: the same before the change; None where nothing was before. ``right_before`` likewise.
        left_passed: whether the left side does as expected; ``right_passed`` the right.
    """

    case: BehavioralCase
    left: float
    right: float
    left_before: float | None
    right_before: float | None
    left_passed: bool
    right_passed: bool


@dataclass(frozen=True)
class ProbeResult:
    """One probe, scored."""

    probe: BehavioralTest
    answers: list[ProbeAnswer]

    @property
    def num_cases(self) -> int:
        """Cases of the probe."""
        return len(self.answers)

    @property
    def num_left(self) -> int:
        """Cases in which the left side does as expected."""
        return sum(answer.left_passed for answer in self.answers)

    @property
    def num_right(self) -> int:
        """Cases in which the right side does as expected."""
        return sum(answer.right_passed for answer in self.answers)

    @property
    def left_interval(self) -> st.Interval:
        """95 % interval of the left pass rate."""
        return st.wilson_interval(self.num_left, self.num_cases)

    @property
    def right_interval(self) -> st.Interval:
        """95 % interval of the right pass rate."""
        return st.wilson_interval(self.num_right, self.num_cases)

    @property
    def p(self) -> float:
        """Exact p of McNemar's test on the cases that one side alone passes."""
        fixed = sum(a.right_passed and not a.left_passed for a in self.answers)
        broken = sum(a.left_passed and not a.right_passed for a in self.answers)
        return st.mcnemar_p(fixed, broken)


def run_probes(
    answers: Answers, pairs: SplitPairs, left: Side, right: Side, report: Report, should_stop: ShouldStop
) -> list[ProbeResult]:
    """Make the suite from the pairs of a split and ask both sides.

    What they said to the unchanged pairs is taken from the comparison.
    """
    probes = make_behavioral_tests(pairs.sentence1, pairs.sentence2)
    sentence1 = [case.sentence1 for probe in probes for case in probe.cases]
    sentence2 = [case.sentence2 for probe in probes for case in probe.cases]
    known = list(zip(pairs.sentence1, pairs.sentence2, strict=True))
    said = []
    for side, scores in ((left, pairs.comparison.left), (right, pairs.comparison.right)):
        now = answers.ask(side, sentence1, sentence2, report=report, should_stop=should_stop)
        said.append((now, dict(zip(known, scores.answers.prob_equivalent.tolist(), strict=True))))
    results, start = [], 0
    for probe in probes:
        rows = range(start, start + len(probe.cases))
        start = rows.stop
        results.append(ProbeResult(probe, _judge(probe, rows, said)))
    return results


def _judge(
    probe: BehavioralTest,
    rows: range,
    said: Sequence[tuple[PairPredictions, dict[tuple[str, str], float]]],
) -> list[ProbeAnswer]:
    judged = []
    now = [answers.prob_equivalent[rows.start : rows.stop] for answers, _ in said]
    for number, case in enumerate(probe.cases):
        after = [float(probabilities[number]) for probabilities in now]
        before = [known.get(case.before) if case.before else None for _, known in said]
        passed = [_passes(probe, *both) for both in zip(after, before, strict=True)]
        judged.append(ProbeAnswer(case, after[0], after[1], before[0], before[1], passed[0], passed[1]))
    return judged


def _passes(probe: BehavioralTest, after: float, before: float | None) -> bool:
    if probe.expects == "same":
        assert before is not None, "the unchanged pair is one of the split"
        return (after > 0.5) == (before > 0.5)
    return (after > 0.5) == (probe.expects == "equivalent")


def flip_share(result: ProbeResult) -> tuple[float, float]:
    """Return the share of pairs whose answer flips, on the left and on the right."""
    num = max(result.num_cases, 1)
    return 1 - result.num_left / num, 1 - result.num_right / num


def worst_cases(result: ProbeResult) -> list[ProbeAnswer]:
    """Return the cases, those that the right side fails first and most clearly."""

    def badness(answer: ProbeAnswer) -> tuple[bool, float]:
        if result.probe.expects == "same":
            distance = abs(answer.right - (answer.right_before or 0.0))
        else:
            distance = abs(answer.right - (result.probe.expects == "equivalent"))
        return answer.right_passed, -distance

    return sorted(result.answers, key=badness)
