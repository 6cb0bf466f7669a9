"""A whole split: the verdict first, then scores with intervals, baselines, calibration, the report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.templates import render, render_macro, render_part
from mrpc.app.theme import ASSETS_DIR, plotly_dir
from mrpc.app.view import View, bind
from mrpc.app.widgets import chart, charts, field_row, fold, place, stage, table
from mrpc.errors import InputError
from mrpc.files import write_download
from mrpc.progress import silent

if TYPE_CHECKING:
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.task import Task

STYLES = ("app.css",)
SCRIPTS = ("plots.js", "tables.js")
"""Of the page, and written into a report: it opens without a network."""


def build_scores_view(services: Services, row: SidesRow) -> None:
    """Build the view."""
    verdict = stage("compare-scores")
    against = stage("compare-baselines")
    scores = place(elem_id="cmp-scores")
    View(
        "compare-scores",
        row.on_split,
        {"stage": verdict, "scores": scores},
        partial(draw_scores, services),
        tasks=services.tasks,
    ).bind()
    bind(verdict.select, choose_split, {}, {"split": row.split, "consent": row.consent}, data=("select",))
    with fold("Baselines", "cmp-baselines-section"):
        place(render("compare/about.html", view="baselines"))
        baselines_chart = chart("cmp-baselines", has_table=True)
        baselines_table = table("cmp-baselines-table")
    View(
        "compare-baselines",
        row.on_split,
        {"stage": against, "chart": baselines_chart, "table": baselines_table},
        partial(draw_baselines, services),
        tasks=services.tasks,
    ).bind()
    with fold("Calibration and thresholds", "cmp-calibration-section"):
        _build_calibration(services, row)
    _build_report(services, row)


def _build_calibration(services: Services, row: SidesRow) -> None:
    calibration = stage("compare-calibration")
    curves = charts("cmp-curves", "cmp-roc", "cmp-precision-recall", "cmp-reliability")
    threshold = gr.Slider(0, 1, 0.5, step=0.01, label="Threshold", elem_id="cmp-threshold")
    at_threshold = stage("compare-threshold")
    threshold_chart = chart("cmp-threshold-chart")
    View(
        "compare-calibration",
        row.on_split,
        {"stage": calibration, "threshold": threshold, "curves": curves},
        partial(draw_calibration, services),
    ).bind()
    View(
        "compare-threshold",
        row.on_split | {"threshold": threshold},
        {"stage": at_threshold, "chart": threshold_chart},
        partial(draw_threshold, services),
    ).bind()


def _build_report(services: Services, row: SidesRow) -> None:
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


def draw_scores(services: Services, task: Task, **asked: object) -> dict[str, object]:
    """Draw the verdict and the scores, or ask whether test is to be shown; predict what is missing."""
    from mrpc.app.compare.scores import baseline_findings, one_answer_findings, side_finding

    comparison = services.comparisons.compare_shown(task.progress, **asked)
    if comparison is None:
        return {"stage": render_macro("compare/scores.html", "question"), "scores": ""}
    scores = comparison.scores
    found = one_answer_findings(scores)
    found += baseline_findings(scores, comparison.baselines(False, task.progress), ["majority"])
    verdict = render_macro("compare/scores.html", "verdict", scores, found)
    rest = render_macro("compare/parts.html", "findings", [side_finding(scores)])
    rest += render_macro("compare/scores.html", "score_table", scores)
    return {"stage": verdict, "scores": rest}


def draw_baselines(services: Services, task: Task, **asked: object) -> dict[str, object]:
    """Compare with the cosine of the untrained encoder where it is known, and draw the baselines.

    What needs the encoder is worked out in the background; the view asks again until it is there.
    """
    from mrpc.app.compare.background import Job
    from mrpc.app.compare.pair_tables import baselines_table
    from mrpc.app.compare.score_figures import baselines_figure
    from mrpc.app.compare.scores import baseline_findings
    from mrpc.app.compare.sides import BASELINES

    comparison = services.comparisons.compare_shown(task.progress, **asked)
    if comparison is None:
        return {"stage": "", "chart": None, "table": None}
    baselines = comparison.baselines(False, task.progress)
    found = baseline_findings(comparison.scores, baselines, ["embedding"])
    named = comparison.scores.beside(baselines)
    waits = ""
    if len(baselines) < len(BASELINES):
        first, second = comparison.sides.map(lambda side: side.name)
        said = services.background.want(Job("baselines", first, second, comparison.split))
        missing = [title for title in BASELINES.values() if title not in dict(named)]
        waits = render_macro("compare/scores.html", "waits", missing, said)
    return {
        "stage": render_macro("compare/parts.html", "findings", found) + waits,
        "chart": baselines_figure(named),
        "table": baselines_table(named),
    }


def draw_calibration(services: Services, **asked: object) -> dict[str, object]:
    """Draw how well probabilities rank the pairs and mean what they say."""
    from mrpc.app.compare import score_figures as figures

    comparison = services.comparisons.compare_shown(silent, **asked)
    if comparison is None:
        return {"stage": "", "curves": None}
    scores = comparison.scores
    return {
        "stage": render_macro("compare/scores.html", "calibrations", scores, comparison.calibration()),
        "threshold": gr.update(label=f"Threshold: answer “{scores.words[1]}” above"),
        "curves": [
            figures.roc_figure(scores),
            figures.precision_recall_figure(scores),
            figures.reliability_figure(scores),
        ],
    }


def draw_threshold(services: Services, threshold: object, **asked: object) -> dict[str, object]:
    """Show the scores at a threshold."""
    from mrpc.app.compare.score_figures import threshold_figure
    from mrpc.app.inputs import check_number
    from mrpc.core.analysis.calibration import confusion_at

    comparison = services.comparisons.compare_shown(silent, **asked)
    if comparison is None:
        return {"stage": "", "chart": None}
    threshold = check_number(threshold, "The threshold", 0, 1)
    scores = comparison.scores
    cells = scores.sides.map(lambda side: confusion_at(side.answers, threshold))
    text = render_macro("compare/scores.html", "at_threshold", scores, threshold, cells)
    return {"stage": text, "chart": threshold_figure(scores, threshold)}


def choose_split(select: object) -> dict[str, object]:
    """Show test when that was the answer, else go back to validation."""
    is_test = select == "test"
    return {"split": "test" if is_test else "validation", "consent": is_test}


def write_report(services: Services, cache_dir: Path, task: Task, **asked: object) -> dict[str, object]:
    """Write the report of the split that is shown, with the page's styles and scripts in it, and offer it."""
    from mrpc.app.compare.report import Assets, render_report

    comparison = services.comparisons.compare_shown(task.progress, **asked)
    if comparison is None:
        raise InputError("Test is not shown yet. Show it above, or go back to validation.")
    run = comparison.sides.second.run or comparison.sides.first.run
    name = f"comparison-{run.run_id if run else 'baselines'}-{comparison.split}.html"
    css, javascript = (
        "\n".join((ASSETS_DIR / name).read_text("utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    plotly_js = (plotly_dir() / "plotly.min.js").read_text("utf-8")
    text = render_report(comparison, Assets(css, javascript, plotly_js), task.progress)
    return {
        "stage": render_part("note", "The report is ready.", "good"),
        "download": gr.update(value=write_download(cache_dir, name, text), interactive=True),
    }
