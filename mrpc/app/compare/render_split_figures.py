"""Charts of two sides on a split, as plotly figures in plain dicts. Left is grey and dashed, right is green.

Colours are names of CSS variables; the browser puts in those of the theme that is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mrpc.app.compare.splits import SideScores, SplitComparison
    from mrpc.core.analysis.calibration import Curve

Figure = dict[str, Any]

LEFT_COLOR = "var(--base)"
RIGHT_COLOR = "var(--tuned)"
GUIDE_COLOR = "var(--quiet)"
MAX_POINTS = 400
HEIGHT = 320


def side_style(place: str) -> dict[str, Any]:
    """Return the colour and dash of a line."""
    return {"color": RIGHT_COLOR, "width": 2.5} if place == "right" else {"color": LEFT_COLOR, "dash": "dash"}


def roc_figure(comparison: SplitComparison) -> Figure | None:
    """Draw both ROC curves; None when only one class is there."""
    curves = [comparison.left.roc, comparison.right.roc]
    return _curves(
        curves,
        ("AUC", "false positive rate", "true positive rate (recall)"),
        guide={"x": [0, 1], "y": [0, 1], "name": "coin"},
        alt="ROC curves. " + _areas("area under the curve", curves),
    )


def precision_recall_figure(comparison: SplitComparison) -> Figure | None:
    """Draw both precision-recall curves; None when only one class is there."""
    curves = [comparison.left.precision_recall, comparison.right.precision_recall]
    share = float(comparison.labels.mean())
    return _curves(
        curves,
        ("AP", "recall", "precision"),
        guide={"x": [0, 1], "y": [share, share], "name": "always “equivalent”"},
        alt="Precision-recall curves. " + _areas("average precision", curves),
    )


def reliability_figure(comparison: SplitComparison) -> Figure:
    """Draw what was said against what was so; bigger marks stand for more pairs."""
    traces: list[dict[str, Any]] = [_guide({"x": [0, 1], "y": [0, 1], "name": "perfect"})]
    for place, side in (("left", comparison.left), ("right", comparison.right)):
        bins = side.reliability
        most = max(item.num_pairs for item in bins)
        sizes = [6 + 16 * (item.num_pairs / most) ** 0.5 for item in bins]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{place}: ECE {100 * side.ece:.1f} %",
                "x": [item.mean_probability for item in bins],
                "y": [item.share_equivalent for item in bins],
                "text": [f"{item.num_pairs} pairs" for item in bins],
                "hovertemplate": "said %{x:.2f}, was %{y:.2f}<br>%{text}<extra>" + place + "</extra>",
                "line": side_style(place),
                "marker": {
                    "size": sizes,
                    "symbol": "circle" if place == "right" else "circle-open",
                    "color": RIGHT_COLOR if place == "right" else LEFT_COLOR,
                },
            }
        )
    layout = _square("probability of “equivalent”, as said", "share that is equivalent")
    left, right = comparison.left.ece, comparison.right.ece
    alt = f"Reliability. Expected calibration error {left:.3f} on the left, {right:.3f} on the right."
    return {"data": traces, "layout": layout, "alt": alt}


def threshold_figure(comparison: SplitComparison, threshold: float) -> Figure:
    """Draw F1 and accuracy of both sides against the threshold, with the one that is set."""
    grid = np.linspace(0, 1, 101)
    traces = []
    for place, side in (("left", comparison.left), ("right", comparison.right)):
        f1, accuracy = side.sweep(grid)
        for name, values, dash in (("F1", f1, "solid"), ("accuracy", accuracy, "dot")):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{name}, {place}",
                    "x": grid.round(2).tolist(),
                    "y": values.round(4).tolist(),
                    "line": {"color": RIGHT_COLOR if place == "right" else LEFT_COLOR, "dash": dash},
                    "hovertemplate": f"{name}, {place}: %{{y:.3f}} at %{{x:.2f}}<extra></extra>",
                }
            )
    line = {"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper"}
    layout = {
        "height": HEIGHT,
        "xaxis": {"title": {"text": "threshold"}, "range": [0, 1]},
        "yaxis": {"range": [0, 1.02]},
        "shapes": [{**line, "line": {"color": GUIDE_COLOR, "width": 1.5}}],
    }
    return {"data": traces, "layout": layout, "alt": f"F1 and accuracy by threshold; set to {threshold:.2f}."}


def ladder_figure(sides: Sequence[tuple[str, SideScores]]) -> Figure:
    """Draw the accuracy of each rung with its 95 % interval, the simplest at the bottom."""
    names = [name for name, _ in sides]
    values = [side.metrics["accuracy"] for _, side in sides]
    intervals = [side.intervals["accuracy"] for _, side in sides]
    colors = ["var(--tuned)" if side.side.kind == "tuned" else "var(--base)" for _, side in sides]
    symbols = ["circle" if side.side.kind == "tuned" else "circle-open" for _, side in sides]
    trace = {
        "type": "scatter",
        "mode": "markers+text",
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
        "xaxis": {"title": {"text": "accuracy, %, with its 95 % interval"}},
        "yaxis": {"type": "category"},
    }
    said = "; ".join(f"{name} {100 * value:.1f} %" for name, value in zip(names, values, strict=True))
    return {"data": [trace], "layout": layout, "alt": f"Accuracy of the ladder: {said}."}


def _curves(
    curves: Sequence[Curve | None], words: tuple[str, str, str], guide: dict[str, Any], alt: str
) -> Figure | None:
    area, x_title, y_title = words
    traces = [_guide(guide)]
    for place, curve in zip(("left", "right"), curves, strict=True):
        if curve is None:
            return None
        rows = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), MAX_POINTS)).round().astype(int))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{place}: {area} {curve.area:.3f}",
                "x": curve.x[rows].round(4).tolist(),
                "y": curve.y[rows].round(4).tolist(),
                "line": side_style(place),
                "hovertemplate": "%{x:.2f}, %{y:.2f}<extra>" + place + "</extra>",
            }
        )
    return {"data": traces, "layout": _square(x_title, y_title), "alt": alt}


def _areas(words: str, curves: Sequence[Curve | None]) -> str:
    areas = [f"{curve.area:.3f}" if curve else "unknown" for curve in curves]
    return f"{words[0].upper()}{words[1:]}: left {areas[0]}, right {areas[1]}."


def _guide(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "line": {"color": GUIDE_COLOR, "width": 1, "dash": "dot"},
        **line,
    }


def _square(x_title: str, y_title: str) -> dict[str, Any]:
    return {
        "height": HEIGHT,
        "xaxis": {"title": {"text": x_title}, "range": [-0.02, 1.02]},
        "yaxis": {"title": {"text": y_title}, "range": [-0.02, 1.04]},
    }
