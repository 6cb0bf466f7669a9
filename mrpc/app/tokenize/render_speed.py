"""How fast the ways of tokenizing are, and the experiment that fails."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.code import render_code
from mrpc.app.format import render_bytes

if TYPE_CHECKING:
    from mrpc.app.tokenize.measurement import WayProgress
    from mrpc.app.tokenize.tokenization_speed import FailedMap

WAYS = {
    "one_call": ("One call with lists", "tokenizer(list(rows['sentence1']), list(rows['sentence2']))"),
    "one_by_one": ("map, one by one", "rows.map(tokenize_function)"),
    "batched": ("map, batched", "rows.map(tokenize_function, batched=True)"),
    "two_processes": ("map, batched, two processes", "rows.map(tokenize_function, batched=True, num_proc=2)"),
}
_STATES = {
    "waiting": "waiting",
    "starting": "starting a fresh process",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def render_ways(ways: Sequence[WayProgress]) -> str:
    """Draw one line a way, with its bar and what was measured."""
    return f'<div class="tk-view tk-ways" aria-live="polite">{"".join(map(_render_way, ways))}</div>'


def render_failed_map(failed: FailedMap, failing_code: str, mended_code: str) -> str:
    """Show the error, why it comes, and the mended code.

    Args:
        failed: what became of both maps.
        failing_code: the first of them.
        mended_code: the second.
    """
    return (
        '<div class="tk-view tk-columns tk-failed"><div><h3>What happens</h3>'
        + render_code(failing_code, "failing code")
        + '<pre class="tk-error" tabindex="0" aria-label="The error"><code>'
        f"{html.escape(failed.error_type)}: {html.escape(failed.message)}</code></pre></div>"
        "<div><h3>Why, and the fix</h3>"
        f"<p>With <code>batched=True</code> the function gets {failed.num_rows:,} rows at once, and every "
        f"new column must hold one value for each of them. <code>[3]</code> holds one, and a table cannot "
        "have a column of another length. Give as many values as there are rows:</p>"
        + render_code(mended_code, "mended code")
        + f'<p role="status">It gives {failed.fixed_rows:,} rows with the columns '
        f"<code>{html.escape(', '.join(failed.fixed_columns))}</code>. To return another number of rows on "
        "purpose, remove the old columns in the same call: "
        "<code>remove_columns=rows.column_names</code>.</p></div></div>"
    )


def _render_way(way: WayProgress) -> str:
    name, code = WAYS[way.way]
    share = 100 * way.rows_done / way.num_rows
    is_blind = way.state == "running" and way.way == "one_call"  # one call tells nothing before its end
    state = "running, no word before its end" if is_blind else _STATES[way.state]
    error = f'<p class="tk-error-line">{html.escape(way.error)}</p>' if way.error else ""
    has_figures = way.state in {"running", "done"} or (way.state == "cancelled" and way.rows_done)
    figures = (
        f"<dl><div><dt>seconds</dt><dd>{way.seconds:.2f}</dd></div>"
        f"<div><dt>rows a second</dt><dd>{way.rows_per_second:,.0f}</dd></div>"
        f"<div><dt>memory added</dt><dd>{render_bytes(max(0, way.added_bytes))}</dd></div></dl>"
        if has_figures
        else ""
    )
    bar = (
        f'<div class="tk-progress{" blind" if is_blind else ""}" role="progressbar" aria-label="{name}" '
        f'aria-valuemin="0" aria-valuemax="{way.num_rows}" aria-valuenow="{way.rows_done}">'
        f'<i style="width:{share:.1f}%"></i></div>'
    )
    return (
        f'<div class="tk-way {way.state}"><div class="tk-way-name"><strong>{name}</strong>'
        f"<code>{html.escape(code)}</code></div>{bar}"
        f'<p class="tk-way-state">{state}, {way.rows_done:,} of {way.num_rows:,} rows</p>'
        f"{figures}{error}</div>"
    )
