"""What happens when something is pressed, and when the buttons have to change.

Nothing of a training lives in a handler: pages ask how the run is going (:mod:`mrpc.app.train.live`), so one
that was closed, or is opened later, sees the same. What comes from the browser is checked by the services
that are called.

Every handler here returns the updates of :func:`mrpc.app.train.view.view_updates`, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert, shown_errors
from mrpc.app.train.board import RunBoard
from mrpc.app.train.downloads import zip_model
from mrpc.app.train.form import read_form, render_plan
from mrpc.app.train.render_queue import render_estimate
from mrpc.app.train.view import view_updates
from mrpc.config import build_config
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

START_LABEL = "Start training"
TEST_MESSAGE = (
    '<p class="notice notice-note">Predicting test with the base and the fine-tuned model in the background. '
    "The scores appear above; test should be looked at once.</p>"
)


def on_checkpoints(services: Services) -> Any:
    """Fill the list of checkpoints; one that cannot be had says why."""
    choices = []
    for entry in services.checkpoints.availabilities():
        label = entry.spec.label if entry.available else f"{entry.spec.label} (not available: {entry.reason})"
        choices.append((label, entry.spec.name))
    return gr.update(choices=choices)


def on_plan(services: Services, *values: Any) -> str:
    """Say what a training with the form's values does; return it for the place above the button."""
    try:
        num_pairs = services.data.dataset["train"].num_rows
        config = build_config(read_form(values))
        services.checkpoints.require(config.checkpoint)
        estimate = services.estimates.estimate(config, num_pairs)
    except MrpcError as error:
        return render_alert(str(error))
    return render_plan(values, num_pairs) + render_estimate(estimate)


def on_open(board: RunBoard, run_id: Any) -> list[Any]:
    """Show the run under way when the tab is opened first, else the one it showed last, else the newest.

    False says that the tab was open before: whoever comes back sees what was there.
    """
    if run_id is False:
        return [gr.skip()] * len(view_updates(None))
    known = board.known_parts(run_id)
    return _show(board, board.alive_run_id() or (known.run_id if known else board.newest_run_id()))


def on_select(board: RunBoard, run_id: Any) -> list[Any]:
    """Show the run whose name was pressed in the list."""
    return _show(board, run_id)


def on_refresh(board: RunBoard, asked: Any) -> list[Any]:
    """Bring the buttons of a page up to date that shows this run, or give it another where it is gone."""
    run_id = board.run_to_show(asked)
    return view_updates(board.known_parts(run_id), asked=str(asked or ""))


def on_start(services: Services, board: RunBoard, *values: Any) -> Iterator[list[Any]]:
    """Start a training and show it. Returns the button and the message beside it in front of the rest."""
    nothing = [gr.skip()] * len(_show(board, ""))
    yield [gr.update(value="Starting …", interactive=False), "", *nothing]
    button = gr.update(value=START_LABEL, interactive=True)
    try:
        run_id = services.launcher.start(read_form(values))
    except MrpcError as error:
        yield [button, render_alert(str(error)), *nothing]
        return
    board.forget_summaries()
    yield [button, "", *_show(board, run_id)]


def on_stop(services: Services, board: RunBoard, save: bool, run_id: Any) -> list[Any]:
    """Ask a training to end."""
    try:
        services.launcher.stop(run_id, save)
    except MrpcError as error:
        return _show(board, run_id, message=render_alert(str(error)))
    return _show(board, run_id)


def on_end_now(services: Services, board: RunBoard, run_id: Any) -> list[Any]:
    """End a training at once; its last checkpoint stays."""
    try:
        services.launcher.kill(run_id)
    except MrpcError as error:
        return _show(board, run_id, message=render_alert(str(error)))
    return _show(board, run_id)


def on_resume(services: Services, board: RunBoard, run_id: Any) -> list[Any]:
    """Continue a run from its newest checkpoint."""
    try:
        services.launcher.resume(run_id)
    except MrpcError as error:
        return _show(board, run_id, message=render_alert(str(error)))
    return _show(board, run_id, message="")


def on_evaluate_test(services: Services, run_id: Any) -> str:
    """Predict test; return the message beside the buttons."""
    try:
        services.launcher.evaluate_test(run_id)
    except MrpcError as error:
        return render_alert(str(error))
    return TEST_MESSAGE


def on_pack(services: Services, folder: Path, run_id: Any) -> str:
    """Pack the best model; return the archive for the download button."""
    with shown_errors():
        return str(zip_model(services.store.open(run_id), folder))


def _show(board: RunBoard, run_id: Any, message: str | None = None) -> list[Any]:
    return view_updates(board.known_parts(run_id), message)
