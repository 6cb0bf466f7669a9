"""The loops side by side, and the Trainer's settings: data to HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrpc.app.train.training_loops import LoopSource, SourceLine
    from mrpc.core.model.trainer_arguments import ArgumentRow
    from mrpc.runs.layout import TrainerReport

MARKS = {"same": " ", "gone": "−", "new": "+", "blank": " "}
SPOKEN = {"gone": "only here: ", "new": "new: "}
WHERE_IT_RUNS = (
    "<p class='quiet'>Where the training runs, it sets three more: <code>output_dir</code> to a folder of "
    "the run, and on a CPU <code>use_cpu</code> to True and <code>dataloader_pin_memory</code> to False.</p>"
)
"""What :mod:`mrpc.training.loops.trainer` adds, which a table of settings cannot know."""


def render_loops(sources: Sequence[LoopSource]) -> str:
    """Draw the sources in columns, the lines that differ marked with + and −."""
    return f'<div class="loops">{"".join(map(_column, sources))}</div>'


def _column(source: LoopSource) -> str:
    lines = "".join(map(_line, source.lines))
    title = html.escape(source.title)
    return (
        f'<section class="loop" data-loop="{source.name}"><h3>{title}</h3><p>{html.escape(source.limits)}</p>'
        f'<p class="quiet"><code>{html.escape(source.file)}</code></p>'
        f'<pre tabindex="0" aria-label="Source of the loop {title}"><code>{lines}</code></pre></section>'
    )


def _line(line: SourceLine) -> str:
    spoken = SPOKEN.get(line.mark, "")
    hidden = f'<span class="sr-only">{spoken}</span>' if spoken else ""
    mark = f'<span class="loop-mark" aria-hidden="true">{MARKS[line.mark]}</span>'
    return f'<span class="loop-line loop-{line.mark}">{mark}{hidden}{html.escape(line.text)}\n</span>'


def render_arguments(rows: Sequence[ArgumentRow], whose: str) -> str:
    """Draw every field of ``TrainingArguments``: those that differ from the default first, the rest folded.

    Args:
        rows: all fields.
        whose: whose settings these are, in words.
    """
    changed = [row for row in rows if row.is_changed]
    others = [row for row in rows if not row.is_changed]
    return (
        f"<p>TrainingArguments of {html.escape(whose)}: {len(changed)} of {len(rows)} values differ from "
        f"Trainer's defaults.</p>{_table(changed)}{WHERE_IT_RUNS}"
        f"<details><summary>The {len(others)} values at their default</summary>{_table(others)}</details>"
    )


def _table(rows: Sequence[ArgumentRow]) -> str:
    body = "".join(
        f'<tr class="{"argument-changed" if row.is_changed else ""}">'
        f"<th scope='row'>{'≠ ' if row.is_changed else ''}<code>{html.escape(row.name)}</code></th>"
        f"<td><code>{_value(row.value)}</code></td><td><code>{_value(row.default)}</code></td>"
        f"<td>{html.escape(row.description)}</td></tr>"
        for row in rows
    )
    head = "<tr><th>Argument</th><th>Value</th><th>Default</th><th>What transformers says</th></tr>"
    return (
        '<div class="table-scroll" tabindex="0" role="region" aria-label="TrainingArguments">'
        f'<table class="arguments"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    )


def _value(value: Any) -> str:
    text = repr(value)
    return html.escape(text if len(text) <= 60 else text[:57] + "...")


def render_trainer_report(report: TrainerReport | None) -> str:
    """Draw what Trainer reports of an evaluation without ``compute_metrics``, and with it."""
    if report is None:
        return (
            "<p>Without <code>compute_metrics</code> Trainer reports the loss of an evaluation and its "
            "speed, no accuracy and no F1. A run with the loop <code>trainer</code> shows both here.</p>"
        )
    without, with_metrics = report.without_compute_metrics, report.with_compute_metrics
    rows = "".join(
        f"<tr><th scope='row'><code>{html.escape(name)}</code></th><td>{_number(without.get(name))}</td>"
        f"<td>{_number(value)}</td></tr>"
        for name, value in with_metrics.items()
    )
    head = "<tr><th>trainer.evaluate()</th><th>without compute_metrics</th><th>with it</th></tr>"
    return (
        "<p>What Trainer reports of an evaluation: without <code>compute_metrics</code> (of one pair), and "
        "with it (of validation, before training).</p>"
        f'<div class="table-scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )


def _number(value: float | None) -> str:
    return "not reported" if value is None else f"{value:.4g}"
