"""Inspect, Batch: a batch as a grid, padded in several ways, and what padding costs over the split.

Below it, how long each way of tokenizing a split takes, and the map that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import MAX_BATCH_ROWS, Linked, choice, choices, text, whole
from mrpc.app.templates import render
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, place, stage
from mrpc.core.data.pairs import SPLITS

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task
    from mrpc.app.tokenize.speed import WayProgress

FIRST_ROWS = "0-7"
NUM_DRAWN = 8
PAD_NAMES = {
    "longest": "the longest of the batch",
    "multiple_of_8": "a multiple of 8",
    "split": "the longest of the split",
    "128": "128",
    "512": "512",
}
WAY_NAMES = {
    "one_call": ("One call with lists", "tokenizer(list(rows['sentence1']), list(rows['sentence2']))"),
    "one_by_one": ("map, one by one", "rows.map(tokenize_function)"),
    "batched": ("map, batched", "rows.map(tokenize_function, batched=True)"),
    "two_processes": ("map, batched, two processes", "rows.map(tokenize_function, batched=True, num_proc=2)"),
}


def build_batch_view(services: Services, spine: Spine, checkpoint: gr.Dropdown) -> None:
    """Build the view.

    Args:
        services: of the app.
        spine: gets what stands in the address.
        checkpoint: whose tokenizer.
    """
    place(render("tokenize/about.html", view="batch"))
    with field_row(elem_classes="tk-controls"):
        split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="batch-split")
        rows = gr.Textbox(
            FIRST_ROWS,
            label=f"Rows, up to {MAX_BATCH_ROWS}",
            max_lines=1,
            elem_id="batch-rows",
            min_width=160,
        )
        pad_to = gr.Radio(
            [(name, value) for value, name in PAD_NAMES.items()],
            value="longest",
            label="Pad to",
            elem_id="batch-pad",
        )
        draw = gr.Button("Draw 8 at random", size="md", elem_id="batch-draw", scale=0, min_width=160)
    batch = stage("batch")
    batch_size = gr.Slider(1, 64, 8, step=1, label="Batch size for the whole split", elem_id="batch-size")
    report = place(elem_id="split-padding")
    _build_speed_section(services, spine, checkpoint, split)

    View(
        "batch",
        {"checkpoint": checkpoint, "split": split, "rows": rows, "pad_to": pad_to, "batch_size": batch_size},
        {"batch": batch, "report": report},
        partial(draw_batch, services),
    ).bind()
    bind(draw.click, partial(on_draw_rows, services), {"split": split}, {"rows": rows})
    spine.links.extend(
        [
            Linked("batch_of", split, choice(*SPLITS)),
            Linked("pick", rows, text(120)),
            Linked("to", pad_to, choice(*PAD_NAMES)),
            Linked("size", batch_size, whole(1, 64)),
        ]
    )


def draw_batch(
    services: Services, checkpoint: str, split: str, rows: object, pad_to: str, batch_size: object
) -> dict[str, object]:
    """Draw the batch and the report of the split."""
    batch = services.padding.batch(split, rows, checkpoint, pad_to)
    padding = services.padding.report(split, checkpoint, batch_size)
    spec = services.checkpoints.spec(checkpoint)
    code = snippet(
        "pad_batch",
        hub_name=spec.source,
        split=split,
        rows=[row.number for row in batch.rows],
        pad_to=pad_to,
        longest_of_split=batch.lengths_by_choice["split"],
    )
    return {
        "batch": render("tokenize/batch.html", batch=batch, names=PAD_NAMES, checkpoint=spec.label),
        "report": render(
            "tokenize/split_padding.html", padding=padding, split=split, batch_size=batch_size, code=code
        ),
    }


def on_draw_rows(services: Services, split: object) -> str:
    """Draw the numbers of some rows at random."""
    return ", ".join(map(str, services.padding.draw_rows(split, NUM_DRAWN)))


def _build_speed_section(services: Services, spine: Spine, checkpoint: gr.Dropdown, split: gr.Radio) -> None:
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
        partial(draw_speed, services),
        tasks=services.tasks,
        on_demand=measure,
    ).bind()
    View("speed-code", chosen, {"shown": code}, partial(draw_speed_code, services)).bind()
    View(
        "failing-map",
        {"split": split},
        {"shown": failed},
        partial(draw_failing_map, services),
        on_demand=fail,
    ).bind()
    spine.links.extend([Linked("num", num_rows, whole(0, 10**9)), Linked("ways", ways, choices(*WAY_NAMES))])


def draw_speed(
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


def draw_speed_code(services: Services, checkpoint: str, split: str, num_rows: object) -> str:
    """Draw the code that tokenizes the split in all ways."""
    of_split = services.explorer.page(split).num_rows
    wanted = num_rows if isinstance(num_rows, int) and 0 < num_rows <= of_split else of_split
    source = services.checkpoints.spec(checkpoint).source
    return render(
        "tokenize/code.html", code=snippet("tokenize_all", hub_name=source, split=split, num_rows=wanted)
    )


def draw_failing_map(services: Services, split: object) -> str:
    """Run the map that fails, and the one that works."""
    return render(
        "tokenize/failing_map.html",
        failed=services.tokenization_speed.fail_on_purpose(split),
        failing_code=snippet("failing_map"),
        fixed_code=snippet("fixed_map"),
    )
