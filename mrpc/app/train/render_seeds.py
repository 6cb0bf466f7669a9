"""Runs that differ in their seed alone: the single runs, their mean and their spread."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from mrpc.app.format import render_percent
from mrpc.app.train.render_curves import NEUTRAL_COLOR, SECOND_COLOR, TRAINING_COLOR, Figure, plot_layout
from mrpc.app.train.render_progress import render_state

if TYPE_CHECKING:
    from mrpc.app.train.monitoring import RunSummary

MEASURES = (("best_accuracy", "accuracy", TRAINING_COLOR), ("best_f1", "F1", SECOND_COLOR))


def seeds_figure(members: Sequence[RunSummary], group: str) -> Figure:
    """Draw each run as a point, and beside them the mean with one standard deviation to either side."""
    data: list[Figure] = []
    scored = [member for member in members if member.best_f1 is not None]
    for row, (attribute, name, color) in enumerate(MEASURES):
        values = [100 * getattr(member, attribute) for member in scored]
        if not values:
            continue
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [round(value, 2) for value in values],
                "y": [round(row + _spread(place, len(values)), 3) for place in range(len(values))],
                "text": [_point_text(member) for member in scored],
                "hovertemplate": "%{text}: %{x:.1f}<extra></extra>",
                "marker": {
                    "color": color,
                    "size": 10,
                    "opacity": 0.85,
                    "symbol": ["x" if member.collapsed else "circle" for member in scored],
                },
            }
        )
        spread = stdev(values) if len(values) > 1 else 0.0
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"mean of {name}",
                "x": [round(mean(values), 2)],
                "y": [row - 0.32],
                "error_x": {"type": "data", "array": [round(spread, 2)], "color": NEUTRAL_COLOR, "width": 6},
                "hovertemplate": f"mean %{{x:.1f}}, standard deviation {spread:.1f}<extra></extra>",
                "marker": {"color": NEUTRAL_COLOR, "size": 12, "symbol": "diamond"},
            }
        )
    layout = plot_layout(f"seeds:{group}", "validation, best epoch (%)", "")
    layout |= {"showlegend": False, "hovermode": "closest"}
    layout["yaxis"] |= {
        "tickvals": list(range(len(MEASURES))),
        "ticktext": [name for _, name, _ in MEASURES],
        "range": [-0.6, len(MEASURES) - 0.5],
        "fixedrange": True,
    }
    return {"data": data, "layout": layout}


def render_seeds(members: Sequence[RunSummary]) -> str:
    """Say mean and spread in words, and list the single runs; flags those that answer one class only."""
    scored = [member for member in members if member.best_f1 is not None]
    words = "No run of this group has a score yet."
    if scored:
        said = [f"{name} {_mean_and_spread(scored, attribute)}" for attribute, name, _ in MEASURES]
        words = f"Mean and standard deviation of {len(scored)} of {len(members)} runs: {', '.join(said)}."
    collapsed = [member for member in scored if member.collapsed]
    flag = ""
    if collapsed:
        seeds = ", ".join(str(member.seed) for member in collapsed)
        text = (
            f"Collapsed: with seed {seeds} the model gives every validation pair the same answer. "
            "Its score is that of answering one class; it counts in the mean."
        )
        flag = f'<p class="notice notice-warn">{html.escape(text)}</p>'
    rows = "".join(_render_member(member) for member in members)
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Seed", "State", "Run", "Accuracy", "F1", ""))
    return (
        f'<p>{html.escape(words)}</p>{flag}<div class="table-scroll" tabindex="0" role="region" '
        f'aria-label="Runs of this group"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def seeds_caption(members: Sequence[RunSummary], caption: str) -> str:
    """Say of which runs a plot of seeds is; the caption of one of them says the rest."""
    seeds = ", ".join(str(member.seed) for member in members)
    return f"Seeds {seeds}. As in: {caption}"


def _render_member(member: RunSummary) -> str:
    flag = '<span class="flag">one class only</span>' if member.collapsed else ""
    cells = (
        str(member.seed),
        render_state(member.state),
        html.escape(member.name or member.run_id),
        render_percent(member.best_accuracy),
        render_percent(member.best_f1),
        flag,
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _mean_and_spread(scored: Sequence[RunSummary], attribute: str) -> str:
    values: list[Any] = [getattr(member, attribute) for member in scored]
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


def _point_text(member: RunSummary) -> str:
    return f"seed {member.seed}" + (", one class only" if member.collapsed else "")


def _spread(place: int, num: int) -> float:
    """Shift points apart so that equal scores do not hide each other; always the same way."""
    return 0.14 * math.sin(2.4 * place) if num > 1 else 0.0
