"""What the runs take on the disk, what a limit would delete, and what else lies in their folder."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mrpc.app.format import render_bytes

if TYPE_CHECKING:
    from mrpc.app.train.catalog import Deletion

MAX_LISTED = 50


def render_disk(num_runs: int, num_bytes: int, trash_bytes: int) -> str:
    """Say what the runs and the trash hold."""
    runs = "1 run holds" if num_runs == 1 else f"{num_runs:,} runs hold"
    trash = f"The trash holds {render_bytes(trash_bytes)}." if trash_bytes else "The trash is empty."
    return f"<p>{runs} {render_bytes(num_bytes)}. {trash}</p>"


def render_retention(plan: Sequence[Deletion], names: Mapping[str, str], limit_bytes: int) -> str:
    """List the runs that a limit would move to the trash.

    Args:
        plan: the oldest first.
        names: what people call them.
        limit_bytes: the limit.
    """
    limit = render_bytes(limit_bytes)
    if not plan:
        return f'<p class="notice notice-good">All runs together fit into {limit}: nothing would go.</p>'
    rows = "".join(
        f"<li>{html.escape(names.get(deletion.run_id) or deletion.run_id)}"
        f" <small>{render_bytes(deletion.num_bytes)}</small></li>"
        for deletion in plan[:MAX_LISTED]
    )
    more = f"<p>and {len(plan) - MAX_LISTED} more</p>" if len(plan) > MAX_LISTED else ""
    total = render_bytes(sum(deletion.num_bytes for deletion in plan))
    return (
        f"<p>To fit into {limit}, these {len(plan)} would go to the trash, {total} together, "
        f'the oldest first. Runs that train or wait stay.</p><ol class="retention">{rows}</ol>{more}'
    )


def render_foreign(foreign: Mapping[str, str]) -> str:
    """Name what lies in the runs folder and is no run, with the reason; nothing when there is nothing."""
    if not foreign:
        return ""
    rows = "".join(
        f"<li><code>{html.escape(name)}</code>: {html.escape(reason)}</li>"
        for name, reason in list(foreign.items())[:MAX_LISTED]
    )
    more = f"<li>and {len(foreign) - MAX_LISTED} more</li>" if len(foreign) > MAX_LISTED else ""
    return (
        f"<details class='foreign'><summary>Also in the runs folder, and no run: {len(foreign)}</summary>"
        f"<ul>{rows}{more}</ul></details>"
    )
