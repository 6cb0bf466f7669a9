"""The runs that wait for their turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.templates import render

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.monitoring import RunSummary

MAX_LISTED = 50


def queue_html(services: Services, summaries: Sequence[RunSummary]) -> str:
    """Show the queue as it is now, with buttons that move or remove a run; nothing when it is empty."""
    by_id = {summary.run_id: summary for summary in summaries}
    waiting = [by_id[run_id] for run_id in services.launcher.queue.read() if run_id in by_id]
    return render("train/queue.html", waiting=waiting, max_listed=MAX_LISTED) if waiting else ""
