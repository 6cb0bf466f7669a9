"""A whole split: scores with intervals, what may be luck, calibration, thresholds, the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import build_chart, build_table
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.compare.judging import Judgements
    from mrpc.app.compare.splits import SideScores, SplitComparison
    from mrpc.app.services import Services

TEST_QUESTION = (
    "<p><b>Test should be looked at once.</b> Whoever looks, changes something and looks again is fitting to "
    "it. Decide everything on validation first. Where test was not predicted yet, both models answer it now: "
    "about half a minute each on two cores.</p>"
)
LADDER_NOTE = (
    '<p class="cmp-quiet">Before fine-tuning gets the credit: how far do answers come that need none? Every '
    "rung is fitted on train alone.</p>"
)


@dataclass(frozen=True)
class SplitView:
    """The widgets that :func:`on_split` fills, in the order of its outputs.

    Attributes:
        split: the split that is shown; a hidden box, so that the browser keeps it.
    """

    status: gr.HTML
    heading: gr.HTML
    scores: gr.HTML
    confusions: gr.HTML
    roc: gr.HTML
    precision_recall: gr.HTML
    reliability: gr.HTML
    judgements: gr.HTML
    threshold: gr.Slider
    threshold_chart: gr.HTML
    threshold_table: gr.HTML
    ladder_chart: gr.HTML
    ladder_table: gr.HTML

    def widgets(self) -> list[Any]:
        """Return the widgets as the outputs of a handler."""
        return [getattr(self, field.name) for field in fields(self)]


def build_split_view(services: Services, frame: Frame) -> tuple[gr.Textbox, dict[str, Any]]:
    """Build the view; return the box that holds the split, and how to fill the view for new sides."""
    split = gr.Textbox("validation", visible=False)
    with gr.Row(elem_classes="cmp-controls"):
        look = gr.Button("Look at test …", size="sm", scale=0, elem_id="cmp-look")
        back = gr.Button("Back to validation", size="sm", scale=0, visible=False, elem_id="cmp-back")
    with gr.Column(visible=False, elem_id="cmp-test-question", elem_classes="question") as question:
        gr.HTML(TEST_QUESTION)
        with gr.Row(elem_classes="cmp-controls"):
            yes = gr.Button("Show test", size="sm", variant="primary", scale=0, elem_id="cmp-test-yes")
            no = gr.Button("Not now", size="sm", scale=0, elem_id="cmp-test-no")
    status = gr.HTML(elem_id="cmp-split-status")
    heading = gr.HTML(elem_id="cmp-split-heading")
    scores = gr.HTML(elem_id="cmp-scores", apply_default_css=False)
    confusions = gr.HTML(elem_id="cmp-confusions", apply_default_css=False)
    gr.HTML("<h3>Ranking and calibration</h3>", elem_classes="cmp-section")
    with gr.Row(elem_classes="cmp-charts"):
        roc = build_chart("cmp-roc")
        precision_recall = build_chart("cmp-precision-recall")
        reliability = build_chart("cmp-reliability")
    judgements = gr.HTML(elem_id="cmp-judgements", apply_default_css=False)
    gr.HTML("<h3>Threshold</h3>", elem_classes="cmp-section")
    threshold = gr.Slider(0, 1, 0.5, step=0.01, label="Say “equivalent” above", elem_id="cmp-threshold")
    threshold_chart = build_chart("cmp-threshold-chart")
    threshold_table = gr.HTML(elem_id="cmp-threshold-table", apply_default_css=False)
    gr.HTML(f"<h3>The ladder</h3>{LADDER_NOTE}", elem_classes="cmp-section")
    ladder_chart = build_chart("cmp-ladder")
    with gr.Accordion("The numbers", open=False, elem_id="cmp-ladder-numbers"):
        ladder_table = build_table("cmp-ladder-table")
    with gr.Row(elem_classes="cmp-controls"):
        climb = gr.Button("Add the rungs that need the encoder", size="sm", scale=0, elem_id="cmp-climb")
        stop = gr.Button("Cancel", size="sm", scale=0, elem_id="cmp-climb-stop")
    climb_status = gr.HTML(elem_id="cmp-climb-status")
    view = SplitView(
        status=status,
        heading=heading,
        scores=scores,
        confusions=confusions,
        roc=roc,
        precision_recall=precision_recall,
        reliability=reliability,
        judgements=judgements,
        threshold=threshold,
        threshold_chart=threshold_chart,
        threshold_table=threshold_table,
        ladder_chart=ladder_chart,
        ladder_table=ladder_table,
    )
    asked = [*frame.sides(), split]
    filling = {
        "fn": partial(on_split, services),
        "inputs": asked,
        "outputs": view.widgets(),
        **ACT,
        "trigger_mode": "always_last",
    }
    look.click(lambda: gr.update(visible=True), outputs=question, **ACT)
    no.click(lambda: gr.update(visible=False), outputs=question, **ACT)
    show = [split, look, back, question]
    yes.click(partial(on_show, "test"), outputs=show, **ACT).then(**filling)
    back.click(partial(on_show, "validation"), outputs=show, **ACT).then(**filling)
    threshold.input(
        partial(on_threshold, services),
        inputs=[*asked, threshold],
        outputs=[threshold_chart, threshold_table],
        **{**ACT, "show_progress": "hidden"},
        trigger_mode="always_last",
    )
    climbing = climb.click(
        partial(on_climb, services), inputs=asked, outputs=[climb_status, ladder_chart, ladder_table], **ACT
    )
    stop.click(lambda: "", outputs=climb_status, cancels=climbing, **ACT)
    return split, filling


def on_show(split: str) -> list[Any]:
    """Set the split that is shown."""
    is_test = split == "test"
    return [split, gr.update(visible=not is_test), gr.update(visible=is_test), gr.update(visible=False)]


def on_split(services: Services, left: Any, right: Any, split: Any) -> Iterator[list[Any]]:
    """Fill the view; predict what was not predicted yet."""
    num = len(fields(SplitView))
    if not left or not right:
        yield [gr.skip()] * num
        return

    def work(report: Any, should_stop: Any) -> tuple[SplitComparison, Judgements, list[SideScores]]:
        shown, judgements = services.comparison.judge_split(left, right, split, report, should_stop)
        return shown, judgements, services.comparison.climb(left, right, split, False, report, should_stop)

    yield from followed(work, num, lambda result: _render_split(*result))


def _render_split(shown: SplitComparison, judgements: Judgements, rungs: list[SideScores]) -> list[Any]:
    from mrpc.app.compare import render_split_figures as figures
    from mrpc.app.compare import render_split_scores as scores

    threshold = round(judgements.right.threshold, 2)
    return [
        scores.render_verdict(shown),
        scores.render_score_table(shown),
        scores.render_confusions(shown),
        figures.roc_figure(shown),
        figures.precision_recall_figure(shown),
        figures.reliability_figure(shown),
        scores.render_judgements(shown, judgements),
        threshold,
        *_render_threshold(shown, threshold),
        *_render_ladder(rungs),
    ]


def on_threshold(services: Services, left: Any, right: Any, split: Any, threshold: Any) -> list[Any]:
    """Show the scores at a threshold."""
    from mrpc.app.compare.judging import check_threshold

    try:
        shown = services.comparison.compare_split(left, right, split)
        return _render_threshold(shown, check_threshold(threshold))
    except MrpcError as error:
        return [gr.skip(), render_note(str(error), "bad")]


def _render_threshold(shown: SplitComparison, threshold: float) -> list[Any]:
    from mrpc.app.compare.judging import confusion_at
    from mrpc.app.compare.render_split_figures import threshold_figure
    from mrpc.app.compare.render_split_scores import render_at_threshold

    cells = [confusion_at(side.answers, threshold) for side in (shown.left, shown.right)]
    return [threshold_figure(shown, threshold), render_at_threshold(threshold, *cells)]


def on_climb(services: Services, left: Any, right: Any, split: Any) -> Iterator[list[Any]]:
    """Add the rungs that need the encoder."""

    def work(report: Any, should_stop: Any) -> list[SideScores]:
        return services.comparison.climb(left, right, split, True, report, should_stop)

    yield from followed(work, 3, _render_ladder)


def _render_ladder(rungs: list[SideScores]) -> list[Any]:
    from mrpc.app.compare.render_split_figures import ladder_figure
    from mrpc.app.compare.render_split_scores import ladder_table

    named = [(scores.side.title.removeprefix("baseline: "), scores) for scores in rungs]
    return [ladder_figure(named), ladder_table(named)]
