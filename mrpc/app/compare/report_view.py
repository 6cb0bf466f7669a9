"""One click writes the whole comparison as an HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.own_view import write_download
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import quiet
from mrpc.app.theme import ASSETS_DIR

if TYPE_CHECKING:
    from mrpc.app.compare.reporting import Report
    from mrpc.app.services import Services

NOTE = quiet(
    "Figures, tables, settings, versions and fingerprints in one file of about 5 MB that needs no network. "
    "It is about the split that is shown under “The split”. Probes are in it if they were run."
)


def build_report_view(services: Services, frame: Frame, split: gr.Textbox) -> dict[str, Any]:
    """Build the view; return how to take back a report that is about other sides."""
    gr.HTML(NOTE)
    with gr.Row(elem_classes="cmp-controls"):
        write = gr.Button("Write the report", variant="primary", scale=0, elem_id="cmp-report")
        download = gr.DownloadButton("Download", visible=False, scale=0, elem_id="cmp-report-download")
    status = gr.HTML(elem_id="cmp-report-status")
    write.click(
        partial(on_report, services, Path(download.GRADIO_CACHE)),
        inputs=[*frame.sides(), split],
        outputs=[status, download],
        **ACT,
    )
    return {"fn": on_other_sides, "outputs": [status, download], **ACT}


def on_other_sides() -> list[Any]:
    """Take back the report."""
    return ["", gr.update(visible=False)]


def on_report(services: Services, cache_dir: Path, left: Any, right: Any, split: Any) -> Iterator[list[Any]]:
    """Write the report and offer it."""

    def work(report: Any, should_stop: Any) -> Report:
        return services.comparison.report(left, right, split, report, should_stop)

    for updates in followed(work, 2, partial(_write, cache_dir)):
        yield updates if updates[0] else [render_note("The report is ready."), updates[1]]


def _write(cache_dir: Path, report: Report) -> list[Any]:
    from mrpc.app.compare.render_report import render_report
    from mrpc.app.theme import plotly_dir

    css = "\n".join((ASSETS_DIR / name).read_text(encoding="utf-8") for name in ("app.css", "compare.css"))
    text = render_report(
        report,
        css=css,
        javascript=(ASSETS_DIR / "compare.js").read_text(encoding="utf-8"),
        plotly_js=(plotly_dir() / "plotly.min.js").read_text(encoding="utf-8"),
    )
    run = report.comparison.right.side.run or report.comparison.left.side.run
    name = f"comparison-{run.run_id if run else 'baselines'}-{report.comparison.split}.html"
    return [gr.update(value=write_download(cache_dir, name, text), visible=True)]
