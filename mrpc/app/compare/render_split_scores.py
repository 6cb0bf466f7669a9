"""The numbers of a split: scores of both sides with intervals, calibration, thresholds. HTML and tables."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.compare.render_sides import METRIC_WORDS, render_confusion, render_side_name
from mrpc.app.format import render_percent
from mrpc.app.tables import Table, column, table

if TYPE_CHECKING:
    from mrpc.app.compare.judging import Judgement, Judgements
    from mrpc.app.compare.splits import SplitComparison
    from mrpc.core.analysis.statistics import Confusion, Difference, Interval

METRIC_HELP = {
    "accuracy": "share of right answers",
    "f1": "balance of precision and recall",
    "precision": "how often “equivalent” was right",
    "recall": "how many equivalent pairs were found",
    "log_loss": "mean surprise in nats; lower is better, 0.693 is a coin",
    "ece": "gap between probabilities and what is so; lower is better",
}


def render_verdict(comparison: SplitComparison) -> str:
    """Say first what changed, in a sentence, and then how large and how sure."""
    difference = comparison.accuracy_difference
    points = f"{100 * difference.value:+.1f}"
    words = (
        f"On the {len(comparison.labels):,} pairs of {comparison.split} accuracy changes by {points} points "
        f"from left to right (95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f})."
    )
    return (
        f'<p class="cmp-verdict">{html.escape(comparison.verdict)}</p>'
        f'<p class="cmp-quiet">{html.escape(words)} The p-value is McNemar’s exact test: a coin is thrown '
        "for each pair that changed.</p>"
    )


def render_score_table(comparison: SplitComparison) -> str:
    """Draw every metric of both sides with its interval, and the paired differences."""
    left, right = comparison.left, comparison.right
    differences = {"accuracy": comparison.accuracy_difference, "f1": comparison.f1_difference}
    rows = []
    for name, words in METRIC_WORDS.items():
        cells = "".join(
            f"<td><b>{_value(name, side.metrics[name])}</b> {_interval(name, side.intervals[name])}</td>"
            for side in (left, right)
        )
        rows.append(_row(name, words, cells, _difference(differences.get(name))))
    ece = "".join(f"<td><b>{_value('ece', side.ece)}</b></td>" for side in (left, right))
    rows.append(_row("ece", "Calibration error", ece, ""))
    heads = [render_side_name(left.side, "left"), render_side_name(right.side, "right"), "difference"]
    return _score_table("Scores of both sides, in percent", heads, "".join(rows), hidden=True)


def render_confusions(comparison: SplitComparison) -> str:
    """Draw both confusion matrices."""
    sides = (("left", comparison.left), ("right", comparison.right))
    matrices = "".join(
        f"<div><h4>{render_side_name(side.side, place)}</h4>{render_confusion(side.confusion, place)}</div>"
        for place, side in sides
    )
    return (
        f'<div class="cmp-matrices">{matrices}</div>'
        '<p class="cmp-quiet">Rows: what the corpus says. Columns: what the model says.</p>'
    )


def render_judgements(comparison: SplitComparison, judgements: Judgements) -> str:
    """Say what validation chose for each side and how that does on the split that is shown."""
    rows = []
    for place, side, judged in (
        ("left", comparison.left, judgements.left),
        ("right", comparison.right, judgements.right),
    ):
        rows.append(
            f'<tr><th scope="row">{render_side_name(side.side, place)}</th>'
            f"<td>{judged.temperature:.2f} <small>{_how_sure(judged)}</small></td>"
            f"<td>{side.metrics['log_loss']:.3f} → {judged.log_loss:.3f}</td>"
            f"<td>{100 * side.ece:.1f} → {100 * judged.ece:.1f}</td>"
            f"<td>{judged.threshold:.2f}</td>"
            f"{_change(side.metrics['f1'], judged.at_threshold.f1)}"
            f"{_change(side.metrics['accuracy'], judged.at_threshold.accuracy)}</tr>"
        )
    same = judgements.chosen_on == judgements.judged_on
    caution = " Both were chosen on these very pairs, so they flatter; test judges them." if same else ""
    heads = ("temperature", "log loss", "calibration error, %", "F1-best threshold", "F1", "accuracy")
    return (
        f"{_score_table('Temperature and threshold', heads, ''.join(rows), hidden=True)}"
        f'<p class="cmp-quiet">A temperature divides the logits so that probabilities mean what they say; it '
        f"changes no answer. Temperature and threshold are chosen on {judgements.chosen_on} and judged on "
        f"{judgements.judged_on}.{caution}</p>"
    )


def render_at_threshold(threshold: float, left: Confusion, right: Confusion) -> str:
    """Draw the scores of both sides when everything above a threshold is called equivalent."""
    rows = []
    for place, cells in (("left", left), ("right", right)):
        values = (cells.accuracy, cells.f1, cells.precision, cells.recall)
        numbers = "".join(f"<td>{render_percent(value)}</td>" for value in values)
        rows.append(f'<tr><th scope="row">{place}</th>{numbers}</tr>')
    heads = [METRIC_WORDS[name] for name in ("accuracy", "f1", "precision", "recall")]
    return _score_table(f"Scores in percent with “equivalent” above {threshold:.2f}", heads, "".join(rows))


def ladder_table(rungs: list[tuple[str, Any]]) -> Table:
    """Return the ladder of baselines as a table."""
    columns = [column("name", "Who")]
    for metric in ("accuracy", "f1"):
        columns.append(column(metric, METRIC_WORDS[metric], "percent"))
        columns.append(column(f"{metric}_low", "from", "percent", help="lower end of the 95 % interval"))
        columns.append(column(f"{metric}_high", "to", "percent", help="upper end of the 95 % interval"))
    columns.append(column("log_loss", "Log loss", "number", digits=3))
    rows = [
        {
            "name": name,
            **{metric: scores.metrics[metric] for metric in ("accuracy", "f1", "log_loss")},
            **{f"{metric}_low": scores.intervals[metric].low for metric in ("accuracy", "f1")},
            **{f"{metric}_high": scores.intervals[metric].high for metric in ("accuracy", "f1")},
        }
        for name, scores in rungs
    ]
    return table(columns, rows, "Baselines and both sides", "ladder.csv")


def _score_table(caption: str, heads: Sequence[str], rows: str, hidden: bool = False) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    style = ' class="cmp-hidden"' if hidden else ""
    return (
        f'<div class="cmp-table-scroll"><table class="cmp-scores"><caption{style}>{caption}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _how_sure(judged: Judgement) -> str:
    if judged.is_at_limit:
        return "the limit: 50 % for every pair would be best"
    if judged.temperature > 1.05:
        return "too sure of itself"
    return "too shy" if judged.temperature < 0.95 else "fine"


def _change(before: float, after: float) -> str:
    return f"<td>{render_percent(before)} → {render_percent(after)}</td>"


def _row(name: str, words: str, cells: str, difference: str) -> str:
    title = f'<th scope="row">{words} <small>{METRIC_HELP[name]}</small></th>'
    return f"<tr>{title}{cells}<td>{difference}</td></tr>"


def _value(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "log_loss" else render_percent(value)


def _interval(name: str, interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return (
        f'<span class="cmp-interval" title="95 % interval">{_value(name, interval.low)} – '
        f"{_value(name, interval.high)}</span>"
    )


def _difference(difference: Difference | None) -> str:
    if difference is None or math.isnan(difference.low):
        return ""
    low, high = 100 * difference.low, 100 * difference.high
    return (
        f"<b>{100 * difference.value:+.1f}</b> "
        f'<span class="cmp-interval" title="95 % interval, paired bootstrap">{low:+.1f} to {high:+.1f}</span>'
    )
