"""Charts of why both sides answer a pair as they do, and of the training pairs, as plain plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.score_figures import COLORS, SYMBOLS, Figure, axis, figure, scatter, ticks
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
    edge, line = num_first - 0.5, {"color": "var(--quiet)", "dash": "dot", "width": 1}
    divider = {"type": "line", "x0": edge, "x1": edge, "y0": 0, "y1": 1, "yref": "paper", "line": line}
    x = ticks([plotly_text(effect.text, MAX_WORD_CHARS) for effect in words], list(range(len(words))))
    y = axis("change without the word, points")
    strongest = max([*effects_of.first, *effects_of.second], key=lambda effect: abs(effect.change))
    alt = f"Leaving out “{strongest.text}” moves the answer most: {100 * strongest.change:+.1f} points."
    options = {"barmode": "group", "bargap": 0.25, "shapes": [divider]}
    return figure(traces, 330, {**x, "tickangle": -60}, y, alt, **options)


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
    texts = [[plotly_text(token) for token in tokens] for tokens in (columns, rows)]
    x, y = (ticks(side, [f"{number} {text}" for number, text in enumerate(side)]) for side in texts)
    trace = _heatmap(values, color, "%{y} → %{x}: %{z:.1f} %<extra></extra>")
    trace |= {"x": x["tickvals"], "y": y["tickvals"]}
    heads = "all heads" if attention.head is None else f"head {attention.head + 1}"
    where = f"layer {attention.layer + 1}, {heads}"
    alt = f"Attention of {name} in {where}, from sentence {from_} to sentence {to}."
    x |= axis(f"to sentence {to}", tickangle=-60)
    return _map_of(trace, name, 144 + 17 * len(rows), x, y | axis(f"from sentence {from_}"), alt)


def heads_figure(attention: Attention, direction: str, name: str, color: str) -> Figure:
    """Draw how much each head of each layer looks at the other sentence; a click chooses the head."""
    shares = attention.forth_by_head if direction == "forth" else attention.back_by_head
    layers, heads = (list(range(1, num + 1)) for num in shares.shape)
    from_, to = DIRECTIONS[direction]
    trace = _heatmap(shares, color, "layer %{y}, head %{x}: %{z:.1f} %<extra></extra>")
    trace |= {"x": heads, "y": layers}
    trace["customdata"] = [[f"{layer}:{head}" for head in heads] for layer in layers]
    layer, head = np.unravel_index(int(shares.argmax()), shares.shape)
    alt = (
        f"Attention of {name} from sentence {from_} to sentence {to} by layer and head: most in layer "
        f"{layer + 1}, head {head + 1}, with {100 * shares.max():.1f} %."
    )
    x, y = axis("head", dtick=1), axis("layer", dtick=1)
    return _map_of(trace, name, 134 + 18 * len(layers), x, y, alt)


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


def _map_of(trace: Figure, name: str, height: int, x: Figure, y: Figure, alt: str) -> Figure:
    """Return a figure that says above the map which side it is of."""
    title = {"text": name, "font": {"size": 13}, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 8}}
    x, y = {**x, "showgrid": False}, {**y, "autorange": "reversed", "showgrid": False}
    return figure([trace], height, x, y, alt, title=title, margin={"l": 48, "r": 12, "t": 36, "b": 44})


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
                scatter(
                    f"{name}, {way}",
                    list(range(1, len(shares) + 1)),
                    (100 * shares).round(2).tolist(),
                    "layer %{x}: %{y:.1f} %<extra></extra>",
                    mode="lines+markers",
                    line={"color": color, "dash": dash},
                    marker={"symbol": symbol, "size": 8},
                )
            )
    x, y = axis("layer", dtick=1), axis("attention to the other sentence, %", rangemode="tozero")
    return figure(traces, 280, x, y, "Attention that crosses between the sentences, by layer.")


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
    x = axis("variability: how much<br>the probability of the label moved")
    y = axis("confidence: its mean over the epochs", range=[-0.02, 1.02])
    counts = ", ".join(str(trace["name"]) for trace in traces)
    return figure(traces, 460, x, y, f"Map of {len(points):,} training pairs: {counts}.")
