"""The named endpoints of this tab, for scripts: plain JSON in and out, clear errors.

Scripts call the first side left and the second right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrpc.app.alerts import shown_errors
from mrpc.app.view import api

if TYPE_CHECKING:
    from mrpc.app.services import Services


def register_endpoints(services: Services) -> None:
    """Register the endpoints in the Blocks that is being built."""

    def compare_pair(run_id: str, sentence1: str, sentence2: str) -> dict[str, Any]:
        """Answer a pair with the model before training and with the best one of a run."""
        with shown_errors():
            return services.comparisons.pair.compare(run_id, sentence1, sentence2)

    def compare_split(left: str, right: str, split: str = "validation") -> dict[str, Any]:
        """Compare two sides, such as RUN_ID:base and RUN_ID:best, on validation or test."""
        with shown_errors():
            return services.comparisons.compare(left, right, split).scores.as_dict()

    def flips(left: str, right: str, split: str, cell: str) -> dict[str, Any]:
        """List the pairs that are fixed, broken, both_right or both_wrong, the largest change first."""
        with shown_errors():
            return services.comparisons.flips(left, right, split, cell)

    for endpoint in (compare_pair, compare_split, flips):
        api(endpoint)
