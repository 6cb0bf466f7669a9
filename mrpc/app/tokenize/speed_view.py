"""Inspect, Batch, second part: how long each way of tokenizing a split takes, and the map that fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import Linked, choices, whole
from mrpc.app.layout import field_row
from mrpc.app.templates import render
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.view import View, place, stage

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task
    from mrpc.app.tokenize.speed import WayProgress

WAY_NAMES = {
    "one_call": ("One call with lists", "tokenizer(list(rows['sentence1']), list(rows['sentence2']))"),
    "one_by_one": ("map, one by one", "rows.map(tokenize_function)"),
    "batched": ("map, batched", "rows.map(tokenize_function, batched=True)"),
    "two_processes": ("map, batched, two processes", "rows.map(tokenize_function, batched=True, num_proc=2)"),
}


def build_speed_section(services: Services, spine: Spine, checkpoint: gr.Dropdown, split: gr.Radio) -> None:
    """Build the section inside the view of batches.

    Args:
        services: of the app.
        spine: gets what stands in the address.
        checkpoint: whose tokenizer.
        split: the split that is tokenized.
    """
    place(render("tokenize/about.html", view="speed"))
    with field_row(elem_classes="tk-controls"):
        ways = gr.CheckboxGroup(
            [(name, way) for way, (name, _) in WAY_NAMES.items()],
            value=list(WAY_NAMES),
            label="Ways",
            elem_id="speed-ways",
        )
        num_rows = gr.Number(
            0, label="Rows, 0 for all", precision=0, minimum=0, elem_id="speed-rows", min_width=120
        )
        measure = gr.Button(
            "Measure", size="md", variant="primary", elem_id="speed-run", scale=0, min_width=140
        )
    measured = stage("speed", follows=False)
    code = stage("speed-code")
    place(render("tokenize/about.html", view="failing_map"))
    fail = gr.Button("Run the failing map", size="md", elem_id="failing-map-run", scale=0, min_width=200)
    failed = stage("failing-map", follows=False)

    chosen = {"checkpoint": checkpoint, "split": split, "num_rows": num_rows}
    View(
        "speed",
        chosen | {"ways": ways},
        {"shown": measured},
        partial(measure_ways, services),
        tasks=services.tasks,
        on_demand=measure,
    ).bind()
    View("speed-code", chosen, {"shown": code}, partial(show_code, services)).bind()
    View(
        "failing-map",
        {"split": split},
        {"shown": failed},
        partial(run_failing_map, services),
        on_demand=fail,
    ).bind()
    spine.links.extend([Linked("num", num_rows, whole(0, 10**9)), Linked("ways", ways, choices(*WAY_NAMES))])


def measure_ways(
    services: Services, checkpoint: str, split: object, num_rows: object, ways: Sequence[object], task: Task
) -> str:
    """Tokenize the split in each way, and draw how far each is until all are done."""

    def on_progress(ways: Sequence[WayProgress]) -> None:
        now = next((way for way in ways if way.state in {"waiting", "starting", "running"}), ways[-1])
        task.progress(WAY_NAMES[now.way][0], now.rows_done, now.num_rows, render_ways(ways))

    return render_ways(services.tokenization_speed.measure(split, num_rows, ways, checkpoint, on_progress))


def render_ways(ways: Sequence[WayProgress]) -> str:
    """Draw one line a way, with its bar and what was measured."""
    return render("tokenize/speed.html", ways=ways, names=WAY_NAMES)


def show_code(services: Services, checkpoint: str, split: str, num_rows: object) -> str:
    """Draw the code that tokenizes the split in all ways."""
    of_split = services.explorer.page(split).num_rows
    wanted = num_rows if isinstance(num_rows, int) and 0 < num_rows <= of_split else of_split
    source = services.checkpoints.spec(checkpoint).source
    return render("tokenize/code.html", code=snippet("tokenize_all", source, split, wanted))


def run_failing_map(services: Services, split: object) -> str:
    """Run the map that fails, and the one that works."""
    return render(
        "tokenize/failing_map.html",
        failed=services.tokenization_speed.fail_on_purpose(split),
        failing_code=snippet("failing_map"),
        fixed_code=snippet("fixed_map"),
    )
