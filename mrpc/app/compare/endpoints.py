"""The named endpoints of this tab, for scripts: plain JSON in and out, clear errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import shown_errors

if TYPE_CHECKING:
    from mrpc.app.services import Services


def register_endpoints(services: Services) -> None:
    """Register the endpoints in the Blocks that is being built."""

    def compare_pair(run_id: str, sentence1: str, sentence2: str) -> dict[str, Any]:
        """Answer a pair with the model before training and with the best one of a run."""
        return on_compare_pair(services, run_id, sentence1, sentence2)

    def compare_split(left: str, right: str, split: str = "validation") -> dict[str, Any]:
        """Compare two sides, such as RUN_ID:base and RUN_ID:best, on validation or test."""
        return on_compare_split(services, left, right, split)

    def flips(left: str, right: str, split: str, cell: str) -> dict[str, Any]:
        """List the pairs that are fixed, broken, both_right or both_wrong, the largest change first."""
        return on_flips(services, left, right, split, cell)

    for endpoint in (compare_pair, compare_split, flips):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=4)


def on_compare_pair(services: Services, run_id: Any, sentence1: Any, sentence2: Any) -> dict[str, Any]:
    """Answer a pair with both models of a run."""
    with shown_errors():
        return services.comparison.pair.compare(run_id, sentence1, sentence2)


def on_compare_split(services: Services, left: Any, right: Any, split: Any) -> dict[str, Any]:
    """Compare two sides on a split."""
    with shown_errors():
        return services.comparison.compare_split(left, right, split).as_dict()


def on_flips(services: Services, left: Any, right: Any, split: Any, cell: Any) -> dict[str, Any]:
    """List the pairs of a cell."""
    with shown_errors():
        return services.comparison.flips(left, right, split, cell)
