"""Runs that differ in their seed alone: the single runs, their mean and their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from mrpc.app.templates import render
from mrpc.app.train.curves import NEUTRAL_COLOR, SECOND_COLOR, TRAINING_COLOR, Figure, plot_layout
from mrpc.app.train.run_facts import STATE_SIGNS, run_caption

if TYPE_CHECKING:
    from mrpc.app.services import Services
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
    layout = plot_layout(
        f"seeds:{group}", "validation, best epoch (%)<br>diamond: the mean, with one standard deviation", ""
    )
    layout |= {"showlegend": False, "hovermode": "closest"}
    layout["yaxis"] |= {
        "tickvals": list(range(len(MEASURES))),
        "ticktext": [name for _, name, _ in MEASURES],
        "range": [-0.6, len(MEASURES) - 0.5],
        "fixedrange": True,
    }
    return {"data": data, "layout": layout}


def seeds_parts(
    services: Services, summaries: Sequence[RunSummary], run_id: str
) -> tuple[str, dict[str, object] | None]:
    """Return the repeats of a run in words, and as a plot; nothing when there are none."""
    members = group_of(summaries, run_id)
    if len(members) < 2:
        return "", None
    view = services.monitoring.watch(run_id)
    with view.lock:
        caption = seeds_caption(members, run_caption(view.run, view.history))
    group = members[0].group or members[0].run_id
    return seeds_html(members), {"seeds": seeds_figure(members, group), "caption": caption}


def group_of(summaries: Sequence[RunSummary], run_id: str) -> list[RunSummary]:
    """Return the runs that differ from this one in their seed alone, and itself, by seed."""
    own = next((summary for summary in summaries if summary.run_id == run_id), None)
    if own is None:
        return []
    group = own.group or own.run_id
    members = [summary for summary in summaries if group in (summary.group, summary.run_id)]
    return sorted(members, key=lambda summary: (summary.seed, summary.created_at))


def seeds_html(members: Sequence[RunSummary]) -> str:
    """Say mean and spread in words, and list the single runs; names those that answer one class only."""
    scored = [member for member in members if member.best_f1 is not None]
    words = "No run of this group has a score yet."
    if scored:
        said = [f"{name} {_mean_and_spread(scored, attribute)}" for attribute, name, _ in MEASURES]
        words = f"Mean and standard deviation of {len(scored)} of {len(members)} runs: {', '.join(said)}."
    collapsed = [member.seed for member in scored if member.collapsed]
    return render("train/seeds.html", members=members, words=words, collapsed=collapsed, signs_of=STATE_SIGNS)


def seeds_caption(members: Sequence[RunSummary], caption: str) -> str:
    """Say of which runs a plot of seeds is; the caption of one of them says the rest."""
    seeds = ", ".join(str(member.seed) for member in members)
    return f"Seeds {seeds}. As in: {caption}"


def _mean_and_spread(scored: Sequence[RunSummary], attribute: str) -> str:
    values: list[Any] = [getattr(member, attribute) for member in scored]
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


def _point_text(member: RunSummary) -> str:
    return f"seed {member.seed}" + (", one class only" if member.collapsed else "")


def _spread(place: int, num: int) -> float:
    """Shift points apart so that equal scores do not hide each other; always the same way."""
    return 0.14 * math.sin(2.4 * place) if num > 1 else 0.0
