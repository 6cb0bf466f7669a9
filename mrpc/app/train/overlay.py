"""Several curves in one picture: runs with the settings in which they differ, and pairs followed in a run.

A run, or a pair, keeps its place, and with it its colour, its dash and its marker, in all plots and in the
table. The colours are near Okabe and Ito's, which people with any colour vision tell apart, chosen to read on
light and on dark paper; number, dash and marker say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrpc.app.format import plotly_text, render_percent, run_title
from mrpc.app.templates import render
from mrpc.app.train.curves import (
    NEUTRAL_COLOR,
    Figure,
    RunSeries,
    Shown,
    keep_every,
    line_trace,
    plot_layout,
    smooth,
    smoothing_span,
    take_series,
)
from mrpc.app.train.run_facts import run_caption
from mrpc.app.train.runs import watch
from mrpc.app.train.start import LABELS, said_value
from mrpc.core.data.pairs import WORDS, Words
from mrpc.errors import UnknownRunError
from mrpc.runs.events import PinnedPairEvent
from mrpc.runs.layout import PinnedPair, RunConfig
from mrpc.runs.record import best_of, has_collapsed

if TYPE_CHECKING:
    from mrpc.app.services import Services

RUN_COLORS = ("#2a84c2", "#d07f00", "#12946f", "#cf5a1f", "#8a6fc9", "#c4629c", "#8f8a1a", "#7d8894")
RUN_DASHES = {
    **{"solid": "none", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"},
    **{"longdashdot": "11 3 2 3", "2px,2px,8px,2px": "2 2 8 2", "12px,3px": "12 3"},
}
"""As plotly calls them, and as SVG does."""

RUN_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
NUM_SLOTS = len(RUN_COLORS)
MAX_STEPS_POINTS = 100
MAX_NAME = 56
MAX_SHOWN_CHARS = 300


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


def overlay_figures(runs: Sequence[OverlaidRun]) -> dict[str, object]:
    """Draw training loss, validation loss, accuracy and F1 of all runs, with a caption."""
    key = "overlay:" + ",".join(run.config.run_id for run in runs)
    loss = plot_layout(key, "optimizer step", "training loss, smoothed (nats)")
    data = [trace for run in runs if (trace := _loss_trace(run)) is not None]
    figures: dict[str, Any] = {"loss": {"data": data, "layout": loss}}
    for place, what, title, scale in (
        ("validation", "loss", "validation loss (nats)", 1.0),
        ("accuracy", "accuracy", "accuracy (%)", 100.0),
        ("f1", "f1", "F1 (%)", 100.0),
    ):
        layout = plot_layout(key, "epoch", title)
        layout["showlegend"] = False
        traces = [
            _marked_trace(
                run.slot,
                [evaluation.epoch for evaluation in run.series.evaluations],
                [scale * getattr(evaluation, what) for evaluation in run.series.evaluations],
                run.label,
            )
            for run in runs
        ]
        figures[place] = {"data": traces, "layout": layout}
    figures["caption"] = "\n".join(f"{run.slot + 1}: {run.caption}" for run in runs)
    return figures


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, list[object]]:
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


def swatch(slot: int) -> dict[str, str]:
    """Return the colour and the dashes of a place, for a short line beside a name."""
    return {"color": RUN_COLORS[slot], "dash": list(RUN_DASHES.values())[slot]}


def read_slots(value: object) -> list[tuple[int, str]]:
    """Return the chosen runs with their places, as far as what a browser sent makes sense."""
    parts = str(value or "").split(",")[:NUM_SLOTS]
    chosen = {run_id: slot for slot, run_id in reversed(list(enumerate(parts))) if run_id}
    return sorted((slot, run_id) for run_id, slot in chosen.items())


def show_overlay(services: Services, chosen: object) -> Shown:
    """Show a table of the chosen runs and their curves; nothing where there is none."""
    runs = []
    for slot, run_id in read_slots(chosen):
        try:
            view = watch(services.store, run_id)
        except UnknownRunError:
            continue
        with view.record.lock:
            series = take_series(view.record)
        runs.append(OverlaidRun(slot, run_title(view.run), view.run.config, series, run_caption(view)))
    return Shown(overlay_html(runs), overlay_figures(runs)) if runs else Shown("")


def overlay_html(runs: Sequence[OverlaidRun]) -> str:
    """Show the chosen runs with their signs, their best scores, and the settings in which they differ."""
    rows = [
        {
            "swatch": swatch(run.slot),
            "label": run.label,
            "best_f1": render_percent(best.f1 if (best := best_of(run.series.evaluations)) else None),
            "collapsed": has_collapsed(run.series.evaluations),
        }
        for run in runs
    ]
    differing = {
        LABELS.get(name, name): [said_value(name, value) for value in values]
        for name, values in differing_settings([run.config for run in runs]).items()
    }
    return render("train/overlay.html", rows=rows, differing=differing)


def _loss_trace(run: OverlaidRun) -> Figure | None:
    series = run.series
    if not len(series.steps):
        return None
    smoothed = smooth(series.losses, smoothing_span(series.started))
    steps, values = keep_every(series.steps, smoothed, MAX_STEPS_POINTS)
    return line_trace(steps, values, name=run.label, line=_line(run.slot))


def _marked_trace(slot: int, x: list[int], y: list[float], name: str, **options: object) -> Figure:
    marker = {"symbol": RUN_SYMBOLS[slot], "size": 8}
    return line_trace(x, y, name=name, mode="lines+markers", line=_line(slot), marker=marker, **options)


def _line(slot: int) -> dict[str, object]:
    return {"color": RUN_COLORS[slot], "dash": list(RUN_DASHES)[slot], "width": 2}


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
        probabilities = [event.probabilities[pair.pair_id] for event in answered]
        steps = [event.step for event in answered]
        data.append(_marked_trace(slot, steps, probabilities, f"pair {slot + 1}", cliponaxis=False))
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
