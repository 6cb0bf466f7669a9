"""Charts of where both sides fail: behavioural tests and the data map, as plotly figures in plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.compare.score_figures import COLORS, SYMBOLS, Figure
from mrpc.app.compare.sides import Both

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import TestResult

MAX_POINTS = 6000
HOVER = "%{text}<br>confidence %{y:.2f}, variability %{x:.2f}<extra></extra>"
REGION_STYLE = {
    "easy": ("var(--tuned)", "circle"),
    "ambiguous": ("var(--s2)", "diamond"),
    "hard": ("var(--bad)", "x"),
}


def tests_figure(side_names: Both[str], results: Sequence[TestResult]) -> Figure:
    """Draw both pass rates of each behavioural test with their 95 % intervals."""
    names = [result.test.name for result in results][::-1]
    scored = [list(zip(result.rates, result.intervals, strict=True)) for result in reversed(results)]
    traces = []
    for number, (name, color, symbol) in enumerate(zip(side_names, COLORS, SYMBOLS, strict=True)):
        rates, above, below = [], [], []
        shift = 0.14 if number == 0 else -0.14
        for rate, interval in (both[number] for both in scored):
            rates.append(round(100 * rate, 1))
            above.append(100 * (interval.high - rate))
            below.append(100 * (rate - interval.low))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "cliponaxis": False,
                "name": name,
                "x": rates,
                "y": [at + shift for at in range(len(names))],
                "customdata": names,
                "marker": {
                    "color": color,
                    "symbol": symbol,
                    "size": 11,
                    "line": {"width": 2, "color": color},
                },
                "error_x": {
                    "symmetric": False,
                    "array": above,
                    "arrayminus": below,
                    "color": color,
                    "width": 3,
                },
                "hovertemplate": "%{customdata}: %{x:.0f} %<extra>" + name + "</extra>",
            }
        )
    layout = {
        "height": 90 + 52 * len(names),
        "xaxis": {"title": {"text": "passed, %<br>with 95 % intervals"}, "range": [-2, 102]},
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "zeroline": False,
        },
    }
    said = "; ".join(
        f"{result.test.name} {100 * result.rates.first:.0f} and {100 * result.rates.second:.0f} %"
        for result in results
    )
    alt = f"Behavioural tests passed by {side_names.first} and by {side_names.second}: {said}."
    return {"data": traces, "layout": layout, "alt": alt}


def map_figure(points: Sequence[tuple[int, float, float, float, str]]) -> Figure:
    """Draw every training pair; at most 6,000, evenly taken, when there are more.

    Args:
        points: row, variability, confidence, correctness, region.
    """
    shown = points[:: -(-len(points) // MAX_POINTS)] if len(points) > MAX_POINTS else points
    traces = []
    for region, (color, symbol) in REGION_STYLE.items():
        chosen = [point for point in shown if point[4] == region]
        traces.append(
            {
                "type": "scattergl",
                "mode": "markers",
                "name": f"{region} ({sum(point[4] == region for point in points):,})",
                "x": [round(point[1], 4) for point in chosen],
                "y": [round(point[2], 4) for point in chosen],
                "customdata": [point[0] for point in chosen],
                "text": [
                    f"pair {point[0]} of train, right in {100 * point[3]:.0f} % of the epochs"
                    for point in chosen
                ],
                "hovertemplate": HOVER,
                "marker": {"color": color, "symbol": symbol, "size": 6, "opacity": 0.55},
            }
        )
    layout = {
        "height": 460,
        "xaxis": {"title": {"text": "variability: how much<br>the probability of the label moved"}},
        "yaxis": {"title": {"text": "confidence: its mean over the epochs"}, "range": [-0.02, 1.02]},
    }
    counts = ", ".join(str(trace["name"]) for trace in traces)
    return {"data": traces, "layout": layout, "alt": f"Map of {len(points):,} training pairs: {counts}."}
