"""What a comparison says, in sentences: first against answers without training, then against the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrpc.app.compare.scores import Scores, SideScores
from mrpc.app.compare.sides import Both
from mrpc.app.format import render_p_value
from mrpc.core.analysis.statistics import SIGNIFICANT_P

RIVALS = ("majority", "embedding")
"""Baselines that a fine-tuned model has to beat, in the order of the sentences."""


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict.

    Attributes:
        text: the sentence.
        tone: good, note or warn: the colour of its edge.
    """

    text: str
    tone: str = "note"


def one_answer_text(title: str, answer: str) -> str:
    """Say that a model gives one answer, whatever it is asked."""
    return (
        f"{title} answers “{answer}” to every pair, or to nearly every one. It does not tell "
        "pairs apart: its scores are those of always giving this answer."
    )


def one_answer_findings(scores: Scores) -> list[Finding]:
    """Return a warning for each model that gives one answer."""
    return [
        Finding(one_answer_text(name, scores.words[side.only_answer]), "warn")
        for name, side in zip(scores.names, scores.sides, strict=True)
        if side.only_answer is not None
    ]


def baseline_findings(scores: Scores, baselines: Sequence[SideScores], names: Sequence[str]) -> list[Finding]:
    """Compare the second side with some of the baselines, in the order of their names.

    Args:
        scores: of both sides.
        baselines: on the same pairs.
        names: such as "majority".
    """
    found = []
    for name in names:
        for baseline in baselines:
            is_meant = baseline.side.name == f"baseline:{name}"
            if is_meant and baseline.side.name not in {side.side.name for side in scores.sides}:
                found.append(side_finding(Scores(scores.split, Both(baseline, scores.sides.second))))
    return found


def side_finding(scores: Scores) -> Finding:
    """Compare the second side with the first."""
    first, second = scores.sides
    names, difference, counts = scores.names, scores.accuracy_difference, scores.transitions
    is_baseline = first.side.kind == "baseline"
    rival = f"“{names.first.removeprefix('Baseline: ')}”" if is_baseline else names.first
    interval = f"95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    gain = (
        f"Against {rival} ({100 * first.metrics['accuracy']:.1f} % right): {100 * difference.value:+.1f} "
        f"points ({interval}); {counts.fixed:,} fixed, {counts.broken:,} broken"
    )
    if "base" in {first.side.kind, second.side.kind}:
        base = names.first if first.side.kind == "base" else names.second
        return Finding(f"{gain}. The classification head of {base} is random, so this proves little.")
    if counts.fixed == counts.broken:
        same = "No answer changed between right and wrong" if counts.fixed == 0 else "Neither gained"
        return Finding(f"{gain}. {same}.")
    p = f"p {'' if scores.mcnemar_p < 0.001 else '= '}{render_p_value(scores.mcnemar_p)}"
    if second.only_answer is not None or first.only_answer is not None:
        return Finding(
            f"{gain} ({p}). One of them gives one answer to every pair, so this is no gain.", "warn"
        )
    word = "gain" if counts.fixed > counts.broken else "loss"
    if scores.mcnemar_p >= SIGNIFICANT_P:
        return Finding(f"{gain}. This {word} may well be luck ({p}).", "warn")
    return Finding(f"{gain}. This {word} is unlikely to be luck ({p}).", "good" if word == "gain" else "warn")
