"""The widgets that show one run, and how they follow it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from mrpc.runs.store import RunState
from mrpc.ui.render.progress import NO_RUN
from mrpc.ui.render.text import render_count
from mrpc.ui.theme import PLOTLY_URL
from mrpc.ui.train.board import RunParts

TICK_S = 1.0
NOTHING_SEEN = "none"
"""What a page has seen that shows no run."""

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

    Attributes:
        run_id: which run the page shows; kept by the browser, so that a page opened later shows it again.
        seen: what the page has of it, see :class:`mrpc.ui.train.board.RunParts`.
    """

    run_id: gr.BrowserState
    seen: gr.Textbox
    status: gr.HTML
    stop: gr.Button
    end_now: gr.Button
    resume: gr.Button
    test: gr.Button
    pack: gr.Button
    stop_question: gr.Column
    discard_question: gr.Column
    message: gr.HTML
    usage: gr.HTML
    details: gr.Column
    plots: gr.HTML
    log: gr.HTML
    timer: gr.Timer

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


def build_view(run_id: gr.BrowserState) -> tuple[View, StopButtons]:
    """Build the widgets, empty."""
    seen = gr.Textbox(visible=False)
    status = gr.HTML(NO_RUN, elem_id="run-status", apply_default_css=False)
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
    usage = gr.HTML(visible=False, elem_id="run-usage", apply_default_css=False)
    with gr.Column(visible=False, elem_id="run-details") as details:
        plots = gr.HTML(
            html_template=PLOTS_TEMPLATE,
            js_on_load=f"mrpcLivePlots(element, props, watch, {PLOTLY_URL!r})",
            elem_id="run-plots",
            apply_default_css=False,
        )
        with gr.Accordion("Log", open=False, elem_id="run-log-fold"):
            log = gr.HTML(
                elem_id="run-log", js_on_load="mrpcFollowEnd(element, watch)", apply_default_css=False
            )
    view = View(
        run_id=run_id,
        seen=seen,
        status=status,
        stop=stop,
        end_now=end_now,
        resume=resume,
        test=test,
        pack=pack,
        stop_question=stop_question,
        discard_question=discard_question,
        message=message,
        usage=usage,
        details=details,
        plots=plots,
        log=log,
        timer=gr.Timer(TICK_S, active=False),
    )
    return view, StopButtons(keep, ask_discard, cancel, discard, cancel_discard, download)


def view_updates(parts: RunParts | None, seen: str = "", message: str | None = None) -> list[Any]:
    """Return an update for each widget of :class:`View`: only what the page does not have yet.

    Args:
        parts: the run as it is now; None shows that there is none.
        seen: what the page has already.
        message: HTML beside the buttons; None leaves what is there, but for a new run.
    """
    updates: dict[str, Any] = {field.name: gr.skip() for field in fields(View)}
    if message is not None:
        updates["message"] = message
    if parts is None and seen == NOTHING_SEEN:
        return list(updates.values())
    if parts is None:
        updates |= {name: gr.update(visible=False) for name in HIDDEN_WITHOUT_RUN}
        updates |= {"run_id": "", "seen": NOTHING_SEEN, "status": NO_RUN, "timer": gr.Timer(active=False)}
        return list(updates.values())
    changed = parts.changed_since(seen)
    if not changed:
        return list(updates.values())
    updates["seen"] = parts.seen
    updates |= {name: getattr(parts, name) for name in ("status", "plots", "log") if name in changed}
    if "usage" in changed:
        updates["usage"] = gr.update(value=parts.usage, visible=bool(parts.usage))
    if "run" in changed:
        updates["run_id"] = parts.run_id
        updates["details"] = gr.update(visible=True)
        if message is None:
            updates["message"] = ""
    if "state" in changed:
        updates |= {
            "stop": gr.update(visible=parts.is_alive and parts.state is not RunState.STOPPING),
            "end_now": gr.update(
                value=f"End now, lose {render_count(parts.num_at_risk or 0, 'step')}",
                visible=parts.num_at_risk is not None,
            ),
            "resume": gr.update(visible=parts.can_resume),
            "test": gr.update(visible=parts.has_weights),
            "pack": gr.update(visible=parts.has_weights),
            "stop_question": gr.update(visible=False),
            "discard_question": gr.update(visible=False),
            "timer": gr.Timer(active=parts.is_alive),
        }
    return list(updates.values())


HIDDEN_WITHOUT_RUN = (
    *("stop", "end_now", "resume", "test", "pack", "stop_question", "discard_question"),
    *("usage", "details"),
)
