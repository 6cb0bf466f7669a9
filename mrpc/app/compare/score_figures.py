"""Charts of two sides on a split, as plain plotly figures, and the table of baselines.

The first side is grey and dashed, the second green. Colours are names of CSS variables; the browser puts in
those of the theme that is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mrpc.app.compare.sides import Both, side_names
from mrpc.app.format import Table, column, plotly_text, render_count, table

if TYPE_CHECKING:
    from mrpc.app.compare.scores import Scores, SideScores
    from mrpc.app.compare.sides import Side
    from mrpc.core.analysis.calibration import Curve

Figure = dict[str, Any]

COLORS = Both("var(--base)", "var(--tuned)")
SYMBOLS = Both("circle-open", "circle")
DASHES = Both("dash", "solid")
GUIDE_COLOR = "var(--quiet)"
MAX_POINTS = 400
HEIGHT = 320


def roc_figure(scores: Scores) -> Figure | None:
    """Draw both ROC curves; None when only one class is there."""
    return _curves(
        scores,
        scores.sides.map(lambda side: side.roc),
        ("AUC", "false positive rate", "true positive rate (recall)"),
        guide={"x": [0, 1], "y": [0, 1], "name": "chance"},
        alt="ROC curves, area under the curve",
    )


def precision_recall_figure(scores: Scores) -> Figure | None:
    """Draw both precision-recall curves; None when only one class is there."""
    share = float(scores.labels.mean())
    return _curves(
        scores,
        scores.sides.map(lambda side: side.precision_recall),
        ("AP", "recall", "precision"),
        guide={"x": [0, 1], "y": [share, share], "name": f"always “{plotly_text(scores.words[1])}”"},
        alt="Precision-recall curves, average precision",
    )


def reliability_figure(scores: Scores) -> Figure:
    """Draw what was said against what was so; bigger marks stand for more pairs."""
    traces: list[dict[str, Any]] = [_guide({"x": [0, 1], "y": [0, 1], "name": "perfect"})]
    names = _score_names(scores)
    for name, side, color, symbol, dash in zip(names, scores.sides, COLORS, SYMBOLS, DASHES, strict=True):
        bins = side.reliability
        most = max(item.num_pairs for item in bins)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "cliponaxis": False,
                "name": f"{name}: ECE {100 * side.ece:.1f} %",
                "x": [item.mean_probability for item in bins],
                "y": [item.share_equivalent for item in bins],
                "text": [render_count(item.num_pairs, "pair") for item in bins],
                "hovertemplate": "said %{x:.2f}, was %{y:.2f}<br>%{text}<extra>" + name + "</extra>",
                "line": {"color": color, "dash": dash},
                "marker": {
                    "size": [6 + 16 * (item.num_pairs / most) ** 0.5 for item in bins],
                    "symbol": symbol,
                    "color": color,
                },
            }
        )
    one = plotly_text(scores.words[1])
    layout = _square(f"probability of “{one}”, as said", f"share that is {one}")
    said = ", ".join(f"{name} {side.ece:.3f}" for name, side in zip(names, scores.sides, strict=True))
    return {"data": traces, "layout": layout, "alt": f"Reliability. Expected calibration error: {said}."}


def threshold_figure(scores: Scores, threshold: float) -> Figure:
    """Draw F1 and accuracy of both sides against the threshold, with the one that is set."""
    grid = np.linspace(0, 1, 101)
    traces = []
    for name, side, color in zip(_score_names(scores), scores.sides, COLORS, strict=True):
        f1, accuracy = side.sweep(grid)
        for metric, values, dash in (("F1", f1, "solid"), ("accuracy", accuracy, "dot")):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{metric}, {name}",
                    "x": grid.round(2).tolist(),
                    "y": values.round(4).tolist(),
                    "line": {"color": color, "dash": dash},
                    "hovertemplate": f"{metric}: %{{y:.3f}} at %{{x:.2f}}<extra>{name}</extra>",
                }
            )
    line = {"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper"}
    layout = {
        "height": HEIGHT,
        "xaxis": {"title": {"text": "threshold"}, "range": [0, 1]},
        "yaxis": {"title": {"text": "F1, accuracy"}, "range": [0, 1.02]},
        "shapes": [{**line, "line": {"color": GUIDE_COLOR, "width": 1.5}}],
    }
    return {"data": traces, "layout": layout, "alt": f"F1 and accuracy by threshold; set to {threshold:.2f}."}


def baselines_figure(sides: Sequence[tuple[str, SideScores]]) -> Figure:
    """Draw the accuracy of baselines and models with its 95 % interval, the simplest at the bottom."""
    names = [name for name, _ in sides]
    values = [side.metrics["accuracy"] for _, side in sides]
    intervals = [side.intervals["accuracy"] for _, side in sides]
    colors = ["var(--tuned)" if side.side.kind == "tuned" else "var(--base)" for _, side in sides]
    symbols = ["circle" if side.side.kind == "tuned" else "circle-open" for _, side in sides]
    trace = {
        "type": "scatter",
        "mode": "markers+text",
        "cliponaxis": False,
        "x": [100 * value for value in values],
        "y": ["<br>".join(textwrap.wrap(name, 28)) for name in names],  # leaves room on a phone
        "text": [f"{100 * value:.1f}" for value in values],
        "textposition": "top center",
        "marker": {"color": colors, "size": 11, "symbol": symbols, "line": {"width": 2}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (i.high - value) for i, value in zip(intervals, values, strict=True)],
            "arrayminus": [100 * (value - i.low) for i, value in zip(intervals, values, strict=True)],
            "color": GUIDE_COLOR,
            "thickness": 1.2,
        },
        "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
        "showlegend": False,
    }
    layout = {
        "height": 90 + 46 * len(names),
        "xaxis": {"title": {"text": "accuracy, %<br>with its 95 % interval"}},
        "yaxis": {"type": "category"},
    }
    said = "; ".join(f"{name} {100 * value:.1f} %" for name, value in zip(names, values, strict=True))
    return {"data": [trace], "layout": layout, "alt": f"Accuracy of baselines and models: {said}."}


def plot_names(sides: Both[Side]) -> Both[str]:
    """Return what both sides are called in charts."""
    return side_names(sides).map(plotly_text)


def _score_names(scores: Scores) -> Both[str]:
    return plot_names(scores.sides.map(lambda side: side.side))


def _curves(
    scores: Scores,
    curves: Both[Curve | None],
    words: tuple[str, str, str],
    guide: dict[str, object],
    alt: str,
) -> Figure | None:
    area, x_title, y_title = words
    traces, areas = [_guide(guide)], []
    for name, curve, color, dash in zip(_score_names(scores), curves, COLORS, DASHES, strict=True):
        if curve is None:
            return None
        rows = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), MAX_POINTS)).round().astype(int))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name}: {area} {curve.area:.3f}",
                "x": curve.x[rows].round(4).tolist(),
                "y": curve.y[rows].round(4).tolist(),
                "line": {"color": color, "dash": dash, "width": 2.5 if dash == "solid" else 2},
                "hovertemplate": "%{x:.2f}, %{y:.2f}<extra>" + name + "</extra>",
            }
        )
        areas.append(f"{name} {curve.area:.3f}")
    return {"data": traces, "layout": _square(x_title, y_title), "alt": f"{alt}: {', '.join(areas)}."}


def _guide(line: dict[str, object]) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines",
        "meta": "guide",
        "hoverinfo": "skip",
        "line": {"color": GUIDE_COLOR, "width": 1, "dash": "dot"},
        **line,
    }


def _square(x_title: str, y_title: str) -> dict[str, object]:
    return {
        "height": HEIGHT,
        "xaxis": {"title": {"text": x_title}, "range": [-0.02, 1.02]},
        "yaxis": {"title": {"text": y_title}, "range": [-0.02, 1.04]},
    }


def baselines_table(named: Sequence[tuple[str, SideScores]]) -> Table:
    """Return baselines and models with their scores and intervals."""
    columns = [column("name", "Who")]
    for metric, title in (("accuracy", "Accuracy, %"), ("f1", "F1, %")):
        columns.append(column(metric, title, "percent"))
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
        for name, scores in named
    ]
    return table(columns, rows, "Baselines and both sides", "baselines.csv")
