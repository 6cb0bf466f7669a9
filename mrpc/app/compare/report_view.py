"""One click writes the whole comparison as an HTML file that opens offline."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.sides_view import compare_in_view
from mrpc.app.downloads import write_download
from mrpc.app.layout import field_row
from mrpc.app.templates import render, render_part
from mrpc.app.theme import ASSETS_DIR, plotly_dir
from mrpc.app.view import View, stage
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.task import Task

STYLES = ("app.css", "compare.css")
SCRIPTS = ("plots.js", "tables.js")


def build_report(services: Services, row: SidesRow) -> None:
    """Build the button."""
    with field_row(elem_classes="cmp-controls"):
        write = gr.Button("Write the report", scale=0, elem_id="cmp-report")
        download = gr.DownloadButton("Download", interactive=False, scale=0, elem_id="cmp-report-download")
    drawn = stage("compare-report", follows=False, intro=render("compare/about.html", view="report"))
    cache_dir = Path(download.GRADIO_CACHE)
    View(
        "compare-report",
        row.on_split,
        {"stage": drawn, "download": download},
        partial(write_report, services, cache_dir),
        tasks=services.tasks,
        on_demand=write,
    ).bind()


def write_report(services: Services, cache_dir: Path, task: Task, **asked: object) -> dict[str, object]:
    """Write the report of the split that is shown, with the page's styles and scripts in it, and offer it."""
    from mrpc.app.compare.report import render_report

    comparison = compare_in_view(services, task.progress, **asked)
    if comparison is None:
        raise InputError("Test is not shown yet. Show it above, or go back to validation.")
    run = comparison.sides.second.run or comparison.sides.first.run
    name = f"comparison-{run.run_id if run else 'baselines'}-{comparison.split}.html"
    css, javascript = (
        "\n".join((ASSETS_DIR / name).read_text("utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    plotly_js = (plotly_dir() / "plotly.min.js").read_text("utf-8")
    text = render_report(comparison, css, javascript, plotly_js, task.progress)
    return {
        "stage": render_part("note", "The report is ready.", "good"),
        "download": gr.update(value=write_download(cache_dir, name, text), interactive=True),
    }
