"""The curve of scores over training pairs: what it says so far, and as plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from mrpc.app.templates import render
from mrpc.app.train.curves import NEUTRAL_COLOR, SECOND_COLOR, TRAINING_COLOR, Figure, plot_layout
from mrpc.app.train.run_facts import run_caption
from mrpc.app.train.sizes import Size, SizeOffer, find_sizes, price_sizes, require_split_pairs
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.monitoring import RunSummary
    from mrpc.runs.events import StartedEvent

LEAST_TICK_RATIO = 1.3
MEASURES = (("best_accuracy", "accuracy", TRAINING_COLOR), ("best_f1", "F1", SECOND_COLOR))


@dataclass(frozen=True)
class ShownSizes:
    """The curve of a run's settings over training pairs.

    Attributes:
        page: what it says, and the numbers behind it, as HTML; "" where there is one size alone.
        plots: figures by place; None likewise.
        offers: what can be queued with one press each.
        no_offer: why nothing can be queued, or "".
    """

    page: str
    plots: dict[str, Any] | None
    offers: Sequence[SizeOffer]
    no_offer: str


def show_sizes(services: Services, summaries: Sequence[RunSummary], run_id: str) -> ShownSizes:
    """Put the curve of a run's settings together.

    Raises:
        UnknownRunError: there is no such run.
    """
    num_split_pairs, no_offer = None, ""
    prices: dict[int, str] = {}
    offers: list[SizeOffer] = []
    first = services.store.open(run_id).config.hyperparameters
    try:
        num_split_pairs = require_split_pairs(services, run_id)
        sizes = find_sizes(summaries, run_id, num_split_pairs)
        prices, offers = price_sizes(services, first, sizes, num_split_pairs)
    except MrpcError as error:  # the curve of what was trained is there all the same
        no_offer = str(error)
        sizes = find_sizes(summaries, run_id, num_split_pairs)
    if sum(bool(size.runs) for size in sizes) < 2:
        return ShownSizes("", None, offers, no_offer)
    view = services.monitoring.watch(run_id)
    with view.lock:
        started, caption = view.history.started, run_caption(view.run, view.history)
    words = describe_curve(sizes, started)
    page = render("train/sizes.html", run_id=run_id, sizes=sizes, prices=prices, words=words)
    figures = {
        f"sizes-{name.lower()}": size_figure(sizes, measure, name, color, _majority(started, measure), run_id)
        for measure, name, color in MEASURES
    }
    caption = f"Training pairs and seeds differ. As in: {caption}"
    return ShownSizes(page, {**figures, "caption": caption}, offers, no_offer)


def describe_curve(sizes: Sequence[Size], started: StartedEvent | None) -> list[str]:
    """Say what the curve shows so far, and what it cannot show."""
    scored = [size for size in sizes if size.scored]
    if len(scored) < 2:
        return ["Scores of two sizes make a curve. They appear here as the runs end."]
    words = [_describe_last_step(*scored[-2:])]
    if started is not None and scored[-1].values("best_accuracy"):
        share = mean(scored[-1].values("best_accuracy")) / 100
        chance = 100 * math.sqrt(share * (1 - share) / max(1, started.num_validation_pairs))
        words.append(
            f"One standard error of an accuracy on {started.num_validation_pairs:,} validation pairs is "
            f"{chance:.1f} points, and all sizes are scored on the same pairs."
        )
    words.append(
        "Each size trains for the same number of epochs, so fewer pairs also mean fewer optimizer steps. "
        "Scores are of the best epoch, chosen on validation itself."
    )
    return words


def size_figure(
    sizes: Sequence[Size], measure: str, name: str, color: str, majority: float | None, key: str
) -> Figure:
    """Draw each run as a point, and the means with one standard deviation to either side as a line."""
    scored = [size for size in sizes if size.scored]
    points = [(size.num_pairs, 100 * getattr(run, measure), run) for size in scored for run in size.scored]
    values = [size.values(measure) for size in scored]
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "one run",
            "x": [num for num, _, _ in points],
            "y": [round(value, 2) for _, value, _ in points],
            "text": [
                f"seed {run.seed}" + (", one answer only" if run.collapsed else "") for *_, run in points
            ],
            "hovertemplate": "%{text}: %{y:.1f}<extra></extra>",
            "marker": {
                "color": NEUTRAL_COLOR,
                "size": 7,
                "symbol": ["x" if run.collapsed else "circle-open" for *_, run in points],
            },
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"mean {name} ± standard deviation",
            "x": [size.num_pairs for size in scored],
            "y": [round(mean(of_size), 2) for of_size in values],
            "error_y": {
                "type": "data",
                "array": [round(stdev(of_size), 2) if len(of_size) > 1 else 0 for of_size in values],
                "color": color,
                "width": 6,
            },
            "hovertemplate": "%{x:,} pairs: mean %{y:.1f}<extra></extra>",
            "line": {"color": color, "width": 2},
            "marker": {"color": color, "size": 9, "symbol": "diamond"},
        },
    ]
    if majority is not None and sizes:
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "always the majority",
                "x": [sizes[0].num_pairs, sizes[-1].num_pairs],
                "y": [round(100 * majority, 2)] * 2,
                "hoverinfo": "skip",
                "line": {"color": NEUTRAL_COLOR, "width": 1.5, "dash": "dash"},
            }
        )
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
    values, earlier = last.values("best_accuracy"), before.values("best_accuracy")
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


def _majority(started: StartedEvent | None, measure: str) -> float | None:
    if started is None:
        return None
    return started.majority_accuracy if measure == "best_accuracy" else started.majority_f1
