"""What was understood of the data that a training would use, put together for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.data.report import DataReport

PREVIEW_ROWS = 3
"""Of each split."""


@dataclass(frozen=True)
class Understood:
    """A data set as it was read.

    Attributes:
        name: what texts call it.
        is_own: somebody brought it; else it is that of the app.
        reason: where the data of the app came from.
        report: how its files were read.
        warnings: what to look at before a training.
        rows: the first rows of each split.
    """

    name: str
    is_own: bool
    reason: str
    report: DataReport
    warnings: list[str]
    rows: list[dict[str, str | int]]


def understand(services: Services, data: object) -> Understood:
    """Say how a data set was read.

    Raises:
        InputError: there is none of that name.
        DataError, UnavailableError: it cannot be used.
    """
    from mrpc.core.data.load import preview

    loaded = services.own_data.get(data)
    return Understood(
        name=loaded.name,
        is_own=bool(data),
        reason=loaded.reason,
        report=loaded.report,
        warnings=loaded.report.warnings(),
        rows=preview(loaded.dataset, PREVIEW_ROWS),
    )
