"""The widgets that show one run, and how they follow it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from mrpc.app.format import render_count
from mrpc.app.train.board import RunParts
from mrpc.app.train.live import Live, build_courier, courier_value
from mrpc.app.train.parts import html_part, plots_part
from mrpc.app.train.render_progress import NO_RUN
from mrpc.runs.store import RunState

PLOTS_TEMPLATE = """
<div class="plots">
  <figure class="plot plot-wide"><figcaption>Loss</figcaption><div data-plot="loss"></div></figure>
  <figure class="plot"><figcaption>Validation scores</figcaption><div data-plot="scores"></div></figure>
  <figure class="plot"><figcaption>Learning rate</figcaption><div data-plot="rate"></div></figure>
</div>
<p class="plot-caption" data-plot-caption></p>
"""

STOP_QUESTION = (
    "<p><b>Stop this training?</b> Keeping writes a checkpoint and the weights so far: it can be resumed and "
    "compared. Discarding deletes its weights; log and curves stay.</p>"
)
DISCARD_QUESTION = "<p><b>Really discard?</b> Weights and checkpoints are deleted and cannot be had back.</p>"


@dataclass(frozen=True)
class View:
    """The widgets whose updates :func:`view_updates` returns, in this order.

    What the run says of itself (status, curves, log) is not among them: :mod:`mrpc.app.train.live` brings it.

    Attributes:
        run_id: which run the page shows; kept by the browser, so that a page opened later shows it again.
        courier: asks how the run is going.
    """

    run_id: gr.BrowserState
    courier: gr.HTML
    stop: gr.Button
    end_now: gr.Button
    resume: gr.Button
    test: gr.Button
    pack: gr.Button
    stop_question: gr.Column
    discard_question: gr.Column
    message: gr.HTML
    details: gr.Column

    def widgets(self) -> list[Any]:
        """Return the widgets as the outputs of a handler."""
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class StopButtons:
    """The buttons that answer the questions before a training ends, and the one that holds a download."""

    keep: gr.Button
    ask_discard: gr.Button
    cancel: gr.Button
    discard: gr.Button
    cancel_discard: gr.Button
    download: gr.DownloadButton


def build_view(run_id: gr.BrowserState, live: Live) -> tuple[View, StopButtons]:
    """Build the widgets, empty."""
    courier = build_courier(live)
    html_part("run-status", NO_RUN)
    with gr.Row(elem_id="run-actions"):
        stop = gr.Button("Stop …", size="sm", visible=False, elem_id="run-stop")
        end_now = gr.Button("End now", size="sm", variant="stop", visible=False, elem_id="run-end-now")
        resume = gr.Button("Resume", size="sm", variant="primary", visible=False, elem_id="run-resume")
        pack = gr.Button("Download the model", size="sm", visible=False, elem_id="run-pack")
        test = gr.Button("Predict test", size="sm", visible=False, elem_id="run-test")
        download = gr.DownloadButton("Download", visible="hidden", elem_id="run-download")
    with gr.Column(visible=False, elem_id="stop-question", elem_classes="question") as stop_question:
        gr.HTML(STOP_QUESTION, apply_default_css=False)
        with gr.Row():
            keep = gr.Button("Stop and keep", size="sm", variant="primary", elem_id="stop-keep")
            ask_discard = gr.Button("Discard …", size="sm", elem_id="stop-discard")
            cancel = gr.Button("Go on training", size="sm", elem_id="stop-cancel")
    with gr.Column(visible=False, elem_id="discard-question", elem_classes="question") as discard_question:
        gr.HTML(DISCARD_QUESTION, apply_default_css=False)
        with gr.Row():
            discard = gr.Button("Yes, discard", size="sm", variant="stop", elem_id="discard-yes")
            cancel_discard = gr.Button("Cancel", size="sm", elem_id="discard-cancel")
    message = gr.HTML(elem_id="run-message", apply_default_css=False)
    html_part("run-usage")
    with gr.Column(visible=False, elem_id="run-details") as details:
        plots_part("run-plots", PLOTS_TEMPLATE)
        with gr.Accordion("Log", open=False, elem_id="run-log-fold"):
            html_part("run-log", after="mrpcFollowEnd(element)")
    view = View(
        run_id=run_id,
        courier=courier,
        stop=stop,
        end_now=end_now,
        resume=resume,
        test=test,
        pack=pack,
        stop_question=stop_question,
        discard_question=discard_question,
        message=message,
        details=details,
    )
    return view, StopButtons(keep, ask_discard, cancel, discard, cancel_discard, download)


def view_updates(parts: RunParts | None, message: str | None = None, asked: str | None = None) -> list[Any]:
    """Return an update for each widget of :class:`View`.

    Args:
        parts: the run as it is now; None shows that there is none.
        message: HTML beside the buttons; None leaves what is there, but for another run.
        asked: which run the page showed when it asked for this; None when somebody picked the run.
    """
    run_id = parts.run_id if parts else ""
    updates: dict[str, Any] = {field.name: gr.skip() for field in fields(View)}
    updates |= {name: gr.update(visible=False) for name in HIDDEN_WITHOUT_RUN}
    updates["courier"] = courier_value(parts, asked)
    if run_id != asked:  # a late answer must not take the page back from a run picked meanwhile
        updates["run_id"] = run_id
        updates["message"] = ""
    if message is not None:
        updates["message"] = message
    if parts is not None:
        can_stop = parts.is_alive and parts.state is not RunState.STOPPING
        if can_stop and run_id == asked:  # a question that a person is about to answer stays
            updates |= {"stop_question": gr.skip(), "discard_question": gr.skip()}
        updates |= {
            "details": gr.update(visible=True),
            "stop": gr.update(visible=can_stop),
            "end_now": gr.update(
                value=f"End now, lose {render_count(parts.num_at_risk or 0, 'step')}",
                visible=parts.num_at_risk is not None,
            ),
            "resume": gr.update(visible=parts.can_resume),
            "test": gr.update(visible=parts.has_weights),
            "pack": gr.update(visible=parts.has_weights),
        }
    return list(updates.values())


HIDDEN_WITHOUT_RUN = (
    *("stop", "end_now", "resume", "test", "pack", "stop_question", "discard_question"),
    "details",
)
