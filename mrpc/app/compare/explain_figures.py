"""Charts of why both sides answer a pair as they do, and of the training pairs, as plain plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.score_figures import COLORS, SYMBOLS, Figure
from mrpc.app.compare.sides import Both
from mrpc.app.format import plotly_text

if TYPE_CHECKING:
    from mrpc.core.analysis.attribution import Attention, WordEffect

DIRECTIONS = {"forth": ("1", "2"), "back": ("2", "1")}
MAX_WORD_CHARS = 24
FAINT = "rgba(128,128,128,0.06)"

MAX_POINTS = 6000
HOVER = "%{text}<br>confidence %{y:.2f}, variability %{x:.2f}<extra></extra>"
REGION_STYLE = {
    "easy": ("var(--tuned)", "circle"),
    "ambiguous": ("var(--s2)", "diamond"),
    "hard": ("var(--bad)", "x"),
}


def effects_figure(names: Both[str], effects_of: Both[list[WordEffect]]) -> Figure | None:
    """Draw what leaving out each word does to the probability, both sides beside each other."""
    words = effects_of.first
    if not words:
        return None
    num_first = sum(effect.sentence == 0 for effect in words)
    traces = []
    for name, effects, color, pattern in zip(names, effects_of, COLORS, ("/", ""), strict=True):
        traces.append(
            {
                "type": "bar",
                "name": name,
                "x": list(range(len(effects))),
                "y": [round(100 * effect.change, 2) for effect in effects],
                "text": [
                    f"sentence {effect.sentence + 1}: {plotly_text(effect.text, MAX_WORD_CHARS)}"
                    for effect in effects
                ],
                "textposition": "none",
                "hovertemplate": "%{text}<br>%{y:+.1f} points<extra>" + name + "</extra>",
                "marker": {"color": color, "pattern": {"shape": pattern, "size": 5, "solidity": 0.5}},
            }
        )
    divider = {"type": "line", "x0": num_first - 0.5, "x1": num_first - 0.5, "y0": 0, "y1": 1}
    layout = {
        "height": 330,
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(words))),
            "ticktext": [plotly_text(effect.text, MAX_WORD_CHARS) for effect in words],
            "tickangle": -60,
        },
        "yaxis": {"title": {"text": "change without the word, points"}},
        "shapes": [
            {**divider, "yref": "paper", "line": {"color": "var(--quiet)", "dash": "dot", "width": 1}}
        ],
    }
    strongest = max([*effects_of.first, *effects_of.second], key=lambda effect: abs(effect.change))
    alt = f"Leaving out “{strongest.text}” moves the answer most: {100 * strongest.change:+.1f} points."
    return {"data": traces, "layout": layout, "alt": alt}


def attention_figure(attention: Attention, direction: str, name: str, color: str) -> Figure:
    """Draw the attention between the sentences in one layer.

    Args:
        attention: of one side.
        direction: "forth" from sentence 1 to 2, "back" from 2 to 1.
        name: of the side.
        color: of the side.
    """
    rows, columns = attention.tokens1, attention.tokens2
    values = attention.forth
    if direction == "back":
        rows, columns, values = columns, rows, attention.back
    from_, to = DIRECTIONS[direction]
    axes = [
        {
            "tickmode": "array",
            "tickvals": [f"{number} {plotly_text(token)}" for number, token in enumerate(tokens)],
            "ticktext": [plotly_text(token) for token in tokens],
        }
        for tokens in (columns, rows)
    ]
    trace = _heatmap(values, color, "%{y} → %{x}: %{z:.1f} %<extra></extra>")
    trace |= {"x": axes[0]["tickvals"], "y": axes[1]["tickvals"]}
    heads = "all heads" if attention.head is None else f"head {attention.head + 1}"
    where = f"layer {attention.layer + 1}, {heads}"
    return {
        "data": [trace],
        "layout": _heatmap_layout(
            name,
            144 + 17 * len(rows),
            {"title": {"text": f"to sentence {to}"}, "tickangle": -60, **axes[0]},
            {"title": {"text": f"from sentence {from_}"}, **axes[1]},
        ),
        "alt": f"Attention of {name} in {where}, from sentence {from_} to sentence {to}.",
    }


def heads_figure(attention: Attention, direction: str, name: str, color: str) -> Figure:
    """Draw how much each head of each layer looks at the other sentence; a click chooses the head."""
    shares = attention.forth_by_head if direction == "forth" else attention.back_by_head
    layers, heads = (list(range(1, num + 1)) for num in shares.shape)
    from_, to = DIRECTIONS[direction]
    trace = _heatmap(shares, color, "layer %{y}, head %{x}: %{z:.1f} %<extra></extra>")
    trace |= {"x": heads, "y": layers}
    trace["customdata"] = [[f"{layer}:{head}" for head in heads] for layer in layers]
    layer, head = np.unravel_index(int(shares.argmax()), shares.shape)
    return {
        "data": [trace],
        "layout": _heatmap_layout(
            name,
            134 + 18 * len(layers),
            {"title": {"text": "head"}, "dtick": 1},
            {"title": {"text": "layer"}, "dtick": 1},
        ),
        "alt": f"Attention of {name} from sentence {from_} to sentence {to} by layer and head: most in layer "
        f"{layer + 1}, head {head + 1}, with {100 * shares.max():.1f} %.",
    }


def _heatmap(shares: np.ndarray, color: str, hover: str) -> Figure:
    """Return a trace of shares, in percent."""
    return {
        "type": "heatmap",
        "name": "attention, %",
        "z": (100 * shares).round(2).tolist(),
        "colorscale": [[0, FAINT], [1, color]],
        "showscale": False,
        "hovertemplate": hover,
        "xgap": 1,
        "ygap": 1,
    }


def _heatmap_layout(name: str, height: int, x: Figure, y: Figure) -> Figure:
    """Return a layout that writes above a map which side it is of."""
    return {
        "title": {"text": name, "font": {"size": 13}, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 8}},
        "margin": {"l": 48, "r": 12, "t": 36, "b": 44},
        "height": height,
        "xaxis": {**x, "showgrid": False},
        "yaxis": {**y, "autorange": "reversed", "showgrid": False},
    }


def layers_figure(names: Both[str], attentions: Both[Attention | None]) -> Figure:
    """Draw how much attention crosses from one sentence to the other, by layer."""
    traces = []
    for name, attention, color, symbol in zip(names, attentions, COLORS, SYMBOLS, strict=True):
        if attention is None:
            continue
        for way, shares, dash in (
            ("1 → 2", attention.forth_by_layer, "solid"),
            ("2 → 1", attention.back_by_layer, "dot"),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": f"{name}, {way}",
                    "x": list(range(1, len(shares) + 1)),
                    "y": (100 * shares).round(2).tolist(),
                    "line": {"color": color, "dash": dash},
                    "marker": {"symbol": symbol, "size": 8},
                    "hovertemplate": "layer %{x}: %{y:.1f} %<extra></extra>",
                }
            )
    layout = {
        "height": 280,
        "xaxis": {"title": {"text": "layer"}, "dtick": 1},
        "yaxis": {"title": {"text": "attention to the other sentence, %"}, "rangemode": "tozero"},
    }
    return {
        "data": traces,
        "layout": layout,
        "alt": "Attention that crosses between the sentences, by layer.",
    }


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
