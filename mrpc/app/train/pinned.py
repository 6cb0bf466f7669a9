"""The pairs that a person follows through a run: how sure the model is of them after every evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrpc.app.format import plotly_text
from mrpc.app.templates import render
from mrpc.app.train.curves import NEUTRAL_COLOR, Figure, line_trace, plot_layout
from mrpc.app.train.overlay import RUN_COLORS, RUN_DASHES, RUN_SYMBOLS, swatch
from mrpc.core.data.pairs import WORDS, Words
from mrpc.runs.events import PinnedPairEvent
from mrpc.runs.layout import PinnedPair

MAX_SHOWN_CHARS = 300


def pinned_html(
    pairs: Sequence[PinnedPair], events: Mapping[int, PinnedPairEvent], is_over: bool, words: Words
) -> str:
    """List the pinned pairs with their newest probability.

    Args:
        pairs: the pinned pairs.
        events: by epoch.
        is_over: whether no answer will follow.
        words: what the data of the run calls the classes.
    """
    newest: dict[str, float] = {}
    for epoch in sorted(events):
        newest |= events[epoch].probabilities
    swatches = [swatch(slot) for slot in range(len(pairs))]
    return render(
        "train/pinned.html",
        pairs=pairs,
        swatches=swatches,
        newest=newest,
        is_over=is_over,
        words=words,
        max_chars=MAX_SHOWN_CHARS,
    )


def pinned_figure(
    pairs: Sequence[PinnedPair],
    events: Mapping[int, PinnedPairEvent],
    run_id: str,
    words: Words = WORDS,
) -> Figure:
    """Draw the probability of "equivalent" of each pinned pair after every evaluation, over the steps.

    Args:
        pairs: the pinned pairs, at most five.
        events: by epoch.
        run_id: whose they are.
        words: what the data of the run calls the classes.
    """
    ordered = [events[epoch] for epoch in sorted(events)]
    data = []
    for slot, pair in enumerate(pairs):
        answered = [event for event in ordered if pair.pair_id in event.probabilities]
        data.append(
            line_trace(
                [event.step for event in answered],
                [event.probabilities[pair.pair_id] for event in answered],
                name=f"pair {slot + 1}",
                mode="lines+markers",
                line={"color": RUN_COLORS[slot], "dash": RUN_DASHES[slot], "width": 2},
                marker={"symbol": RUN_SYMBOLS[slot], "size": 8},
                cliponaxis=False,
            )
        )
    layout = plot_layout(f"pinned:{run_id}", "optimizer step", f"probability of “{plotly_text(words[1])}”")
    layout["showlegend"] = True
    layout["yaxis"] |= {"range": [0, 1], "fixedrange": True}
    if not any(trace["x"] for trace in data):
        layout["xaxis"] |= {"range": [0, 1], "showticklabels": False}
    layout["shapes"].append(
        {
            **{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0.5, "y1": 0.5},
            "line": {"color": NEUTRAL_COLOR, "width": 1, "dash": "dot"},
        }
    )
    return {"data": data, "layout": layout}
