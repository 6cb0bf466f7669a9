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


def figure(traces: list[Figure], height: int, x: Figure, y: Figure, alt: str, **layout: object) -> Figure:
    """Put a figure together; ``alt`` says it to who cannot see it."""
    return {"data": traces, "layout": {"height": height, "xaxis": x, "yaxis": y, **layout}, "alt": alt}


def axis(title: str, **options: object) -> Figure:
    """Return an axis; ``<br>`` breaks its title on a phone."""
    return {"title": {"text": title}, **options}


def ticks(texts: list[str], places: list[str] | list[int]) -> Figure:
    """Return an axis with a text at each place."""
    return {"tickmode": "array", "tickvals": places, "ticktext": texts}


def scatter(name: str, x: object, y: object, hover: str, *, mode: str = "lines", **options: object) -> Figure:
    """Return a trace of lines, markers or both."""
    return {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, "hovertemplate": hover, **options}


def roc_figure(scores: Scores) -> Figure | None:
    """Draw both ROC curves; None when only one class is there."""
    return _curves(
        scores,
        scores.sides.map(lambda side: side.roc),
        ("AUC", "false positive rate", "true positive rate (recall)"),
        guide=_guide([0, 1], "chance"),
        alt="ROC curves, area under the curve",
    )


def precision_recall_figure(scores: Scores) -> Figure | None:
    """Draw both precision-recall curves; None when only one class is there."""
    share = float(scores.labels.mean())
    return _curves(
        scores,
        scores.sides.map(lambda side: side.precision_recall),
        ("AP", "recall", "precision"),
        guide=_guide([share, share], f"always “{plotly_text(scores.words[1])}”"),
        alt="Precision-recall curves, average precision",
    )


def reliability_figure(scores: Scores) -> Figure:
    """Draw what was said against what was so; bigger marks stand for more pairs."""
    traces = [_guide([0, 1], "perfect")]
    names = scores.names.map(plotly_text)
    for name, side, color, symbol, dash in zip(names, scores.sides, COLORS, SYMBOLS, DASHES, strict=True):
        bins = side.reliability
        most = max(item.num_pairs for item in bins)
        traces.append(
            scatter(
                f"{name}: ECE {100 * side.ece:.1f} %",
                [item.mean_probability for item in bins],
                [item.share_equivalent for item in bins],
                "said %{x:.2f}, was %{y:.2f}<br>%{text}<extra>" + name + "</extra>",
                mode="lines+markers",
                cliponaxis=False,
                text=[render_count(item.num_pairs, "pair") for item in bins],
                line={"color": color, "dash": dash},
                marker={
                    "size": [6 + 16 * (item.num_pairs / most) ** 0.5 for item in bins],
                    "symbol": symbol,
                    "color": color,
                },
            )
        )
    one = plotly_text(scores.words[1])
    said = ", ".join(f"{name} {side.ece:.3f}" for name, side in zip(names, scores.sides, strict=True))
    alt = f"Reliability. Expected calibration error: {said}."
    return _square(traces, f"probability of “{one}”, as said", f"share that is {one}", alt)


def threshold_figure(scores: Scores, threshold: float) -> Figure:
    """Draw F1 and accuracy of both sides against the threshold, with the one that is set."""
    grid = np.linspace(0, 1, 101)
    traces = []
    for name, side, color in zip(scores.names.map(plotly_text), scores.sides, COLORS, strict=True):
        f1, accuracy = side.sweep(grid)
        for metric, values, dash in (("F1", f1, "solid"), ("accuracy", accuracy, "dot")):
            hover = f"{metric}: %{{y:.3f}} at %{{x:.2f}}<extra>{name}</extra>"
            line = {"color": color, "dash": dash}
            curve = f"{metric}, {name}"
            traces.append(scatter(curve, grid.round(2).tolist(), values.round(4).tolist(), hover, line=line))
    at = {"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper"}
    at["line"] = {"color": GUIDE_COLOR, "width": 1.5}
    x, y = axis("threshold", range=[0, 1]), axis("F1, accuracy", range=[0, 1.02])
    alt = f"F1 and accuracy by threshold; set to {threshold:.2f}."
    return figure(traces, HEIGHT, x, y, alt, shapes=[at])


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
    said = "; ".join(f"{name} {100 * value:.1f} %" for (name, _), value in zip(sides, values, strict=True))
    x, y = axis("accuracy, %<br>with its 95 % interval"), {"type": "category"}
    return figure([trace], 90 + 46 * len(sides), x, y, f"Accuracy of baselines and models: {said}.")


