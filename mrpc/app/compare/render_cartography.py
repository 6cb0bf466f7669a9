"""The map of the training pairs: a chart and the pairs of its regions. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.compare.render_changes import SHORT_LABELS
from mrpc.app.tables import Table, column, marked, table
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.cartography import MappedPair

MAX_POINTS = 6000
HOVER = "pair %{customdata} of train<br>confidence %{y:.2f}, variability %{x:.2f}<br>%{text}<extra></extra>"
REGION_STYLE = {
    "easy": ("var(--tuned)", "circle"),
    "ambiguous": ("var(--s2)", "diamond"),
    "hard": ("var(--bad)", "x"),
}
REGION_WORDS = {
    "easy": "Easy: learned early and kept.",
    "ambiguous": "Ambiguous: the training kept changing its mind; it learns most from these.",
    "hard": "Hard: never believed. Difficult pairs, and labels to doubt.",
}


def map_figure(points: Sequence[tuple[int, float, float, float, str]]) -> dict[str, Any]:
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
                "text": [f"right in {100 * point[3]:.0f} % of the epochs" for point in chosen],
                "hovertemplate": HOVER,
                "marker": {"color": color, "symbol": symbol, "size": 6, "opacity": 0.55},
            }
        )
    layout = {
        "height": 460,
        "xaxis": {"title": {"text": "variability: how much the probability of the label moved"}},
        "yaxis": {"title": {"text": "confidence: its mean over the epochs"}, "range": [-0.02, 1.02]},
    }
    counts = ", ".join(str(trace["name"]) for trace in traces)
    return {"data": traces, "layout": layout, "alt": f"Map of {len(points):,} training pairs: {counts}."}


def pairs_table(pairs: Sequence[MappedPair], name: str) -> Table:
    """Return pairs of the map as a table; with both sides' opinions if they were asked."""
    columns = [
        column("row", "Pair of train", "number"),
        column("sentence1", "Sentence 1", "diff"),
        column("sentence2", "Sentence 2", "diff"),
        column("label", "Corpus"),
        column("confidence", "Confidence", "number", digits=2),
        column("variability", "Variability", "number", digits=2),
        column("correctness", "Epochs right", "percent", digits=0),
    ]
    if any(pair.right is not None or pair.left is not None for pair in pairs):
        columns += [
            column("left", "Left", "percent", help="probability of “equivalent” on the left, in percent"),
            column("right", "Right", "percent", help="probability of “equivalent” on the right, in percent"),
            column("opinion", "Opinion"),
        ]
    rows = []
    for pair in pairs:
        first, second = mark_differences(pair.sentence1, pair.sentence2)
        rows.append(
            {
                "id": pair.row,
                "row": pair.row,
                "sentence1": marked(first),
                "sentence2": marked(second),
                "label": SHORT_LABELS[pair.label],
                "confidence": round(pair.confidence, 4),
                "variability": round(pair.variability, 4),
                "correctness": round(pair.correctness, 4),
                "left": pair.left,
                "right": pair.right,
                "opinion": "both doubt the label" if pair.both_disagree else "",
            }
        )
    file = f"training-pairs-{name.replace(' ', '-')}.csv"
    return table(columns, rows, f"Training pairs: {name}", file, open_label="Open", page_size=10)
