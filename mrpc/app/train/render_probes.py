"""The pairs that a person pinned to a run, and how sure the model was of them over the steps."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from mrpc.app.train.render_curves import NEUTRAL_COLOR, Figure, line_trace, plot_layout
from mrpc.app.train.render_overlay import RUN_COLORS, RUN_DASHES, RUN_SYMBOLS, render_swatch
from mrpc.runs.events import PinnedPairEvent
from mrpc.runs.layout import PinnedPair

MAX_SHOWN = 300


def probes_figure(probes: Sequence[PinnedPair], events: Mapping[int, PinnedPairEvent], run_id: str) -> Figure:
    """Draw the probability of "equivalent" of each pinned pair after every evaluation, over the steps.

    Args:
        probes: the pinned pairs, at most five.
        events: by epoch.
        run_id: whose they are.
    """
    ordered = [events[epoch] for epoch in sorted(events)]
    data = []
    for slot, probe in enumerate(probes):
        answered = [event for event in ordered if probe.pair_id in event.probabilities]
        data.append(
            line_trace(
                [event.step for event in answered],
                [event.probabilities[probe.pair_id] for event in answered],
                name=f"pair {slot + 1}",
                mode="lines+markers",
                line={"color": RUN_COLORS[slot], "dash": RUN_DASHES[slot], "width": 2},
                marker={"symbol": RUN_SYMBOLS[slot], "size": 8},
                cliponaxis=False,
            )
        )
    layout = plot_layout(f"probes:{run_id}", "optimizer step", "probability of “equivalent”")
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


def render_probes(probes: Sequence[PinnedPair], events: Mapping[int, PinnedPairEvent]) -> str:
    """List the pinned pairs with their newest probability and a button that lets them go."""
    if not probes:
        return '<p class="quiet">No pair is pinned to this run.</p>'
    newest = [events[epoch] for epoch in sorted(events)]
    rows = []
    for slot, probe in enumerate(probes):
        answers = [
            event.probabilities[probe.pair_id] for event in newest if probe.pair_id in event.probabilities
        ]
        answer = f"{answers[-1]:.3f}" if answers else "after the next evaluation"
        rows.append(
            f"<li>{render_swatch(slot)}<div><p>{_text(probe.sentence1)}</p><p>{_text(probe.sentence2)}</p>"
            f'<small>equivalent: {answer}</small></div><button type="button" data-act="unpin" '
            f'data-run-id="{html.escape(probe.pair_id, quote=True)}" aria-label="Let pair {slot + 1} go" '
            f'title="Let go">✕</button></li>'
        )
    return f'<ol class="probes">{"".join(rows)}</ol>'


def _text(sentence: str) -> str:
    return html.escape(sentence if len(sentence) <= MAX_SHOWN else sentence[:MAX_SHOWN] + " …")
