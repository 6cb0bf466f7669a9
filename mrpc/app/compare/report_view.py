"""One click writes the whole comparison as an HTML file that opens offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.sides_view import compare_in_view
from mrpc.app.downloads import write_download
from mrpc.app.layout import field_row
from mrpc.app.templates import render_part
from mrpc.app.theme import ASSETS_DIR, plotly_dir
from mrpc.app.view import View, stage
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.compare.comparisons import Comparison
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.task import Task

NOTE = (
    "Figures, tables, settings, versions and fingerprints in one file of about 5 MB that needs no "
    "network, in light and dark. The behavioural tests are in it if they were run."
)
STYLES = ("app.css", "compare.css")
SCRIPTS = ("plots.js", "tables.js")


def build_report(services: Services, row: SidesRow) -> None:
    """Build the button."""
    with field_row(elem_classes="cmp-controls"):
        write = gr.Button("Write the report", scale=0, elem_id="cmp-report")
        download = gr.DownloadButton("Download", interactive=False, scale=0, elem_id="cmp-report-download")
    drawn = stage("compare-report", follows=False, intro=render_part("quiet", NOTE))
    cache_dir = Path(download.GRADIO_CACHE)
    View(
        "compare-report",
        row.on_split,
        {"stage": drawn, "download": download},
        lambda **values: write_report(services, cache_dir, **values),
        tasks=services.tasks,
        on_demand=write,
    ).bind()


def write_report(services: Services, cache_dir: Path, task: Task, **asked: object) -> dict[str, object]:
    """Write the report of the split that is shown and offer it."""
    comparison = compare_in_view(services, task.progress, **asked)
    if comparison is None:
        raise InputError("Test is not shown yet. Show it above, or go back to validation.")
    file = write_download(cache_dir, report_name(comparison), report_text(comparison, task))
    return {
        "stage": render_part("note", "The report is ready.", "good"),
        "download": gr.update(value=file, interactive=True),
    }


def report_name(comparison: Comparison) -> str:
    """Return the name of a report's file."""
    run = comparison.sides.second.run or comparison.sides.first.run
    return f"comparison-{run.run_id if run else 'baselines'}-{comparison.split}.html"


def report_text(comparison: Comparison, task: Task) -> str:
    """Return a report with the page's own styles and scripts in it."""
    from mrpc.app.compare.report import render_report

    def assets(names: tuple[str, ...]) -> str:
        return "\n".join((ASSETS_DIR / name).read_text(encoding="utf-8") for name in names)

    return render_report(
        comparison,
        css=assets(STYLES),
        javascript=assets(SCRIPTS),
        plotly_js=(plotly_dir() / "plotly.min.js").read_text(encoding="utf-8"),
        on_progress=task.progress,
    )
