"""The row above the views: which two sides are compared, and on which split. Or what to do without a run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import Linked, choice, text
from mrpc.app.spine import run_update
from mrpc.app.templates import render, render_part
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, stage
from mrpc.errors import TaskCancelled

if TYPE_CHECKING:
    from gradio.components import Component

    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task

POLL_S = 0.5


@dataclass(frozen=True)
class SidesRow:
    """The widgets that say what is compared."""

    first: gr.Dropdown
    second: gr.Dropdown
    split: gr.Radio
    consent: gr.Checkbox

    @property
    def sides(self) -> dict[str, Component]:
        """Both sides as inputs of a view, by name."""
        return {"first": self.first, "second": self.second}

    @property
    def on_split(self) -> dict[str, Component]:
        """Both sides, and what they are compared on, as inputs of a view."""
        return self.sides | {"split": self.split, "consent": self.consent}


def build_sides(services: Services, spine: Spine) -> SidesRow:
    """Build the row and bind it to the current run."""
    shown = stage("compare-sides")
    with field_row("cmp-sides", equal_height=True):
        # Each page has its own list, so any text may come: whoever looks for a side checks it.
        first = gr.Dropdown(
            [], value=None, label="Compare", elem_id="cmp-first", allow_custom_value=True, min_width=240
        )
        second = gr.Dropdown(
            [], value=None, label="with", elem_id="cmp-second", allow_custom_value=True, min_width=240
        )
        split = gr.Radio(
            ["validation", "test"],
            value="validation",
            label="Scores on",
            elem_id="cmp-split",
            min_width=200,
            scale=0,
        )
        consent = gr.Checkbox(
            False, label="Everything is decided: show test", elem_id="cmp-consent", min_width=190, scale=0
        )
    row = SidesRow(first, second, split, consent)
    View(
        "compare-sides",
        {"run": spine.run},
        {"stage": shown, "first": first, "second": second},
        partial(draw_sides, services),
        given=row.sides,
    ).bind()
    bind(
        shown.select,
        partial(train_preview, services),
        {},
        {"stage": shown, "run": spine.run},
        tasks=services.tasks,
        changes=True,
        previews=True,
    )
    spine.links.extend(
        [
            Linked("first", first, text(100)),
            Linked("second", second, text(100)),
            Linked("split", split, choice("validation", "test")),
        ]
    )
    return row


def draw_sides(services: Services, run: object, first: object, second: object) -> dict[str, object]:
    """Offer what can be compared now; keep what was chosen as long as it has to do with the current run."""
    runs = services.comparisons.catalog.comparable_runs()
    if not runs:
        holder = services.store.holder()
        return {"stage": render("compare/empty.html", status=holder and holder.read_status())}
    ids = [found.run_id for found in runs]
    note = ""
    if run not in ids:
        if run:
            note = render_part(
                "note",
                "The current run has no finished model yet, so the newest run that has one is compared.",
            )
        run = ids[0]
    choices = services.comparisons.catalog.choices(runs, run)
    names = [name for _, name in choices]
    is_kept = all(side in names for side in (first, second))
    is_kept = is_kept and any(str(side).startswith(f"{run}:") for side in (first, second))
    if not is_kept:
        first, second = f"{run}:base", f"{run}:best"
    return {
        "stage": note,
        "first": gr.update(choices=choices, value=first),
        "second": gr.update(choices=choices, value=second),
    }


def train_preview(services: Services, task: Task) -> dict[str, object]:
    """Start a short training and wait for it; whoever stops waiting does not stop it."""
    run_id = services.launcher.start({"preset": "quick"})
    run = services.store.open(run_id)
    try:
        while run.living_process() is not None:
            status = run.read_status()
            task.progress("Training a preview, step", status.step, status.num_steps or 0)
            time.sleep(POLL_S)
    except TaskCancelled:
        pass
    return {"stage": render_part("loading"), "run": run_update(services, run_id)}
