"""A comparison as one HTML file that needs nothing else. A pure function of what it is given."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mrpc.app.compare import render_behavioral as probes
from mrpc.app.compare import render_changes as flips
from mrpc.app.compare import render_split_figures as split_figures
from mrpc.app.compare import render_split_scores as split_scores
from mrpc.app.compare.render_sides import render_side_name

if TYPE_CHECKING:
    from mrpc.app.compare.reporting import Report

STYLE = """
:root { color-scheme: light; --body-text-color: #1d2731; --body-text-color-subdued: #566472;
  --background-fill-primary: #ffffff; --background-fill-secondary: #f4f2ec; --border-color-primary: #e0ddd4;
  --input-border-color: #cfcabd; --input-background-fill: #ffffff; --color-accent: #24807a; }
body { margin: 0 auto; max-width: 1080px; padding: 2rem 1.2rem 4rem; background: #fbfaf7;
  color: var(--body-text-color); font: 16px/1.5 "IBM Plex Sans", "Segoe UI", system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { margin: 2.4rem 0 0.4rem; padding-top: 0.9rem;
  border-top: 1px solid var(--hairline); font-size: 1.25rem; }
h4 { display: flex; align-items: center; gap: 0.5rem; margin: 1.2rem 0 0.3rem; }
.cmp-facts { border-collapse: collapse; font-size: 0.9rem; }
.cmp-facts th { text-align: left; font-weight: 400; color: var(--quiet); padding: 0.2rem 1.2rem 0.2rem 0;
  vertical-align: top; white-space: nowrap; }
.cmp-facts td { padding: 0.2rem 0; overflow-wrap: anywhere; }
.cmp-three { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1rem; }
@media print { .cmp-table-tools { display: none; } }
"""


def render_report(report: Report, css: str, javascript: str, plotly_js: str) -> str:
    """Return the whole file.

    Args:
        report: what it says.
        css: the style sheets of the page.
        javascript: ``assets/compare.js``.
        plotly_js: plotly's own script.
    """
    comparison = report.comparison
    threshold = round(report.judgements.right.threshold, 2)
    figures = {
        "roc": split_figures.roc_figure(comparison),
        "precision-recall": split_figures.precision_recall_figure(comparison),
        "reliability": split_figures.reliability_figure(comparison),
        "threshold": split_figures.threshold_figure(comparison, threshold),
        "ladder": split_figures.ladder_figure(
            [(scores.side.title.removeprefix("baseline: "), scores) for scores in report.rungs]
        ),
    }
    tables = {
        "slices": flips.slices_table(report.slices),
        "fixed": flips.flips_table(report.fixed, "fixed"),
        "broken": flips.flips_table(report.broken, "broken"),
    }
    if report.probes:
        figures["probes"] = probes.probes_figure(report.probes)
        tables["probes"] = probes.probes_table(report.probes)
    for table in tables.values():
        table["open"] = ""
    content = {"figures": {name: figure for name, figure in figures.items() if figure}, "tables": tables}
    drawn = content["figures"]
    left, right = comparison.left.side, comparison.right.side
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.written_at))
    title = f"{left.full_title} and {right.full_title} on {comparison.split}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:">
<title>{html.escape(title)}</title><style>{css}{STYLE}</style></head><body>
<h1>What did fine-tuning change?</h1>
<p class="cmp-quiet">{html.escape(title)}. Written {written} by MRPC Lab.</p>
{split_scores.render_verdict(comparison)}
{split_scores.render_score_table(comparison)}
{split_scores.render_confusions(comparison)}
<h2>Ranking and calibration</h2>
<div class="cmp-three">{_places(("roc", "precision-recall", "reliability"), drawn)}</div>
{split_scores.render_judgements(comparison, report.judgements)}
{_places(("threshold",), drawn)}
<h2>The ladder</h2>
{_places(("ladder",), drawn)}
<h2>Pairs that changed</h2>
{flips.render_counts(comparison.transitions)}
<h4>Fixed</h4>{_table("fixed")}
<h4>Broken</h4>{_table("broken")}
<h2>Kinds of pairs</h2>
{_table("slices")}
{_render_probes(report, drawn)}
{_render_map(report)}
<h2>Where this comes from</h2>
<h4>{render_side_name(left, "left")}</h4>{_facts(report.facts[0])}
<h4>{render_side_name(right, "right")}</h4>{_facts(report.facts[1])}
<h4>Data and versions</h4>{_facts({**report.data, "computed with": _versions(report.versions)})}
<script>{_inline(plotly_js)}</script><script>{_inline(javascript)}</script>
<script>mrpcCompare.report({_as_json(content)});</script>
</body></html>
"""


def _places(names: tuple[str, ...], figures: Mapping[str, Any]) -> str:
    return "".join(
        f'<div class="cmp-chart" role="img" data-figure="{name}"></div>' for name in names if name in figures
    )


def _table(name: str) -> str:
    return f'<div data-table="{name}"><div class="cmp-table"></div></div>'


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table class="cmp-facts">{rows}</table>'


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _render_probes(report: Report, figures: Mapping[str, Any]) -> str:
    if not report.probes:
        return '<h2>Probes</h2><p class="cmp-quiet">They were not run before this report was written.</p>'
    return f"<h2>Probes</h2>{_places(('probes',), figures)}{_table('probes')}"


def _render_map(report: Report) -> str:
    if report.map_counts is None:
        return '<h2>Data map</h2><p class="cmp-quiet">It needs the losses of at least three epochs.</p>'
    counts = ", ".join(f"{num:,} {region}" for region, num in report.map_counts.items())
    return f"<h2>Data map</h2><p>Training pairs by their losses over the epochs: {counts}.</p>"


def _inline(script: str) -> str:
    """Return a script that cannot end its own element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _as_json(content: object) -> str:
    """Return JSON that is safe inside a script element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
