"""The named endpoints of this tab, for scripts: plain JSON in and out, clear errors.

Scripts call the first side left and the second right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.app.alerts import shown_errors
from mrpc.app.view import api

if TYPE_CHECKING:
    from mrpc.app.services import Services


def register_endpoints(services: Services) -> None:
    """Register the endpoints in the Blocks that is being built."""

    def compare_pair(run_id: str, sentence1: str, sentence2: str) -> dict[str, object]:
        """Answer a pair with the model before training and with the best one of a run.

        Args:
            run_id: a run with fine-tuned weights, as list_runs names it.
            sentence1: the first sentence.
            sentence2: the second sentence.
        """
        with shown_errors():
            return services.comparisons.pair.compare(run_id, sentence1, sentence2)

    def compare_split(left: str, right: str, split: str = "validation") -> dict[str, object]:
        """Compare two sides on a split: scores with intervals, and whether they differ by more than chance.

        A side is RUN_ID:base, RUN_ID:best, RUN_ID:last, RUN_ID:epoch-2, RUN_ID:onnx or RUN_ID:int8, or
        baseline: with one of majority, overlap, tfidf, embedding, logistic.

        Args:
            left: the first side, such as RUN_ID:base.
            right: the second side, such as RUN_ID:best.
            split: "validation" or "test". Look at test when all is decided.
        """
        with shown_errors():
            return services.comparisons.compare(left, right, split).scores.as_dict()

    def flips(left: str, right: str, split: str, cell: str) -> dict[str, object]:
        """List the pairs on which two sides agree or differ, the largest change in probability first.

        Args:
            left: the first side, as in compare_split.
            right: the second side.
            split: "validation" or "test".
            cell: "fixed", "broken", "both_right" or "both_wrong", seen from left to right.
        """
        with shown_errors():
            return services.comparisons.flips(left, right, split, cell)

    for endpoint in (compare_pair, compare_split, flips):
        api(endpoint)
