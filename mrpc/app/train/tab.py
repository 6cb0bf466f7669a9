"""The Train tab: where its parts stand, and which handler answers to what."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.browser_events import told
from mrpc.app.train.board import RunBoard
from mrpc.app.train.endpoints import register_endpoints
from mrpc.app.train.export_view import build_export_view
from mrpc.app.train.form import build_form
from mrpc.app.train.handlers import (
    START_LABEL,
    on_checkpoints,
    on_end_now,
    on_evaluate_test,
    on_open,
    on_pack,
    on_plan,
    on_refresh,
    on_resume,
    on_select,
    on_start,
    on_stop,
)
from mrpc.app.train.library import bind_library, build_library
from mrpc.app.train.live import Live
from mrpc.app.train.loops_view import build_loops_view
from mrpc.app.train.manage_run import build_manage
from mrpc.app.train.parts import html_part
from mrpc.app.train.probes_view import build_probes
from mrpc.app.train.queue_view import ACTS_JS
from mrpc.app.train.render_overlay import NUM_SLOTS
from mrpc.app.train.view import build_view

if TYPE_CHECKING:
    from mrpc.app.services import Services

POLL: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "once",
    "queue": False,  # one request and its answer
}
ACT: dict[str, Any] = {**POLL, "concurrency_limit": 8, "queue": True}

SELECT_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run]');
  if (!button) return;
  trigger('select', {run_id: button.dataset.run});
  document.querySelector('#train-run').scrollIntoView({behavior: 'smooth', block: 'start'});
});
const focus = mrpcKeepFocus(element);
"""
SHOW_RUN_JS = """
() => {
  if (document.querySelector('#train-message [role=alert]')) return;
  document.querySelector('#train-run').scrollIntoView({behavior: 'smooth', block: 'start'});
}"""
CHOOSE_JS = f"const choice = mrpcChooseRuns(element, {NUM_SLOTS});\n"
FIRST_TIME_JS = """
(run) => {
  const isFirst = !window.mrpcTrainWasOpen;
  window.mrpcTrainWasOpen = true;
  return [isFirst && (run ?? "")];
}"""
CLICK_DOWNLOAD_JS = "() => document.querySelector('#run-download')?.click()"


def build_train_tab(services: Services, run_id: gr.BrowserState) -> None:
    """Build the tab inside the page that is being built.

    Args:
        services: what the handlers call.
        run_id: keeps in the browser which run is looked at.
    """
    board = RunBoard(services)
    live = Live(services, board)
    with gr.Tab("Train", id="train") as tab:
        with gr.Row(elem_id="train-columns", equal_height=False):
            with gr.Column(scale=0, min_width=340, elem_id="train-form"):
                gr.HTML("<h2>New training</h2>", apply_default_css=False)
                form, preset_help = build_form()
                plan = gr.HTML(elem_id="train-plan", apply_default_css=False)
                with gr.Row(elem_id="train-buttons"):
                    start = gr.Button(START_LABEL, variant="primary", min_width=140, elem_id="train-start")
                    add = gr.Button("Add to queue", min_width=120, elem_id="train-add")
                start_message = gr.HTML(elem_id="train-message", apply_default_css=False)
                queue = html_part("queue", js=ACTS_JS, after="focus")
            with gr.Column(scale=1, min_width=320, elem_id="train-run"):
                view, buttons = build_view(run_id, live)
                with view.details:
                    probes = build_probes()
                    manage = build_manage()
                build_export_view(services, run_id)
                gr.HTML("<h2>Runs</h2>", elem_classes="section-head", apply_default_css=False)
                runs = html_part("runs", js=SELECT_JS + CHOOSE_JS, after="() => { choice(); focus(); }")
                library_view = build_library(queue, probes, manage)
        build_loops_view(services, run_id)
        register_endpoints(services)

    def select(event: gr.EventData) -> list[Any]:
        return on_select(board, told(event, "run_id"))

    def refresh(event: gr.EventData) -> list[Any]:
        return on_refresh(board, told(event, "run_id"))

    # Not when the page opens: its first tokens need both cores then.
    shown = view.widgets()
    tab.select(partial(on_open, board), inputs=view.run_id, outputs=shown, js=FIRST_TIME_JS, **POLL)
    tab.select(partial(on_checkpoints, services), outputs=form["checkpoint"], **POLL)
    gr.on(
        [tab.select, *(widget.change for widget in form.values())],
        partial(on_plan, services),
        inputs=list(form.values()),
        outputs=plan,
        **(POLL | {"trigger_mode": "always_last"}),
    )
    view.courier.refresh(refresh, outputs=shown, **POLL)
    runs.select(select, outputs=shown, **POLL)
    started = start.click(
        partial(on_start, services, board),
        inputs=list(form.values()),
        outputs=[start, start_message, *shown],
        **ACT,
    )
    started.success(None, js=SHOW_RUN_JS, api_visibility="private")
    buttons.keep.click(partial(on_stop, services, board, True), inputs=view.run_id, outputs=shown, **ACT)
    buttons.discard.click(partial(on_stop, services, board, False), inputs=view.run_id, outputs=shown, **ACT)
    view.end_now.click(partial(on_end_now, services, board), inputs=view.run_id, outputs=shown, **ACT)
    view.resume.click(partial(on_resume, services, board), inputs=view.run_id, outputs=shown, **ACT)
    view.test.click(partial(on_evaluate_test, services), inputs=view.run_id, outputs=view.message, **ACT)
    packed = view.pack.click(
        partial(on_pack, services, Path(buttons.download.GRADIO_CACHE)),
        inputs=view.run_id,
        outputs=buttons.download,
        **(ACT | {"show_progress": "minimal"}),
    )
    packed.success(None, js=CLICK_DOWNLOAD_JS, api_visibility="private")
    bind_library(
        services,
        board,
        live,
        library_view,
        run_id=run_id,
        form=list(form.values()),
        preset_help=preset_help,
        add=add,
        add_message=start_message,
    )
    questions = [view.stop_question, view.discard_question]
    for button, answers in (
        (view.stop, (True, False)),
        (buttons.ask_discard, (False, True)),
        (buttons.cancel, (False, False)),
        (buttons.cancel_discard, (False, False)),
    ):
        button.click(partial(on_question, *answers), outputs=questions, **POLL)


def on_question(asks_to_stop: bool, asks_to_discard: bool) -> list[Any]:
    """Show or hide the questions before a training ends."""
    return [gr.update(visible=asks_to_stop), gr.update(visible=asks_to_discard)]
