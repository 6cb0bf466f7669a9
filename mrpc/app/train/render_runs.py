"""The list of runs, the snippet that uses a finished model, and the log."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mrpc.app.format import render_duration, render_percent, render_time
from mrpc.app.train.render_progress import render_state
from mrpc.runs.store import ALIVE_STATES, RunState

if TYPE_CHECKING:
    from mrpc.app.train.monitoring import RunSummary

MAX_LISTED = 200
MAX_NOTE = 60
COLLAPSED_HELP = "Its best or last model gives every validation pair the same answer."

COLUMNS = ("Compare", "State", "Run", "Preset, checkpoint", "Data", "Accuracy", "F1", "Trained", "Started")

EXAMPLE_PAIR = (
    "The council approved the new bridge on Monday.",
    "On Monday the new bridge was approved by the council.",
)


def render_runs(summaries: Iterable[RunSummary], selected: str) -> str:
    """Draw the list of runs as a table; a press on a name selects that run."""
    rows = list(summaries)
    if not rows:
        return '<p class="quiet">Runs will be listed here.</p>'
    head = "".join(f"<th scope='col'>{column}</th>" for column in COLUMNS)
    body = "".join(_render_row(summary, summary.run_id == selected) for summary in rows[:MAX_LISTED])
    more = f'<p class="quiet">and {len(rows) - MAX_LISTED} older ones</p>' if len(rows) > MAX_LISTED else ""
    return (
        '<div class="table-scroll" tabindex="0" role="region" aria-label="Runs"><table class="runs">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}"
    )


def _render_row(summary: RunSummary, is_selected: bool) -> str:
    run_id = html.escape(summary.run_id, quote=True)
    name = html.escape(summary.name or summary.run_id)
    is_full = summary.state is RunState.FINISHED or not summary.num_steps
    step = "" if is_full else f"{summary.step / (summary.num_steps or 1):.0%}"
    pressed = "true" if is_selected else "false"
    collapsed = (
        f'<span class="flag" title="{COLLAPSED_HELP}">one class only</span>' if summary.collapsed else ""
    )
    note = f'<p class="run-note">{html.escape(_shorten(summary.note))}</p>' if summary.note else ""
    cells = (
        f'<label class="compare-box"><input type="checkbox" data-compare="{run_id}" '
        f'aria-label="Compare {name}"></label>',
        f'{render_state(summary.state)}<small class="quiet">{step}</small>',
        f'<button type="button" data-run="{run_id}" aria-pressed="{pressed}">{name}</button>{note}',
        f"{html.escape(summary.preset)}, seed {summary.seed}"
        f'<small class="quiet block">{html.escape(summary.checkpoint)}</small>',
        f"{html.escape(summary.data_kind)}"
        f'<small class="quiet block"><code>{html.escape(summary.data_fingerprint[:8])}</code></small>',
        render_percent(summary.best_accuracy),
        render_percent(summary.best_f1) + collapsed,
        _render_trained(summary),
        render_time(summary.created_at),
    )
    marked = ' class="is-selected"' if is_selected else ""
    return f"<tr{marked}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _render_trained(summary: RunSummary) -> str:
    """Write how long a run trained; while it does, in minutes, or the list would be sent each second."""
    if summary.state in ALIVE_STATES and summary.train_s < 3600:
        return f"{int(summary.train_s) // 60} min"
    return render_duration(summary.train_s)


def _shorten(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first if len(first) <= MAX_NOTE and first == text.strip() else first[:MAX_NOTE].rstrip() + " …"


def usage_snippet(model_dir: str) -> str:
    """Return the lines of Python that ask a fine-tuned model about a pair."""
    text, text_pair = EXAMPLE_PAIR
    return (
        "from transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model={model_dir!r})\n'
        f'classify({{"text": {text!r}, "text_pair": {text_pair!r}}})'
    )


def render_snippet(code: str) -> str:
    """Draw code with a button that copies it."""
    return (
        '<div class="snippet"><button type="button" class="copy" data-copy>Copy</button>'
        f"<pre><code>{html.escape(code)}</code></pre></div>"
    )


def render_log(text: str) -> str:
    """Draw the end of a log."""
    shown = html.escape(text) if text.strip() else "Nothing was printed yet."
    return f'<pre class="log" tabindex="0" aria-label="Log">{shown}</pre>'
