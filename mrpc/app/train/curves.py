"""The live plots of a run: pure functions from a record to plotly figures as plain dicts.

A curve is drawn from at most 300 points, however long the run. Long curves are cut into buckets of
2, 4, 8, ... steps, and of each bucket the least and the greatest value are kept: a spike is never lost, and
the points of full buckets stay where they are while new ones come. Plotly itself is not imported; the
browser draws.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrpc.app.format import Table
from mrpc.runs.events import EvaluationEvent, NonFiniteEvent, StartedEvent
from mrpc.runs.record import RunRecord

Figure = dict[str, Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_RAW_POINTS = 300
MAX_SMOOTH_POINTS = 150
MAX_RATE_POINTS = 60
"""Drawing is what a page that watches costs a training: it grows with the points."""

# One palette that can be read on light and on dark paper; dash and marker say the same as colour.
TRAINING_COLOR = "#3a8fc4"
VALIDATION_COLOR = "#c8741a"
SECOND_COLOR = "#1a9c77"
NEUTRAL_COLOR = "#8a94a0"
ALERT_COLOR = "#d0463b"
GRID_COLOR = "rgba(128, 138, 150, 0.22)"

Measure = Literal["accuracy", "f1"]
MEASURES: Mapping[Measure, tuple[str, str]] = {
    "accuracy": ("accuracy", TRAINING_COLOR),
    "f1": ("F1", SECOND_COLOR),
}
"""What a model is scored by, with its name and colour in plots."""


@dataclass(frozen=True)
class Shown:
    """A part of the page with its plots.

    Attributes:
        page: HTML, or a table.
        plots: figures by place, and their caption; None where there is nothing to draw.
    """

    page: str | Table | None
    plots: Mapping[str, object] | None = None


@dataclass(frozen=True)
class RunSeries:
    """The curves of one run as arrays, taken from a record in one go.

    Attributes:
        steps: optimizer steps that were reported, ascending, int64 [N].
        losses: mean cross-entropy of each step, nats, float64 [N].
        learning_rates: float64 [N].
        evaluations: on validation, by epoch.
        non_finite: numbers that were not finite.
        cuts: (last step before the cut, step it went on from).
        started: the shape of the training, or None before it is known.
    """

    steps: Ints
    losses: Floats
    learning_rates: Floats
    evaluations: list[EvaluationEvent]
    non_finite: list[NonFiniteEvent]
    cuts: list[tuple[int, int]]
    started: StartedEvent | None


def take_series(record: RunRecord) -> RunSeries:
    """Copy the curves out of a record that may go on growing."""
    return RunSeries(
        steps=np.array(record.steps.column("step")).astype(np.int64),
        losses=np.array(record.steps.column("loss")),
        learning_rates=np.array(record.steps.column("learning_rate")),
        evaluations=record.validation(),
        non_finite=list(record.non_finite),
        cuts=list(record.cuts),
        started=record.started,
    )


def keep_extremes(steps: Ints, values: Floats, max_points: int) -> tuple[Ints, Floats]:
    """Thin out a curve to the least and the greatest value of each bucket, and the first and last point.

    A bucket holds 2, 4, 8, ... steps and begins at a multiple of that. Points of full buckets stay as they
    are while new steps come; where the buckets must double, what stays is a part of what was there.

    Args:
        steps: ascending, [N].
        values: [N]; where one is not finite, the first such of each bucket is kept as well, so that the gap
            is seen.
        max_points: at most this many points come back, at least 4, and the first gap of each bucket.

    Returns:
        Steps and values of the points that are kept, in order.
    """
    if len(steps) <= max_points:
        return steps, values
    shift = 1
    while 2 * ((int(steps[-1]) >> shift) - (int(steps[0]) >> shift) + 1) + 2 > max_points:
        shift += 1
    finite = np.isfinite(values)
    low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    kept = {0, len(steps) - 1}
    starts = _bucket_starts(steps, shift).tolist()
    for start, end in pairwise([*starts, len(steps)]):
        kept.add(start + int(low[start:end].argmin()))
        kept.add(start + int(high[start:end].argmax()))
    gaps = np.flatnonzero(~finite)
    if len(gaps):
        kept.update(gaps[_bucket_starts(steps[gaps], shift)].tolist())
    indices = sorted(kept)
    return steps[indices], values[indices]


def _bucket_starts(steps: Ints, shift: int) -> Ints:
    """Return the place of the first step of each bucket of 2 to the power of ``shift`` steps."""
    buckets = steps >> shift
    return np.flatnonzero(np.diff(buckets, prepend=buckets[:1] - 1))


def smooth(values: Floats, span: float) -> Floats:
    """Return the exponential moving average, corrected at the start.

    Args:
        values: float64 [N].
        span: about how many values it averages.

    Returns:
        float64 [N]; not finite from the first value on that is not.
    """
    decay = 1.0 - 1.0 / max(span, 1.0)
    smoothed = np.empty_like(values)
    total = weight = 0.0
    for index, value in enumerate(values.tolist()):
        total = decay * total + (1.0 - decay) * value
        weight = decay * weight + (1.0 - decay)
        smoothed[index] = total / weight
    return smoothed


def smoothing_span(started: StartedEvent | None) -> float:
    """Return how many steps the smoothed loss averages: a fortieth of the run, fixed from its start on."""
    num_steps = started.num_steps if started else 0
    return min(500.0, max(8.0, num_steps / 40))


def keep_every(steps: Ints, values: Floats, max_points: int) -> tuple[Ints, Floats]:
    """Thin out a smooth curve to the first of every 2, 4, 8, ... steps, and its last point.

    Args:
        steps: ascending, int64 [N], N at least 1.
        values: float64 [N].
        max_points: at most this many points come back, at least 2.

    Returns:
        steps and values that are kept, [M] each.
    """
    shift = 0
    while (int(steps[-1]) >> shift) - (int(steps[0]) >> shift) + 2 > max_points:
        shift += 1
    kept = np.union1d(_bucket_starts(steps, shift), [len(steps) - 1])
    return steps[kept], values[kept]


def loss_figure(series: RunSeries, run_id: str) -> Figure:
    """Draw training loss, raw and smoothed, and validation loss over optimizer steps."""
    data: list[Figure] = []
    if len(series.steps):
        raw = keep_extremes(series.steps, series.losses, MAX_RAW_POINTS)
        line = {"color": TRAINING_COLOR, "width": 1}
        data.append(line_trace(*raw, name="training, each step", line=line, opacity=0.5, hoverinfo="skip"))
        span = smoothing_span(series.started)
        smoothed = keep_every(series.steps, smooth(series.losses, span), MAX_SMOOTH_POINTS)
        line = {"color": TRAINING_COLOR, "width": 2.2}
        data.append(line_trace(*smoothed, name=f"training, over {span:.0f} steps", line=line))
    if series.evaluations:
        data.append(
            line_trace(
                [evaluation.step for evaluation in series.evaluations],
                [evaluation.loss for evaluation in series.evaluations],
                name="validation",
                mode="lines+markers",
                line={"color": VALIDATION_COLOR, "width": 2, "dash": "dash"},
                marker={"symbol": "diamond", "size": 9},
                cliponaxis=False,
            )
        )
    layout = plot_layout(run_id, "optimizer step", "loss (nats)")
    if not data:
        layout["yaxis"]["range"] = [0, 1]
    _fix_steps(layout, series)
    _mark_events(layout, series)
    return {"data": data, "layout": layout}


def score_figure(series: RunSeries, run_id: str) -> Figure:
    """Draw accuracy and F1 on validation by epoch, and what always answering the majority scores."""
    layout = plot_layout(run_id, "epoch (0 is the untrained model)", "validation (%)")
    num_epochs = series.started.num_epochs if series.started else 1
    ends = [-0.2, num_epochs + 0.2]
    tick = max(1, math.ceil(num_epochs / 10))
    layout["xaxis"] |= {"range": ends, "autorange": False, "dtick": tick}
    if not series.evaluations:
        layout["yaxis"]["range"] = [0, 100]
    data: list[Figure] = []
    guides: list[Figure] = []
    for (measure, (name, color)), dash, symbol in zip(
        MEASURES.items(), ("solid", "dash"), ("circle", "square"), strict=True
    ):
        data.append(
            line_trace(
                [evaluation.epoch for evaluation in series.evaluations],
                [100 * getattr(evaluation, measure) for evaluation in series.evaluations],
                name=name,
                mode="lines+markers",
                line={"color": color, "width": 2, "dash": dash},
                marker={"symbol": symbol, "size": 9},
            )
        )
        if series.started is None:
            continue
        majority = 100 * getattr(series.started, f"majority_{measure}")
        text = f"{name} of always answering the majority"
        line = {"color": color, "width": 1.2, "dash": "dot"}
        guides.append(line_trace(ends, [majority] * 2, name=text, meta="guide", line=line, showlegend=False))
        where = {"x": 1.01, "xref": "paper", "y": round(majority, 2), "yanchor": "middle", "align": "left"}
        layout["annotations"].append(_annotation(f"majority<br>{majority:.1f}", color, where))
        layout["margin"]["r"] = 62
    return {"data": [*data, *guides], "layout": layout}


def rate_figure(series: RunSeries, run_id: str) -> Figure:
    """Draw the learning rate over optimizer steps."""
    data = []
    if len(series.steps):
        steps, rates = keep_extremes(series.steps, series.learning_rates, MAX_RATE_POINTS)
        line = {"color": NEUTRAL_COLOR, "width": 2}
        data.append(line_trace(steps, rates, name="learning rate", line=line, showlegend=False))
    layout = plot_layout(run_id, "optimizer step", "learning rate")
    layout["yaxis"] |= {"rangemode": "tozero", "tickformat": ".1e"}
    if not data:
        layout["yaxis"] |= {"range": [0, 1], "showticklabels": False}
    _fix_steps(layout, series)
    return {"data": data, "layout": layout}


def run_figures(series: RunSeries, run_id: str) -> dict[str, Figure]:
    """Draw all plots of a run, by the name of their place in the page."""
    return {
        "loss": loss_figure(series, run_id),
        "scores": score_figure(series, run_id),
        "rate": rate_figure(series, run_id),
    }


def line_trace(x: Iterable[float], y: Iterable[float], name: str, **attributes: object) -> Figure:
    """Return a scatter trace with short numbers; a value that is not finite leaves a gap."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": html.escape(name),
        "x": x.tolist() if isinstance(x, np.ndarray) else list(x),
        "y": [_short(value) for value in (y.tolist() if isinstance(y, np.ndarray) else y)],
        **attributes,
    }


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def plot_layout(run_id: str, x_title: str, y_title: str) -> Figure:
    """Return what all plots share. The browser adds the colour of text, which depends on the theme."""
    axis = {"gridcolor": GRID_COLOR, "zeroline": False, "automargin": True, "showline": False}
    return {
        "uirevision": run_id,
        "margin": {"l": 48, "r": 12, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "xaxis": {**axis, "title": {"text": x_title}},
        "yaxis": {**axis, "title": {"text": y_title}},
        "shapes": [],
        "annotations": [],
    }


def _fix_steps(layout: Figure, series: RunSeries) -> None:
    """Draw the steps that are still to come as well, so that curves grow into the plot."""
    num_steps = series.started.num_steps if series.started else 1
    layout["xaxis"] |= {"range": [0, num_steps], "autorange": False}
    if series.started is None:  # how many is not known yet
        layout["xaxis"]["showticklabels"] = False


def _mark_events(layout: Figure, series: RunSeries) -> None:
    """Mark where a run was cut, and where a number was not finite."""
    marks = [
        (cut, f"cut at {cut:,}, resumed from {resumed:,}", NEUTRAL_COLOR) for cut, resumed in series.cuts
    ]
    first_of: dict[str, NonFiniteEvent] = {}
    for event in series.non_finite:
        first_of.setdefault(event.what, event)
    marks += [
        (event.step, f"{event.what} is {event.value} at step {event.step:,}", ALERT_COLOR)
        for event in first_of.values()
    ]
    for row, (step, text, color) in enumerate(marks):
        line = {"color": color, "width": 1.5, "dash": "dot"}
        span = {"x0": step, "x1": step, "y0": 0, "y1": 1, "yref": "paper"}
        layout["shapes"].append({"type": "line", "line": line, **span})
        below = 1 - 0.07 * (row % 6)  # beside each other they would overlap
        where = {"x": step, "y": below, "yref": "paper", "yanchor": "top"}
        layout["annotations"].append(_annotation(html.escape(text), color, where))


def _annotation(text: str, color: str, where: Figure) -> Figure:
    return {"text": text, "showarrow": False, "xanchor": "left", "font": {"size": 11, "color": color}} | where
