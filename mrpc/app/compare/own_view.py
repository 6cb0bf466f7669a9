"""A person's own pairs: pasted or uploaded, answered by both sides, downloaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.templates import render
from mrpc.app.view import View
from mrpc.app.widgets import field_row, place, stage, table
from mrpc.core.data.pairs import SUFFIXES
from mrpc.files import write_download

if TYPE_CHECKING:
    from mrpc.app.compare.comparisons import OwnAnswers
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.task import Task


def build_own_view(services: Services, row: SidesRow) -> None:
    """Build the view."""
    place(render("compare/about.html", view="own"))
    with field_row(equal_height=False):
        lines = gr.Textbox(
            label="Your pairs", lines=6, max_lines=14, elem_id="cmp-own-text", scale=2, min_width=280
        )
        file = gr.File(
            label="or a file",
            file_types=[*SUFFIXES[:-1], ".gz"],
            type="filepath",
            elem_id="cmp-own-file",
            scale=1,
            min_width=240,
            height=170,
        )
    with field_row(elem_classes="cmp-controls"):
        ask = gr.Button("Ask both sides", variant="primary", scale=0, elem_id="cmp-own-ask")
        download = gr.DownloadButton(
            "Download all answers", interactive=False, scale=0, elem_id="cmp-own-download"
        )
    drawn = stage("compare-own", follows=False)
    answers = table("cmp-own-answers")
    cache_dir = Path(download.GRADIO_CACHE)
    View(
        "compare-own",
        row.sides | {"text": lines, "path": file},
        {"stage": drawn, "answers": answers, "download": download},
        partial(draw_own, services, cache_dir),
        tasks=services.tasks,
        on_demand=ask,
    ).bind()


def draw_own(
    services: Services, cache_dir: Path, task: Task, first: object, second: object, text: object, path: object
) -> dict[str, object]:
    """Ask both sides and offer the answers."""
    from mrpc.app.compare.pair_tables import own_table
    from mrpc.app.compare.sides import side_names

    found = services.comparisons.answer_own(first, second, text, path, task.progress)
    file = write_download(cache_dir, "your-pairs.csv", found.as_csv())
    return {
        "stage": render_own(found),
        "answers": own_table(side_names(found.sides), found),
        "download": gr.update(value=file, interactive=True),
    }


def render_own(found: OwnAnswers) -> str:
    """Say how many answers differ, how fast it went, and how good they are where labels are known."""
    from mrpc.app.compare.pair_tables import MAX_OWN_SHOWN
    from mrpc.app.compare.scores import one_answer_findings, side_finding

    scores = found.scores
    findings = [] if scores is None else [*one_answer_findings(scores), side_finding(scores)]
    return render(
        "compare/own.html",
        found=found,
        num=len(found.pairs),
        rate=2 * len(found.pairs) / max(found.duration_s, 1e-9),
        max_shown=MAX_OWN_SHOWN,
        findings=findings,
        scores=scores,
    )
