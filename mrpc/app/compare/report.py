"""Everything that a report of a comparison says, and the one HTML file that it becomes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from mrpc.app.compare import pair_tables, score_figures
from mrpc.app.compare.behavioral import TestResult
from mrpc.app.compare.comparisons import Comparison
from mrpc.app.compare.explain_figures import map_figure
from mrpc.app.compare.scores import RIVALS, baseline_findings, one_answer_findings, side_finding
from mrpc.app.compare.sides import Side
from mrpc.app.format import run_title
from mrpc.app.templates import render
from mrpc.config import changed_settings
from mrpc.errors import UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.runs.process import installed_versions

if TYPE_CHECKING:
    from mrpc.app.compare.cartography import TrainingMap
    from mrpc.app.compare.score_figures import Figure
    from mrpc.app.compare.scores import SideScores
    from mrpc.app.format import Table

MAX_LISTED_CHANGES = 40


@dataclass(frozen=True)
class Assets:
    """What a report needs of the page, to open without a network.

    Attributes:
        css: the style sheets.
        javascript: the scripts for charts and tables.
        plotly_js: plotly's own script.
    """

    css: str
    javascript: str
    plotly_js: str


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


def render_report(comparison: Comparison, assets: Assets, on_progress: OnProgress = silent) -> str:
    """Return all that is known of a comparison as one file, which needs nothing else.

    The behavioural tests are in it if they were run.

    Args:
        comparison: what it is about.
        assets: of the page.
        on_progress: told how far it is.
    """
    scores = comparison.scores
    names = scores.names
    baselines = comparison.baselines(False, on_progress)
    calibrations = comparison.calibration(on_progress)
    tests = comparison.known_behavioral_tests()
    try:
        training_map, why_no_map = comparison.training_map, ""
    except UnavailableError as error:
        training_map, why_no_map = None, str(error)
    content = {
        "figures": _figures(
            comparison, baselines, round(calibrations.second.threshold, 2), tests, training_map
        ),
        "tables": _tables(comparison, tests),
    }
    return render(
        "compare/report.html",
        scores=scores,
        title=f"{names.first} and {names.second} on {comparison.split}",
        runs=sorted({side.run.run_id for side in comparison.sides if side.run is not None}),
        written=time.strftime("%Y-%m-%d %H:%M"),
        facts=[
            (names.first, describe_side(comparison.sides.first)),
            (names.second, describe_side(comparison.sides.second)),
            ("Data and versions", describe_data(comparison)),
        ],
        findings=[
            *one_answer_findings(scores),
            *baseline_findings(scores, baselines, RIVALS),
            side_finding(scores),
        ],
        calibrations=calibrations,
        behavioral_tests=tests,
        training_map=training_map,
        why_no_map=why_no_map,
        content=_as_json(content),
        css=Markup(assets.css),
        javascript=_inline(assets.javascript),
        plotly_js=_inline(assets.plotly_js),
    )


def _figures(
    comparison: Comparison,
    baselines: list[SideScores],
    threshold: float,
    tests: list[TestResult] | None,
    training_map: TrainingMap | None,
) -> dict[str, Figure]:
    scores = comparison.scores
    figures = {
        "roc": score_figures.roc_figure(scores),
        "precision-recall": score_figures.precision_recall_figure(scores),
        "reliability": score_figures.reliability_figure(scores),
        "threshold": score_figures.threshold_figure(scores, threshold),
        "baselines": score_figures.baselines_figure(scores.beside(baselines)),
        "tests": tests and score_figures.tests_figure(score_figures.plot_names(comparison.sides), tests),
        "map": training_map and map_figure(training_map.points()),
    }
    return {name: figure for name, figure in figures.items() if figure}


def _tables(comparison: Comparison, tests: list[TestResult] | None) -> dict[str, Table]:
    names, words = comparison.scores.names, comparison.scores.words
    tables = {"kinds": pair_tables.kinds_table(names, comparison.changes.kinds)}
    for cell in ("fixed", "broken"):
        pairs = comparison.changes.in_cell(cell)[:MAX_LISTED_CHANGES]
        tables[cell] = pair_tables.changes_table(names, comparison.split, pairs, cell, words)
    if tests:
        tables["tests"] = pair_tables.tests_table(names, tests)
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