def tests_figure(side_names: Both[str], results: Sequence[TestResult]) -> Figure:
    """Draw both pass rates of each behavioural test with their 95 % intervals."""
    shown = results[::-1]
    names = [result.test.name for result in shown]
    traces = []
    rates = Both([result.rates.first for result in shown], [result.rates.second for result in shown])
    intervals = Both(
        [result.intervals.first for result in shown], [result.intervals.second for result in shown]
    )
    of_sides = zip(side_names, rates, intervals, COLORS, SYMBOLS, (0.14, -0.14), strict=True)
    for name, values, ranges, color, symbol, shift in of_sides:
        places = [at + shift for at in range(len(names))]
        hover = "%{customdata}: %{x:.0f} %<extra>" + name + "</extra>"
        trace = _dots(values, ranges, places, color, symbol, hover)
        trace["marker"]["line"]["color"] = trace["marker"]["color"]
        trace["error_x"]["width"] = 3
        traces.append(trace | {"name": name, "customdata": names})
    said = "; ".join(
        f"{result.test.name} {100 * result.rates.first:.0f} and {100 * result.rates.second:.0f} %"
        for result in results
    )
    x = axis("passed, %<br>with 95 % intervals", range=[-2, 102])
    y = ticks(names, list(range(len(names)))) | {"zeroline": False}
    alt = f"Behavioural tests passed by {side_names.first} and by {side_names.second}: {said}."
    return figure(traces, 90 + 52 * len(names), x, y, alt)


def _dots(
    values: Sequence[float],
    intervals: Sequence[Interval],
    places: Sequence[float] | Sequence[str],
    color: str | list[str],
    symbol: str | list[str],
    hover: str,
) -> Figure:
    """Return a trace of shares in percent, each with its interval, at their places on the y axis."""
    shares = list(zip(intervals, values, strict=True))
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
            "array": [100 * (interval.high - value) for interval, value in shares],
            "arrayminus": [100 * (value - interval.low) for interval, value in shares],
            "color": color,
        },
        "hovertemplate": hover,
    }


def plot_names(sides: Both[Side]) -> Both[str]:
    """Return what both sides are called in charts."""
    return side_names(sides).map(plotly_text)


def _curves(
    scores: Scores, curves: Both[Curve | None], words: tuple[str, str, str], guide: Figure, alt: str
) -> Figure | None:
    area, x_title, y_title = words
    traces, areas = [guide], []
    for name, curve, color, dash in zip(scores.names.map(plotly_text), curves, COLORS, DASHES, strict=True):
        if curve is None:
            return None
        rows = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), MAX_POINTS)).round().astype(int))
        x, y = curve.x[rows].round(4).tolist(), curve.y[rows].round(4).tolist()
        line = {"color": color, "dash": dash, "width": 2.5 if dash == "solid" else 2}
        hover = "%{x:.2f}, %{y:.2f}<extra>" + name + "</extra>"
        traces.append(scatter(f"{name}: {area} {curve.area:.3f}", x, y, hover, line=line))
        areas.append(f"{name} {curve.area:.3f}")
    return _square(traces, x_title, y_title, f"{alt}: {', '.join(areas)}.")


def _guide(y: list[float], name: str) -> Figure:
    """Return a dotted line from left to right, which says nothing when it is pointed at."""
    line = {"color": GUIDE_COLOR, "width": 1, "dash": "dot"}
    return {
        **{"type": "scatter", "mode": "lines", "name": name, "x": [0, 1], "y": y},
        **{"meta": "guide", "hoverinfo": "skip", "line": line},
    }


def _square(traces: list[Figure], x_title: str, y_title: str, alt: str) -> Figure:
    """Return a figure whose axes go from 0 to 1."""
    x, y = axis(x_title, range=[-0.02, 1.02]), axis(y_title, range=[-0.02, 1.04])
    return figure(traces, HEIGHT, x, y, alt)
