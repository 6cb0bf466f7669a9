"""The tab: what is compared on top, its views in the order in which one works through them, its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.own_view import build_own_view
from mrpc.app.compare.pair_view import build_pair_view
from mrpc.app.compare.scores_view import build_scores_view
from mrpc.app.compare.sides_view import build_sides
from mrpc.app.compare.where_view import build_where_view
from mrpc.app.view import api
from mrpc.app.widgets import view_tab

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine


def build_compare_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    with gr.Column(elem_id="compare"):
        row = build_sides(services, spine)
        with gr.Tabs(elem_id="compare-views"):
            with view_tab("Pair", "compare/pair"):
                build_pair_view(services, spine, row)
            with view_tab("Scores", "compare/scores"):
                build_scores_view(services, row)
            with view_tab("Where it fails", "compare/where"):
                build_where_view(services, spine, row)
            with view_tab("Your pairs", "compare/own"):
                build_own_view(services, row)
    add_endpoints(services)


def add_endpoints(services: Services) -> None:
    """Add the named endpoints of this tab, for scripts: these call the first side left, the second right."""

    def compare_pair(run_id: str, sentence1: str, sentence2: str) -> dict[str, object]:
        """Answer a pair with the model before training and with the best one of a run.

        Args:
            run_id: a run with fine-tuned weights, as list_runs names it.
            sentence1: the first sentence.
            sentence2: the second sentence.
        """
        sides = f"{run_id}:base", f"{run_id}:best"
        answers = services.comparisons.answer_pair(*sides, sentence1, sentence2)
        return {"base": answers.first.as_dict(), "tuned": answers.second.as_dict()}

    def compare_split(left: str, right: str, split: str = "validation") -> dict[str, object]:
        """Compare two sides on a split: scores with intervals, and whether they differ by more than chance.

        A side is RUN_ID:base, RUN_ID:best, RUN_ID:last, RUN_ID:epoch-2, RUN_ID:onnx or RUN_ID:int8, or
        baseline: with one of majority, overlap, tfidf, embedding, logistic.

        Args:
            left: the first side, such as RUN_ID:base.
            right: the second side, such as RUN_ID:best.
            split: "validation" or "test". Look at test when all is decided.
        """
        compare = services.comparisons.compare
        return services.tasks.do(lambda say: compare(left, right, split, say)).scores.as_dict()

    def flips(left: str, right: str, split: str, cell: str) -> dict[str, object]:
        """List the pairs on which two sides agree or differ, the largest change in probability first.

        Args:
            left: the first side, as in compare_split.
            right: the second side.
            split: "validation" or "test".
            cell: "fixed", "broken", "both_right" or "both_wrong", seen from left to right.
        """
        compare = services.comparisons.compare
        found = services.tasks.do(lambda say: compare(left, right, split, say).changes.in_cell(cell))
        pairs = [pair.as_dict() for pair in found]
        return {"split": split, "cell": cell, "num_pairs": len(pairs), "pairs": pairs}

    for endpoint in (compare_pair, compare_split, flips):
        api(endpoint)
