"""Scores as a table to sort and download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.tables import Table, column, table

if TYPE_CHECKING:
    from mrpc.app.compare.scores import SideScores


def baselines_table(named: Sequence[tuple[str, SideScores]]) -> Table:
    """Return baselines and models with their scores and intervals."""
    columns = [column("name", "Who")]
    for metric, title in (("accuracy", "Accuracy, %"), ("f1", "F1, %")):
        columns.append(column(metric, title, "percent"))
        columns.append(column(f"{metric}_low", "from", "percent", help="lower end of the 95 % interval"))
        columns.append(column(f"{metric}_high", "to", "percent", help="upper end of the 95 % interval"))
    columns.append(column("log_loss", "Log loss", "number", digits=3))
    rows = [
        {
            "name": name,
            **{metric: scores.metrics[metric] for metric in ("accuracy", "f1", "log_loss")},
            **{f"{metric}_low": scores.intervals[metric].low for metric in ("accuracy", "f1")},
            **{f"{metric}_high": scores.intervals[metric].high for metric in ("accuracy", "f1")},
        }
        for name, scores in named
    ]
    return table(columns, rows, "Baselines and both sides", "baselines.csv")
