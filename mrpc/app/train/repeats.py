"""Runs that differ in their seed alone, or in training pairs and seed: what they say so far, and as plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING

from mrpc.app.templates import render
from mrpc.app.train.curves import MEASURES, NEUTRAL_COLOR, Figure, Measure, Shown, line_trace, plot_layout
from mrpc.app.train.reading import standard_error
from mrpc.app.train.run_facts import STATE_SIGNS, run_caption
from mrpc.app.train.runs import RunSummary, watch
from mrpc.app.train.sizes import (
    Size,
    SizeOffer,
    find_sizes,
    mean_and_spread,
    price_sizes,
    require_split_pairs,
    scores_of,
    spread_of,
)
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.runs.events import StartedEvent

LEAST_TICK_RATIO = 1.3


@dataclass(frozen=True)
class ShownSizes(Shown):
    """The curve of a run's settings over training pairs; ``page`` is "" where there is one size alone.

    Attributes:
        offers: what can be queued with one press each.
        no_offer: why nothing can be queued, or "".
    """

    offers: Sequence[SizeOffer] = ()
    no_offer: str = ""


def show_sizes(services: Services, summaries: Sequence[RunSummary], run_id: str) -> ShownSizes:
    """Put the curve of a run's settings together.

    Raises:
        UnknownRunError: there is no such run.
    """
    num_split_pairs, no_offer = None, ""
    prices: dict[int, str] = {}
    offers: list[SizeOffer] = []
    run = services.store.open(run_id)
    try:
        num_split_pairs = require_split_pairs(services, run)
        sizes = find_sizes(summaries, run_id, num_split_pairs)
        prices, offers = price_sizes(services, run.config.hyperparameters, sizes, num_split_pairs)
    except MrpcError as error:  # the curve of what was trained is there all the same
        no_offer = str(error)
        sizes = find_sizes(summaries, run_id, num_split_pairs)
    if sum(bool(size.runs) for size in sizes) < 2:
        return ShownSizes("", offers=offers, no_offer=no_offer)
    view = watch(services.store, run_id)
    started = view.record.started
    words = describe_curve(sizes, started)
    page = render("train/sizes.html", run_id=run_id, sizes=sizes, prices=prices, words=words)
    figures = {
        f"sizes-{name.lower()}": size_figure(sizes, measure, started, run_id)
        for measure, (name, _) in MEASURES.items()
    }
    caption = f"Training pairs and seeds differ. As in: {run_caption(view)}"
    return ShownSizes(page, {**figures, "caption": caption}, offers, no_offer)


def describe_curve(sizes: Sequence[Size], started: StartedEvent | None) -> list[str]:
    """Say what the curve shows so far, and what it cannot show."""
    scored = [size for size in sizes if size.scored]
    if len(scored) < 2:
        return ["Scores of two sizes make a curve. They appear here as the runs end."]
    words = [_describe_last_step(*scored[-2:])]
    if started is not None and scored[-1].values("accuracy"):
        accuracy = mean(scored[-1].values("accuracy")) / 100
        chance = 100 * standard_error(accuracy, started.num_validation_pairs)
        words.append(
            f"One standard error of an accuracy on {started.num_validation_pairs:,} validation pairs is "
            f"{chance:.1f} points, and all sizes are scored on the same pairs."
        )
    words.append(
        "Each size trains for the same number of epochs, so fewer pairs also mean fewer optimizer steps. "
        "Scores are of the best epoch, chosen on validation itself."
    )
    return words


def size_figure(sizes: Sequence[Size], measure: Measure, started: StartedEvent | None, key: str) -> Figure:
    """Draw each run as a point, and the means with one standard deviation to either side as a line.

    Args:
        sizes: by their number of pairs.
        measure: what is drawn.
        started: the shape of a training, for what always answering the majority scores; None if not known.
        key: plots of one key keep what the reader zoomed to.
    """
    name, color = MEASURES[measure]
    scored = [size for size in sizes if size.scored]
    runs = [run for size in scored for run in size.scored]
    values = [size.values(measure) for size in scored]
    data = [
        line_trace(
            [size.num_pairs for size in scored for _ in size.scored],
            [value for of_size in values for value in of_size],
            name="one run",
            mode="markers",
            text=[_point_text(run) for run in runs],
            hovertemplate="%{text}: %{y:.1f}<extra></extra>",
            marker={"color": NEUTRAL_COLOR, "size": 7, "symbol": _symbols(runs, "circle-open")},
        ),
        line_trace(
            [size.num_pairs for size in scored],
            [mean(of_size) for of_size in values],
            name=f"mean {name} ± standard deviation",
            mode="lines+markers",
            error_y={"type": "data", "array": list(map(spread_of, values)), "color": color, "width": 6},
            hovertemplate="%{x:,} pairs: mean %{y:.1f}<extra></extra>",
            line={"color": color, "width": 2},
            marker={"color": color, "size": 9, "symbol": "diamond"},
        ),
    ]
    if started is not None and sizes:
        majority = 100 * getattr(started, f"majority_{measure}")
        ends = [sizes[0].num_pairs, sizes[-1].num_pairs]
        line = {"color": NEUTRAL_COLOR, "width": 1.5, "dash": "dash"}
        data.append(line_trace(ends, [majority] * 2, name="always the majority", hoverinfo="skip", line=line))
    layout = plot_layout(f"sizes:{key}", "training pairs (logarithmic)", f"{name} on validation (%)")
    ticks = _apart([size.num_pairs for size in sizes])
    layout |= {"hovermode": "closest"}
    layout["xaxis"] |= {"type": "log", "tickvals": ticks, "ticktext": [f"{num:,}" for num in ticks]}
    return {"data": data, "layout": layout}


def _apart(numbers: Sequence[int]) -> list[int]:
    """Leave out the numbers whose labels would touch the one before them on a logarithmic axis."""
    kept: list[int] = []
    for num in numbers:
        if not kept or num >= LEAST_TICK_RATIO * kept[-1]:
            kept.append(num)
    return kept


def _describe_last_step(before: Size, last: Size) -> str:
    values, earlier = last.values("accuracy"), before.values("accuracy")
    gain = mean(values) - mean(earlier)
    said = (
        f"From {before.num_pairs:,} to {last.num_pairs:,} pairs the mean accuracy "
        f"{'rises' if gain >= 0 else 'falls'} by {abs(gain):.1f} points."
    )
    if len(values) < 2 or len(earlier) < 2:
        return f"{said} A single seed does not show how much of that is chance: add seeds."
    error = math.sqrt(stdev(values) ** 2 / len(values) + stdev(earlier) ** 2 / len(earlier))
    if abs(gain) <= 2 * error:
        return (
            f"{said} Seeds alone move such a difference by {2 * error:.1f} points (two standard errors): "
            "more pairs have not been shown to help here."
        )
    return f"{said} That is more than seeds alone move it, {2 * error:.1f} points (two standard errors)."


def show_seeds(services: Services, summaries: Sequence[RunSummary], run_id: str) -> Shown:
    """Show the repeats of a run in words, and as a plot; nothing where there are none."""
    members = group_of(summaries, run_id)
    if len(members) < 2:
        return Shown("")
    caption = run_caption(watch(services.store, run_id))
    seeds = ", ".join(str(member.seed) for member in members)
    figure = seeds_figure(members, members[0].group or members[0].run_id)
    return Shown(seeds_html(members), {"seeds": figure, "caption": f"Seeds {seeds}. As in: {caption}"})


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
        said = [
            f"{name} {mean_and_spread(scores_of(scored, measure))}" for measure, (name, _) in MEASURES.items()
        ]
        words = f"Mean and standard deviation of {len(scored)} of {len(members)} runs: {', '.join(said)}."
    collapsed = [member.seed for member in scored if member.collapsed]
    return render("train/seeds.html", members=members, words=words, collapsed=collapsed, signs_of=STATE_SIGNS)


def seeds_figure(members: Sequence[RunSummary], group: str) -> Figure:
    """Draw each run as a point, and beside them the mean with one standard deviation to either side."""
    data: list[Figure] = []
    scored = [member for member in members if member.best_f1 is not None]
    for row, (measure, (name, color)) in enumerate(MEASURES.items() if scored else ()):
        values = scores_of(scored, measure)
        data.append(
            line_trace(
                [round(value, 2) for value in values],
                [row + _shift(place, len(values)) for place in range(len(values))],
                name=name,
                mode="markers",
                text=[_point_text(member) for member in scored],
                hovertemplate="%{text}: %{x:.1f}<extra></extra>",
                marker={"color": color, "size": 10, "opacity": 0.85, "symbol": _symbols(scored, "circle")},
            )
        )
        spread = spread_of(values)
        data.append(
            line_trace(
                [round(mean(values), 2)],
                [row - 0.32],
                name=f"mean of {name}",
                mode="markers",
                error_x={"type": "data", "array": [spread], "color": NEUTRAL_COLOR, "width": 6},
                hovertemplate=f"mean %{{x:.1f}}, standard deviation {spread:.1f}<extra></extra>",
                marker={"color": NEUTRAL_COLOR, "size": 12, "symbol": "diamond"},
            )
        )
    layout = plot_layout(
        f"seeds:{group}", "validation, best epoch (%)<br>diamond: the mean, with one standard deviation", ""
    )
    layout |= {"showlegend": False, "hovermode": "closest"}
    layout["yaxis"] |= {
        "tickvals": list(range(len(MEASURES))),
        "ticktext": [name for name, _ in MEASURES.values()],
        "range": [-0.6, len(MEASURES) - 0.5],
        "fixedrange": True,
    }
    return {"data": data, "layout": layout}


def _point_text(run: RunSummary) -> str:
    return f"seed {run.seed}" + (", one answer only" if run.collapsed else "")


def _symbols(runs: Sequence[RunSummary], usual: str) -> list[str]:
    """Return the sign of each run: a cross where it gives one answer only."""
    return ["x" if run.collapsed else usual for run in runs]


def _shift(place: int, num: int) -> float:
    """Shift points apart so that equal scores do not hide each other; always the same way."""
    return 0.14 * math.sin(2.4 * place) if num > 1 else 0.0
