"""How sides, their answers and their scores look: pure functions to HTML, everything escaped."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from mrpc.app.format import render_percent

if TYPE_CHECKING:
    from mrpc.app.compare.one_pair import PairAnswer
    from mrpc.app.compare.sides import Side
    from mrpc.app.compare.splits import SideScores, SplitComparison
    from mrpc.core.analysis.statistics import Confusion, Interval

LABEL_WORDS = {"equivalent": "Equivalent", "not_equivalent": "Not equivalent"}
HEAD_NOTE = "Before training. Its classification head is random, so this answer is a coin with a bias."
METRIC_WORDS = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "log_loss": "Log loss",
}


def render_note(message: str, kind: str = "plain") -> str:
    """Draw a sentence on its own; kind is plain, warn or bad."""
    role = "alert" if kind == "bad" else "note"
    return f'<p class="cmp-note cmp-{kind}" role="{role}">{html.escape(message)}</p>'


def render_progress(what: str, num_done: int, num_total: int) -> str:
    """Draw how far some work is."""
    percent = 100 * num_done / max(num_total, 1)
    return (
        f'<div class="cmp-progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:.0f}"><i style="width:{percent:.1f}%"></i></div>'
        f'<p class="cmp-quiet">{html.escape(what)}: {num_done:,} of {num_total:,}</p>'
    )


def render_answers(left: PairAnswer, right: PairAnswer, label: int | None) -> str:
    """Draw what both sides say to a pair, side by side, and what the corpus says if it is known."""
    gold = "" if label is None else f" The corpus says: {LABEL_WORDS[_name(label)].lower()}."
    change = f"{_percent(left.prob_equivalent)} → {_percent(right.prob_equivalent)}"
    same = left.label == right.label
    words = "Both sides agree" if same else "The answer changes"
    summary = f"{words}: the probability of “equivalent” goes {change}.{gold}"
    return (
        '<div class="cmp-sides">'
        f"{_render_answer(left, 'left', label)}{_render_answer(right, 'right', label)}</div>"
        f'<p class="cmp-summary" aria-live="polite">{html.escape(summary)}</p>'
    )


def _render_answer(answer: PairAnswer, place: str, label: int | None) -> str:
    side = answer.side
    percent = 100 * answer.prob_equivalent
    verdict = ""
    if label is not None:
        right = answer.label == _name(label)
        verdict = (
            f'<span class="cmp-{"correct" if right else "wrong"}">{"✓ right" if right else "✗ wrong"}</span>'
        )
    weights = answer.weights_sha256[:12]
    facts = [("checkpoint", side.checkpoint), ("step", side.step), ("weights", weights)]
    facts.append(("time", f"{answer.latency_ms:.0f} ms" if answer.latency_ms >= 1 else "< 1 ms"))
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(str(value))}</dd></div>"
        for name, value in facts
        if value not in (None, "")
    )
    note = f'<p class="cmp-quiet">{HEAD_NOTE}</p>' if side.kind == "base" else ""
    return (
        f'<article class="cmp-side cmp-{place}"><h3>{render_side_name(side, place)}</h3>'
        f'<p class="cmp-label">{LABEL_WORDS[answer.label]} {verdict}</p>'
        f'<div class="cmp-meter" role="meter" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:.1f}" aria-label="probability of equivalent, {place} side">'
        f'<i style="width:{percent:.2f}%"></i></div>'
        f'<p class="cmp-prob"><b>{percent:.1f} %</b> “equivalent”</p>{note}<dl>{rows}</dl></article>'
    )


def render_side_name(side: Side, place: str) -> str:
    """Draw the name of a side with its colour and shape: left hollow and grey, right full and green."""
    words = {"base": "Base", "tuned": "Fine-tuned"}.get(side.kind, "")
    title = f"{words}: {side.title}" if words and side.kind == "tuned" else words or side.title
    title = html.escape(title[:1].upper() + title[1:])
    return f'<span class="cmp-swatch cmp-{place}" aria-hidden="true"></span>{title}'


def render_scoreboard(comparison: SplitComparison) -> str:
    """Draw the short version of a split: both sides' accuracy, F1 and confusion matrix, and the verdict."""
    num = len(comparison.labels)
    left, right = comparison.left, comparison.right
    share = float(comparison.labels.mean())
    prior = max(share, 1 - share)
    always = "equivalent" if share >= 0.5 else "not equivalent"
    return (
        f'<section class="cmp-board"><h3>On {comparison.split}: {num:,} pairs</h3>'
        f'<p class="cmp-verdict">{html.escape(comparison.verdict)}</p>'
        f'<div class="cmp-sides">{_render_scores(left, "left")}{_render_scores(right, "right")}</div>'
        f'<p class="cmp-quiet">Always answering “{always}” would be right for {_percent(prior)} of these '
        "pairs. The matrices count pairs: rows are what the corpus says, columns what "
        "the model says.</p></section>"
    )


def _render_scores(scores: SideScores, place: str) -> str:
    figures = "".join(
        f"<div><dt>{METRIC_WORDS[name]}</dt><dd><b>{render_percent(scores.metrics[name])}</b> "
        f"{render_interval(scores.intervals[name])}</dd></div>"
        for name in ("accuracy", "f1")
    )
    weights = f"weights {scores.side.weights_sha256[:12]}" if scores.side.weights_sha256 else ""
    step = f"step {scores.side.step}" if scores.side.step is not None else ""
    facts = " · ".join(fact for fact in (scores.side.checkpoint, step, weights) if fact)
    return (
        f'<article class="cmp-side cmp-{place}"><h3>{render_side_name(scores.side, place)}</h3>'
        f'<p class="cmp-quiet">{html.escape(facts)}</p><dl class="cmp-figures">{figures}</dl>'
        f"{render_confusion(scores.confusion, place)}</article>"
    )


def render_interval(interval: Interval) -> str:
    """Write a 95 % interval of a share in percent."""
    if math.isnan(interval.low):
        return ""
    low, high = render_percent(interval.low), render_percent(interval.high)
    return f'<span class="cmp-interval" title="95 % interval">{low} – {high}</span>'


def render_confusion(cells: Confusion, place: str) -> str:
    """Draw a confusion matrix as a table, darker where more pairs are."""
    most = max(max(cells), 1)

    def cell(num: int, right: bool) -> str:
        mark = "✓" if right else "✗"
        return f'<td style="--share:{num / most:.3f}">{num:,} <small aria-hidden="true">{mark}</small></td>'

    rows = (
        ("not equivalent", cell(cells.true_negative, True) + cell(cells.false_positive, False)),
        ("equivalent", cell(cells.false_negative, False) + cell(cells.true_positive, True)),
    )
    body = "".join(f'<tr><th scope="row">{name}</th>{both}</tr>' for name, both in rows)
    return (
        f'<table class="cmp-confusion cmp-{place}">'
        f'<caption class="cmp-hidden">Confusion matrix, {place} side</caption><thead><tr><td></td>'
        '<th scope="col">says not eq.</th><th scope="col">says eq.</th></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _name(label: int) -> str:
    return "equivalent" if label else "not_equivalent"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
