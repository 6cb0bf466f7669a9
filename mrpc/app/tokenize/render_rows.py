"""Rows of the data as a table, and what a split holds."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mrpc.app.tokenize.render_plain_tables import render_plain_table, render_scrolling

if TYPE_CHECKING:
    from mrpc.app.tokenize.explorer import Page, Row, SplitOverview


def render_page(page: Page, query: str, is_filtered: bool) -> str:
    """Draw some rows; what was searched for is marked."""
    if not page.rows:
        return '<p class="tk-empty" role="status">No row holds that. Search for less, or for both labels.</p>'
    table = render_plain_table(
        ("row", "idx", "label", "sentence1, sentence2"),
        [_row_cells(row, query) for row in page.rows],
        "tk-rows",
    )
    last = page.start + len(page.rows)
    found = f"{page.num_rows:,} rows"
    if is_filtered:
        found = f"{page.num_found:,} of {found} found"
    return (
        f'<p class="tk-note" role="status">{found}, {page.start + 1:,} to {last:,} shown. '
        f"The row number opens the pair in the first view.</p>{render_scrolling(table, 'Rows')}"
    )


def render_features(num_rows: Mapping[str, int], features: Mapping[str, str]) -> str:
    """Draw the splits and the columns as the course prints them."""
    splits = render_plain_table(
        ("split", "rows"), [(html.escape(name), f"{num:,}") for name, num in num_rows.items()]
    )
    columns = render_plain_table(
        ("column", "type"),
        [
            (f"<code>{html.escape(name)}</code>", f"<code>{html.escape(kind)}</code>")
            for name, kind in features.items()
        ],
        "tk-wrap",
    )
    return f"<div><h3>Splits</h3>{splits}</div><div><h3>Features</h3>{columns}</div>"


def render_overview(overview: SplitOverview) -> str:
    """Draw class balance and lengths of a split."""
    not_equivalent, equivalent = overview.label_counts
    share = 100 * equivalent / max(1, not_equivalent + equivalent)
    return (
        f"<div><h3>Class balance of {html.escape(overview.split)}</h3>"
        f'<div class="tk-balance" role="img" aria-label="{equivalent:,} equivalent, {not_equivalent:,} not '
        f'equivalent"><i class="l1" style="flex:{equivalent}"></i>'
        f'<i class="l0" style="flex:{not_equivalent}"></i></div>'
        f'<p class="tk-balance-text"><span>{equivalent:,} equivalent, {share:.1f} %</span>'
        f"<span>{not_equivalent:,} not equivalent, {100 - share:.1f} %</span></p>"
        f'<p class="tk-note">Always answering “equivalent” is right in {share:.1f} % of the cases.</p></div>'
        f"<div><h3>Length of both sentences together</h3>{_render_histogram(overview)}</div>"
    )


def _render_histogram(overview: SplitOverview) -> str:
    """Draw two histograms back to back: equivalent above the line, not equivalent below."""
    not_equivalent, equivalent = overview.histogram
    highest = max(1, *not_equivalent, *equivalent)
    num_bins = len(equivalent)
    bars, numbers = [], []
    for place in range(num_bins):
        low, high = place * overview.bin_width, (place + 1) * overview.bin_width
        span = f"{low:,} to {high - 1:,}" if place < num_bins - 1 else f"{low:,} or more"
        numbers.append((span, f"{equivalent[place]:,}", f"{not_equivalent[place]:,}"))
        title = f"{span} characters: {numbers[-1][1]} equivalent, {numbers[-1][2]} not"
        up, down = 48 * equivalent[place] / highest, 48 * not_equivalent[place] / highest
        bars.append(
            f"<g><title>{title}</title>"
            f'<rect class="l1" x="{place * 10 + 1}" y="{49.5 - up:.2f}" width="8" height="{up:.2f}"></rect>'
            f'<rect class="l0" x="{place * 10 + 1}" y="50.5" width="8" height="{down:.2f}"></rect></g>'
        )
    label = f"Histogram of lengths, up to {highest:,} rows a bar, {overview.bin_width} characters wide"
    return (
        f'<svg class="tk-histogram" viewBox="0 0 {num_bins * 10} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(bars)}'
        f'<line x1="0" x2="{num_bins * 10}" y1="50" y2="50"></line></svg>'
        f'<p class="tk-axis"><span>0</span><span>{num_bins // 2 * overview.bin_width:,} characters</span>'
        f"<span>{(num_bins - 1) * overview.bin_width:,} and more</span></p>"
        f'<p class="tk-note">Above the line equivalent, below it not; up to {highest:,} rows a bar.</p>'
        "<details><summary>The numbers</summary>"
        f"{render_plain_table(('characters', 'equivalent', 'not'), numbers)}</details>"
    )


def _row_cells(row: Row, query: str) -> tuple[str, ...]:
    button = (
        f'<button type="button" class="tk-open" data-row="{row.number}" '
        f'aria-label="Inspect row {row.number}">{row.number}</button>'
    )
    return (
        button,
        str(row.idx),
        f'<span class="tk-label l{row.label}">{row.label_name.replace("_", " ")}</span>',
        f'<p class="s1" dir="auto">{_marked(row.sentence1, query)}</p>'
        f'<p class="s2" dir="auto">{_marked(row.sentence2, query)}</p>',
    )


def _marked(text: str, query: str) -> str:
    if not query:
        return html.escape(text)
    parts, done = [], 0
    for match in re.finditer(re.escape(query), text, re.IGNORECASE):
        parts += [html.escape(text[done : match.start()]), f"<mark>{html.escape(match[0])}</mark>"]
        done = match.end()
    return "".join(parts) + html.escape(text[done:])
