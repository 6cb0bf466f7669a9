"""Several runs in one picture: their curves, and the settings in which they differ.

A run keeps its place, and with it its colour, its dash and its marker, in all plots and in the table. The
colours are near Okabe and Ito's, which people with any colour vision tell apart, chosen to read on light and
on dark paper; number, dash and marker say the same.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mrpc.app.format import render_percent
from mrpc.app.train.render_curves import (
    Figure,
    RunSeries,
    keep_every,
    line_trace,
    plot_layout,
    smooth,
    smoothing_span,
)
from mrpc.runs.layout import RunConfig

RUN_COLORS = ("#2a84c2", "#d07f00", "#12946f", "#cf5a1f", "#8a6fc9", "#c4629c", "#8f8a1a", "#7d8894")
RUN_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "2px,2px,8px,2px", "12px,3px")
RUN_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
NUM_SLOTS = len(RUN_COLORS)
MAX_STEPS_POINTS = 100
MAX_NAME = 30


@dataclass(frozen=True)
class OverlaidRun:
    """One run of an overlay.

    Attributes:
        slot: its place from 0, which decides its colour.
        name: what people call it.
        config: its settings.
        series: its curves.
        caption: where it comes from, as plain text.
    """

    slot: int
    name: str
    config: RunConfig
    series: RunSeries
    caption: str

    @property
    def label(self) -> str:
        """Its number and its name, shortened."""
        name = self.name if len(self.name) <= MAX_NAME else self.name[: MAX_NAME - 1] + "…"
        return f"{self.slot + 1} · {name}"


def overlay_figures(runs: Sequence[OverlaidRun]) -> dict[str, Any]:
    """Draw training loss, validation loss, accuracy and F1 of all runs, with a caption."""
    key = "overlay:" + ",".join(run.config.run_id for run in runs)
    loss = plot_layout(key, "optimizer step", "training loss, smoothed (nats)")
    data = [trace for run in runs if (trace := _loss_trace(run)) is not None]
    figures: dict[str, Any] = {"loss": {"data": data, "layout": loss}}
    for place, title, scale in (
        ("validation", "validation loss (nats)", 1.0),
        ("accuracy", "accuracy (%)", 100.0),
        ("f1", "F1 (%)", 100.0),
    ):
        layout = plot_layout(key, "epoch", title)
        layout["showlegend"] = False
        traces = [_evaluation_trace(run, "loss" if place == "validation" else place, scale) for run in runs]
        figures[place] = {"data": traces, "layout": layout}
    figures["caption"] = "\n".join(f"{run.slot + 1}: {run.caption}" for run in runs)
    return figures


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Return the settings in which runs differ, each with its value in every run."""
    rows = [
        {
            **config.hyperparameters.model_dump(),
            "data": f"{config.data.kind} {config.data.fingerprint[:8]}",
        }
        for config in configs
    ]
    names = rows[0] if rows else {}
    columns = {name: [row[name] for row in rows] for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def render_differences(runs: Sequence[OverlaidRun]) -> str:
    """Draw the chosen runs with their signs, their best scores, and the settings in which they differ."""
    differing = differing_settings([run.config for run in runs])
    head = "".join(f'<th scope="col">{html.escape(name.replace("_", " "))}</th>' for name in differing)
    body = "".join(
        f'<tr><th scope="row">{render_swatch(run.slot)} {html.escape(run.label)}</th>'
        f"<td>{_best_f1(run)}</td>"
        + "".join(f"<td>{html.escape(str(values[place]))}</td>" for values in differing.values())
        + "</tr>"
        for place, run in enumerate(runs)
    )
    same = "" if differing or len(runs) < 2 else '<p class="quiet">They have the same settings and data.</p>'
    return (
        '<div class="table-scroll" tabindex="0" role="region" aria-label="Settings that differ"><table '
        f'class="differences"><thead><tr><th scope="col">Run</th><th scope="col">best F1</th>{head}</tr>'
        f"</thead>"
        f"<tbody>{body}</tbody></table></div>{same}"
    )


def render_swatch(slot: int) -> str:
    """Draw the colour, dash and number of a place as a short line."""
    color, dash = RUN_COLORS[slot], _svg_dash(RUN_DASHES[slot])
    return (
        '<svg class="swatch" width="30" height="10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" '
        f'stroke="{color}" stroke-width="2.5" stroke-dasharray="{dash}"/></svg>'
    )


def _best_f1(run: OverlaidRun) -> str:
    trained = [evaluation.f1 for evaluation in run.series.evaluations if evaluation.epoch > 0]
    return render_percent(max(trained, default=None))


def _loss_trace(run: OverlaidRun) -> Figure | None:
    series = run.series
    if not len(series.steps):
        return None
    smoothed = smooth(series.losses, smoothing_span(series.started))
    steps, values = keep_every(series.steps, smoothed, MAX_STEPS_POINTS)
    return line_trace(steps, values, name=run.label, line=_line(run, 2))


def _evaluation_trace(run: OverlaidRun, what: str, scale: float) -> Figure:
    evaluations = run.series.evaluations
    return line_trace(
        [evaluation.epoch for evaluation in evaluations],
        [scale * getattr(evaluation, what) for evaluation in evaluations],
        name=run.label,
        mode="lines+markers",
        line=_line(run, 1.8),
        marker={"symbol": RUN_SYMBOLS[run.slot], "size": 8},
    )


def _line(run: OverlaidRun, width: float) -> dict[str, Any]:
    return {"color": RUN_COLORS[run.slot], "dash": RUN_DASHES[run.slot], "width": width}


def _svg_dash(dash: str) -> str:
    named = {
        "solid": "none",
        "dash": "7 4",
        "dot": "2 3",
        "dashdot": "7 3 2 3",
        "longdash": "11 4",
        "longdashdot": "11 3 2 3",
    }
    return named.get(dash, dash.replace("px", "").replace(",", " "))
