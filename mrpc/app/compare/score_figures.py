"""Charts of two sides on a split and in behavioural tests, as plain plotly figures.

The first side is grey and dashed, the second green. Colours are names of CSS variables; the browser puts in
those of the theme that is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mrpc.app.compare.sides import Both, side_names
from mrpc.app.format import plotly_text, render_count

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import TestResult
    from mrpc.app.compare.scores import Scores, SideScores
    from mrpc.app.compare.sides import Side
    from mrpc.core.analysis.calibration import Curve
    from mrpc.core.analysis.statistics import Interval

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
    names = scores.names.map(plotly_text)
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
    for name, side, color in zip(scores.names.map(plotly_text), scores.sides, COLORS, strict=True):
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
    values = [side.metrics["accuracy"] for _, side in sides]
    tuned = [side.side.kind == "tuned" for _, side in sides]
    trace = _dots(
        values,
        [side.intervals["accuracy"] for _, side in sides],
        ["<br>".join(textwrap.wrap(name, 28)) for name, _ in sides],  # leaves room on a phone
        [COLORS.second if is_tuned else COLORS.first for is_tuned in tuned],
        [SYMBOLS.second if is_tuned else SYMBOLS.first for is_tuned in tuned],
        "%{y}: %{x:.1f} %<extra></extra>",
    )
    trace |= {
        "mode": "markers+text",
        "text": [f"{100 * value:.1f}" for value in values],
        "textposition": "top center",
        "showlegend": False,
    }
    trace["error_x"] |= {"color": GUIDE_COLOR, "thickness": 1.2}
    layout = {
        "height": 90 + 46 * len(sides),
        "xaxis": {"title": {"text": "accuracy, %<br>with its 95 % interval"}},
        "yaxis": {"type": "category"},
    }
    said = "; ".join(f"{name} {100 * value:.1f} %" for (name, _), value in zip(sides, values, strict=True))
    return {"data": [trace], "layout": layout, "alt": f"Accuracy of baselines and models: {said}."}


def tests_figure(side_names: Both[str], results: Sequence[TestResult]) -> Figure:
    """Draw both pass rates of each behavioural test with their 95 % intervals."""
    shown = results[::-1]
    names = [result.test.name for result in shown]
    traces = []
    for place, name in enumerate(side_names):
        trace = _dots(
            [[*result.rates][place] for result in shown],
            [[*result.intervals][place] for result in shown],
            [at + (0.14, -0.14)[place] for at in range(len(names))],
            [*COLORS][place],
            [*SYMBOLS][place],
            "%{customdata}: %{x:.0f} %<extra>" + name + "</extra>",
        )
        trace["marker"]["line"]["color"] = trace["marker"]["color"]
        trace["error_x"]["width"] = 3
        traces.append(trace | {"name": name, "customdata": names})
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names}
    layout = {
        "height": 90 + 52 * len(names),
        "xaxis": {"title": {"text": "passed, %<br>with 95 % intervals"}, "range": [-2, 102]},
        "yaxis": {**ticks, "zeroline": False},
    }
    said = "; ".join(
        f"{result.test.name} {100 * result.rates.first:.0f} and {100 * result.rates.second:.0f} %"
        for result in results
    )
    alt = f"Behavioural tests passed by {side_names.first} and by {side_names.second}: {said}."
    return {"data": traces, "layout": layout, "alt": alt}


def _dots(
    values: Sequence[float],
    intervals: Sequence[Interval],
    places: Sequence[float] | Sequence[str],
    color: str | list[str],
    symbol: str | list[str],
    hover: str,
) -> Figure:
    """Return a trace of shares in percent, each with its interval, at their places on the y axis."""
    return {
        "type": "scatter",
        "mode": "markers",
        "cliponaxis": False,
        "x": [round(100 * value, 2) for value in values],
        "y": list(places),
        "marker": {"color": color, "symbol": symbol, "size": 11, "line": {"width": 2}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (i.high - value) for i, value in zip(intervals, values, strict=True)],
            "arrayminus": [100 * (value - i.low) for i, value in zip(intervals, values, strict=True)],
            "color": color,
        },
        "hovertemplate": hover,
    }


def plot_names(sides: Both[Side]) -> Both[str]:
    """Return what both sides are called in charts."""
    return side_names(sides).map(plotly_text)


def _curves(
    scores: Scores,
    curves: Both[Curve | None],
    words: tuple[str, str, str],
    guide: dict[str, object],
    alt: str,
) -> Figure | None:
    area, x_title, y_title = words
    traces, areas = [_guide(guide)], []
    for name, curve, color, dash in zip(scores.names.map(plotly_text), curves, COLORS, DASHES, strict=True):
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
