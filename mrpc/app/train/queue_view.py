"""The queue: add the form's settings, show what waits, move and remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.alerts import render_alert
from mrpc.app.train.board import RunBoard
from mrpc.app.train.form import read_form
from mrpc.app.train.render_queue import render_queue, render_queued
from mrpc.errors import InputError, MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

ACTS_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (button) trigger('select', {act: button.dataset.act, run_id: button.dataset.runId});
});
const focus = mrpcKeepFocus(element);
"""
PLACES = {"up": -1, "down": 1}


def queue_html(services: Services, board: RunBoard) -> str:
    """Return the queue as it is now."""
    summaries = {summary.run_id: summary for summary in board.summaries()}
    waiting = [run_id for run_id in services.launcher.queue.read() if run_id in summaries]
    return render_queue([summaries[run_id] for run_id in waiting])


def on_queue(services: Services, board: RunBoard, values: Sequence[Any]) -> str:
    """Put the form's settings behind those that wait; return the message below the button."""
    try:
        services.launcher.add_to_queue(read_form(values))
    except MrpcError as error:
        return render_alert(str(error))
    board.forget_summaries()
    return render_queued(len(services.launcher.queue.read()))


def on_queue_act(services: Services, board: RunBoard, act: Any, run_id: Any) -> str:
    """Move a waiting run or take it out; return the message below the button."""
    try:
        if act == "remove":
            services.launcher.remove_from_queue(run_id)
        elif act in PLACES:
            services.launcher.queue.move(run_id, PLACES[act])
        else:
            raise InputError(f"{str(act)[:60]!r} is nothing that can be done with a waiting run.")
    except MrpcError as error:
        return render_alert(str(error))
    board.forget_summaries()
    return ""
