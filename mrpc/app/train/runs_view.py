"""The view of all runs: the table, what is done with one, and the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.templates import render
from mrpc.app.train.acts import limit_of
from mrpc.app.train.live_view import build_live_place
from mrpc.app.train.runs import list_runs
from mrpc.app.view import View
from mrpc.app.widgets import fold, stage

if TYPE_CHECKING:
    from mrpc.app.services import Services


def build_runs_view(services: Services) -> None:
    """Build the view."""
    build_live_place("train/runs_live.html", "runs-live")
    with fold("Disk", "disk"):
        limit = gr.Number(20, label="Limit for all runs (GB)", elem_id="disk-limit", min_width=160)
        held = stage("disk", elem_id="disk-held")
    build_live_place("train/foreign_live.html", "runs-foreign")

    def draw(limit_gb: object) -> str:
        return disk_html(services, limit_gb)

    View("disk", {"limit_gb": limit}, {"disk": held}, draw).bind()


def disk_html(services: Services, limit_gb: object) -> str:
    """Show what the runs and the trash hold, and which runs a limit would move to the trash.

    Raises:
        InputError: the limit is no number of GB.
    """
    limit_bytes = limit_of(limit_gb)
    sizes = services.store.disk_bytes()
    plan = services.store.plan_retention(limit_bytes)
    titles = {one.run_id: one.title for one in list_runs(services.store)} if plan else {}
    return render(
        "train/disk.html",
        num_runs=len(sizes),
        num_bytes=sum(sizes.values()),
        trash_bytes=services.store.trash_bytes(),
        plan=plan,
        names=titles,
        limit_bytes=limit_bytes,
        limit_gb=limit_gb,
    )
