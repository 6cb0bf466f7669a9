"""View 5: the whole split tokenized in several ways, measured live; and the map that fails."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert
from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.link import Linked, choice, choices, whole
from mrpc.app.tokenize.render_speed import WAYS, render_failed_map, render_ways
from mrpc.app.tokenize.view import SLOW, View, code_fold, intro, or_notice, view_html
from mrpc.core.data.pairs import SPLITS
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services


def build_speed_view(services: Services, checkpoint: gr.Dropdown) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "Tokenize the whole split",
            "One call gives lists that must all fit into memory; <code>map</code> writes to disk as it goes, "
            "and <code>batched=True</code> hands the tokenizer many rows at once. Each way runs in a fresh "
            "process, one after the other, without a cache.",
        )
        with gr.Row(elem_classes="tk-controls"):
            split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="tk-p-split")
            rows = gr.Number(
                0,
                label="Rows, 0 for all",
                precision=0,
                minimum=0,
                elem_id="tk-p-rows",
                scale=0,
                min_width=140,
            )
            ways = gr.CheckboxGroup(
                [(name, way) for way, (name, _) in WAYS.items()],
                value=list(WAYS),
                label="Ways",
                elem_id="tk-p-ways",
            )
        with gr.Row(elem_classes="tk-buttons"):
            run = gr.Button(
                "Measure", size="md", variant="primary", elem_id="tk-p-run", scale=0, min_width=140
            )
            cancel = gr.Button(
                "Cancel", size="md", elem_id="tk-p-cancel", scale=0, min_width=120, interactive=False
            )
        measured = view_html(elem_id="tk-speed")
        job = gr.Textbox(visible=False)
        code = code_fold()
        view_html(
            value="<div class='tk-view'><h3>A map that fails</h3><p class='tk-text-block'>Add a column "
            "<code>testtest</code> with a single value in a batched map, and see what datasets "
            "says.</p></div>"
        )
        fail = gr.Button("Run the failing map", size="md", elem_id="tk-p-fail", scale=0, min_width=200)
        failed = view_html(elem_id="tk-failed")
    run.click(
        partial(on_measure, services),
        inputs=[split, rows, ways, checkpoint],
        outputs=[measured, job, run, cancel],
        **(SLOW | {"show_progress": "hidden"}),
    )
    cancel.click(partial(on_cancel, services), inputs=job, api_visibility="private", concurrency_limit=None)
    fail.click(partial(on_fail, services), inputs=split, outputs=failed, **SLOW)
    return View(
        "speed",
        column,
        [split, rows],
        [code],
        partial(on_speed, services),
        (
            Linked("measure", split, choice(*SPLITS)),
            Linked("num", rows, whole(0, 10**9)),
            Linked("ways", ways, choices(*WAYS)),
        ),
    )


def on_speed(
    services: Services, sentence1: Any, sentence2: Any, checkpoint: Any, split: Any, rows: Any
) -> list[Any]:
    """Draw the code."""

    def render() -> list[str]:
        there_are = services.explorer.page(split).num_rows
        wanted = rows if isinstance(rows, int) and 0 < rows <= there_are else there_are
        hub_name = services.inspection.tokenizers.hub_name(checkpoint)
        return [render_code(snippets.tokenize_all(hub_name, split, wanted))]

    return or_notice(render, 1)


def on_measure(
    services: Services, split: Any, rows: Any, ways: Any, checkpoint: Any
) -> Iterator[tuple[Any, ...]]:
    """Measure, and draw how far it is until it is done."""
    idle = (gr.update(interactive=True), gr.update(interactive=False))
    busy = (gr.update(interactive=False), gr.update(interactive=True))
    drawn, job = "", ""
    try:
        for job, progress in services.tokenization_speed.measure(split, rows, ways, checkpoint):
            html = render_ways(progress)
            if html != drawn:
                drawn = html
                yield drawn, job, *busy
    except MrpcError as error:
        yield render_alert(str(error)), "", *idle
        return
    yield drawn, job, *idle


def on_cancel(services: Services, job: Any) -> None:
    """End a measurement."""
    services.tokenization_speed.cancel(job)


def on_fail(services: Services, split: Any) -> str:
    """Run the map that fails, and the mended one."""
    try:
        failed = services.tokenization_speed.fail_on_purpose(split)
        return render_failed_map(failed, snippets.FAILING_MAP, snippets.MENDED_MAP)
    except MrpcError as error:
        return render_alert(str(error))
