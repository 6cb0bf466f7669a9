"""The top of the tab: which run, which two sides. Every view below compares these two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.runs.store import Run

MAX_OTHER_RUNS = 20

ACT: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 8, "show_progress": "minimal"}
"""How every handler of this tab is bound."""

EMPTY_TEXT = (
    '<div class="cmp-empty"><h2>Nothing to compare yet</h2><p>This tab puts a model before and after '
    "fine-tuning side by side. There is no finished run in this runs folder. A preview trains on a part of "
    "the pairs in about a minute; its scores mean little, but everything here will move.</p></div>"
)


@dataclass(frozen=True)
class Frame:
    """The widgets that choose what is compared."""

    run: gr.Dropdown
    left: gr.Dropdown
    right: gr.Dropdown

    def sides(self) -> list[Any]:
        """Return the widgets that every view takes as its first inputs."""
        return [self.left, self.right]


def build_frame() -> Frame:
    """Build the choice of a run and two sides, empty."""
    with gr.Row(elem_id="cmp-frame", equal_height=True):
        run = gr.Dropdown(
            label="Run", choices=[], interactive=True, elem_id="cmp-run", scale=3, min_width=220
        )
        left = gr.Dropdown(
            label="Left", choices=[], interactive=True, elem_id="cmp-left", scale=3, min_width=200
        )
        right = gr.Dropdown(
            label="Right", choices=[], interactive=True, elem_id="cmp-right", scale=3, min_width=200
        )
    return Frame(run, left, right)


def run_choices(runs: list[Run]) -> list[tuple[str, str]]:
    """Return (what people read, run id) for each run."""
    from mrpc.app.compare.sides import run_title

    titles = [run_title(run) for run in runs]
    return [
        (title if titles.count(title) == 1 else f"{title} · {run.run_id}", run.run_id)
        for title, run in zip(titles, runs, strict=True)
    ]


def side_choices(services: Services, run_id: str) -> list[tuple[str, str]]:
    """Return (what people read, side) for a run's sides, the baselines, and the best of other runs."""
    from mrpc.app.compare.sides import BASELINES

    catalog = services.comparison.catalog
    runs = services.comparison.comparable_runs()
    choices = []
    for run in runs:
        if run.run_id == run_id:
            for side in catalog.sides_of(run):
                kept = " · stored answers only" if side.missing else ""
                choices.append((side.title + kept, side.name))
    choices += [(f"baseline: {words}", f"baseline:{name}") for name, words in BASELINES.items()]
    for run in [run for run in runs if run.run_id != run_id][:MAX_OTHER_RUNS]:
        choices += [
            (side.full_title, side.name)
            for side in catalog.sides_of(run)
            if side.name.endswith((":base", ":best", ":last"))
        ]
    return choices
