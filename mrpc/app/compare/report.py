"""Everything that a report of a comparison says, and the one HTML file that it becomes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from mrpc.app.compare import pair_tables, score_figures, where_figures
from mrpc.app.compare.behavioral import TestResult
from mrpc.app.compare.calibration import Calibrations
from mrpc.app.compare.cartography import TrainingMap
from mrpc.app.compare.comparisons import Comparison
from mrpc.app.compare.scores import SideScores
from mrpc.app.compare.scores_view import metrics_of
from mrpc.app.compare.sides import Side, side_names
from mrpc.app.compare.verdict import RIVALS, Finding, baseline_findings, one_answer_findings, side_finding
from mrpc.app.format import run_title
from mrpc.app.task import OnProgress, silent
from mrpc.app.templates import render
from mrpc.config import changed_settings
from mrpc.errors import UnavailableError
from mrpc.runs.process import installed_versions

if TYPE_CHECKING:
    from mrpc.app.compare.score_figures import Figure
    from mrpc.app.format import Table

MAX_LISTED_CHANGES = 40


@dataclass(frozen=True)
class Report:
    """What a report says.

    Attributes:
        written_at: unix time, in seconds.
        facts: what is known of the first side, the second, and the data, each name to text.
        comparison: what it is about.
        findings: the sentences of the verdict.
        calibrations: what validation chose for both sides.
        baselines: those that were fitted, the simplest first.
        behavioral_tests: None if they were not run.
        training_map: None where there is none.
        why_no_map: why there is none; "" where there is one.
    """

    written_at: float
    facts: list[tuple[str, dict[str, str]]]
    comparison: Comparison
    findings: list[Finding]
    calibrations: Calibrations
    baselines: list[SideScores]
    behavioral_tests: list[TestResult] | None
    training_map: TrainingMap | None
    why_no_map: str


def make_report(comparison: Comparison, on_progress: OnProgress = silent) -> Report:
    """Put together all that is known of a comparison; behavioural tests are in it if they were run."""
    scores = comparison.scores
    baselines = comparison.baselines(False, on_progress)
    try:
        training_map, why_no_map = comparison.training_map, ""
    except UnavailableError as error:
        training_map, why_no_map = None, str(error)
    names = side_names(comparison.sides)
    return Report(
        written_at=time.time(),
        facts=[
            (names.first, describe_side(comparison.sides.first)),
            (names.second, describe_side(comparison.sides.second)),
            ("Data and versions", describe_data(comparison)),
        ],
        comparison=comparison,
        findings=[
            *one_answer_findings(scores),
            *baseline_findings(scores, baselines, RIVALS),
            side_finding(scores),
        ],
        calibrations=comparison.calibration(on_progress),
        baselines=baselines,
        behavioral_tests=comparison.known_behavioral_tests(),
        training_map=training_map,
        why_no_map=why_no_map,
    )


def describe_side(side: Side) -> dict[str, str]:
    """Return what is known of a side, for people."""
    facts = {"side": side.full_title, "name": side.name}
    if side.run is None:
        return facts
    config = side.run.config
    changed = ", ".join(f"{name} {value}" for name, value in changed_settings(config.hyperparameters).items())
    process = side.run.read_process()
    versions = process.versions if process else {}
    facts |= {
        "run": f"{run_title(side.run)} ({side.run.run_id})",
        "checkpoint": side.checkpoint,
        "trained": f"{side.step} steps" if side.step else "not at all: the head is random",
        "weights sha256": side.weights_sha256,
        "preset": config.hyperparameters.preset,
        "changed settings": changed or "none",
        "seed": str(config.hyperparameters.seed),
        "trained with": _versions(versions) or "unknown",
    }
    return facts


def describe_data(comparison: Comparison) -> dict[str, str]:
    """Return what is known of the data and of the packages in this process, for people."""
    ref = comparison.sides.second.data or comparison.sides.first.data
    labels = comparison.scores.labels
    facts = {
        "split": f"{comparison.split}, {len(labels):,} pairs, {100 * float(labels.mean()):.1f} % "
        f"{comparison.scores.words[1]}"
    }
    if ref is not None:
        facts |= {
            "data": ref.name,
            "source": {"hub": "Hugging Face Hub", "folder": "a folder", "sample": "bundled sample"}[ref.kind],
            "fingerprint": ref.fingerprint,
            "fingerprint of the split": ref.split_fingerprints.get(comparison.split, "unknown"),
        }
    return facts | {"computed with": _versions(installed_versions())}


def render_report(report: Report, css: str, javascript: str, plotly_js: str) -> str:
    """Return the whole file, which needs nothing else.

    Args:
        report: what it says.
        css: the style sheets of the page.
        javascript: the page's scripts for charts and tables.
        plotly_js: plotly's own script.
    """
    comparison = report.comparison
    names = side_names(comparison.sides)
    return render(
        "compare/report.html",
        report=report,
        names=names,
        scores=comparison.scores,
        title=f"{names.first} and {names.second} on {comparison.split}",
        runs=sorted({side.run.run_id for side in comparison.sides if side.run is not None}),
        written=time.strftime("%Y-%m-%d %H:%M", time.localtime(report.written_at)),
        metrics=metrics_of(comparison.scores),
        content=_as_json({"figures": _figures(report), "tables": _tables(report)}),
        css=Markup(css),
        javascript=_inline(javascript),
        plotly_js=_inline(plotly_js),
    )


def _figures(report: Report) -> dict[str, Figure]:
    scores = report.comparison.scores
    names = side_names(report.comparison.sides)
    named = [(side.side.title.removeprefix("Baseline: "), side) for side in report.baselines]
    named += [
        (name, side) for name, side in zip(names, scores.sides, strict=True) if side.side.kind != "baseline"
    ]
    threshold = round(report.calibrations.sides.second.threshold, 2)
    figures = {
        "roc": score_figures.roc_figure(scores),
        "precision-recall": score_figures.precision_recall_figure(scores),
        "reliability": score_figures.reliability_figure(scores),
        "threshold": score_figures.threshold_figure(scores, threshold),
        "baselines": score_figures.baselines_figure(named),
    }
    if report.behavioral_tests:
        plot_names = score_figures.plot_names(report.comparison.sides)
        figures["tests"] = where_figures.tests_figure(plot_names, report.behavioral_tests)
    if report.training_map is not None:
        figures["map"] = where_figures.map_figure(report.training_map.points())
    return {name: figure for name, figure in figures.items() if figure}


def _tables(report: Report) -> dict[str, Table]:
    comparison, names = report.comparison, side_names(report.comparison.sides)
    tables = {"kinds": pair_tables.kinds_table(names, comparison.changes.kinds)}
    for cell in ("fixed", "broken"):
        pairs = comparison.changes.in_cell(cell)[:MAX_LISTED_CHANGES]
        tables[cell] = pair_tables.changes_table(
            names, comparison.split, pairs, cell, comparison.scores.words
        )
    if report.behavioral_tests:
        tables["tests"] = pair_tables.tests_table(names, report.behavioral_tests)
    for table in tables.values():
        table["open"] = ""
    return tables


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _inline(script: str) -> Markup:
    """Return a script of ours that cannot end its own element."""
    return Markup(script.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def _as_json(content: object) -> Markup:
    """Return JSON that is safe inside a script element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
