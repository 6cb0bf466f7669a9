"""The runs that wait for their turn, and what the next training will need."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.format import render_bytes, render_duration

if TYPE_CHECKING:
    from mrpc.app.train.estimates import Estimate
    from mrpc.app.train.monitoring import RunSummary

MAX_LISTED = 50
QUEUE_HINT = (
    "They start one after another as long as this app runs; without it the queue waits. "
    "A training that has begun goes on either way."
)


def render_queue(waiting: Sequence[RunSummary]) -> str:
    """Draw the queue with buttons that move or remove a run; nothing when it is empty.

    Args:
        waiting: the next one first.
    """
    if not waiting:
        return ""
    rows = "".join(
        _render_waiting(summary, place, len(waiting))
        for place, summary in enumerate(waiting[:MAX_LISTED], start=1)
    )
    more = f"<p>and {len(waiting) - MAX_LISTED} more</p>" if len(waiting) > MAX_LISTED else ""
    return (
        f'<section class="queue" aria-label="Queue"><h3>Waiting: {len(waiting)}</h3><ol>{rows}</ol>{more}'
        f'<p class="quiet">{QUEUE_HINT}</p></section>'
    )


def render_queued(place: int) -> str:
    """Say that a run was put into the queue."""
    when = (
        "It starts as soon as nothing trains." if place == 1 else f"It is number {place} of those that wait."
    )
    return f'<p class="notice notice-good" role="status">Added to the queue. {when}</p>'


def render_estimate(estimate: Estimate) -> str:
    """Say what a training will need, and what may not be enough."""
    time = (
        "unknown until the first steps"
        if estimate.minutes is None
        else f"about {render_duration(estimate.minutes * 60)}, as earlier runs with this checkpoint here"
    )
    source = ", as an earlier run here" if estimate.is_memory_measured else ""
    words = (
        f"Time: {time}. Disk: {_render_need(estimate.disk_bytes, estimate.free_disk_bytes)}. "
        f"Memory: {_render_need(estimate.memory_bytes, estimate.free_memory_bytes)}{source}."
    )
    warnings = "".join(
        f'<p class="notice notice-warn">{html.escape(warning)}</p>' for warning in estimate.warnings
    )
    return f'<p class="quiet estimate">{html.escape(words)}</p>{warnings}'


def _render_need(needed: int | None, free: int) -> str:
    if needed is None:
        return f"unknown; {render_bytes(free)} are free"
    return f"about {render_bytes(needed)} of {render_bytes(free)} free"


def _render_waiting(summary: RunSummary, place: int, num_waiting: int) -> str:
    name = html.escape(summary.name or summary.run_id)
    facts = html.escape(f"{summary.preset}, {summary.checkpoint}, seed {summary.seed}")
    acts = (
        ("up", "↑", "Earlier", place == 1),
        ("down", "↓", "Later", place == num_waiting),
        ("remove", "✕", "Remove", False),
    )
    buttons = "".join(
        f'<button type="button" data-act="{act}" data-run-id="{html.escape(summary.run_id, quote=True)}" '
        f'aria-label="{label}: {name}" title="{label}"{" disabled" if is_off else ""}>{sign}</button>'
        for act, sign, label, is_off in acts
    )
    return f"<li><div><b>{name}</b><small>{facts}</small></div><span>{buttons}</span></li>"
