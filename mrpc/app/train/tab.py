"""The tab: its views, in the order in which one works through them, and its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import check_whole
from mrpc.app.spine import Spine
from mrpc.app.train import export, runs
from mrpc.app.train.live import Live, RunBoard
from mrpc.app.train.live_view import build_courier, build_live_place
from mrpc.app.train.loops_view import build_loops_view
from mrpc.app.train.runs_view import build_runs_view
from mrpc.app.train.start_view import build_start_form
from mrpc.app.train.take_away_view import build_take_away
from mrpc.app.view import api
from mrpc.app.widgets import view_tab, without_form

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.runs.layout import DataRef

MAX_CURSOR = 10**9


def build_train_tab(services: Services, spine: Spine) -> None:
    """Build the tab inside the page that is being built."""
    board = RunBoard(services)
    live = Live(services, board)
    with gr.Tabs(elem_id="train-views"):
        with view_tab("Train", "train/start"), gr.Row(elem_id="train-columns"):
            with without_form(gr.Column(elem_id="train-form", scale=0, min_width=400)):
                form = build_start_form(services, spine)
            with gr.Column(elem_id="train-run"):
                build_live_place("train/run_live.html", "run-live")
                build_take_away(services, spine)
        with view_tab("Runs", "train/runs"):
            build_runs_view(services)
        with view_tab("Three loops", "train/loops"):
            build_loops_view(services, spine)
    build_courier(services, live, spine, form)
    add_endpoints(services)


def add_endpoints(services: Services) -> None:
    """Add the named endpoints of this tab, for scripts: plain JSON in and out, clear errors."""

    def read_settings(config: dict[str, object]) -> tuple[dict[str, object], DataRef | None]:
        settings = dict(config)
        return settings, services.own_data.ref(settings.pop("data", ""))

    def start_run(config: dict[str, object]) -> dict[str, object]:
        """Start a training and return its id; it goes on whoever looks, and run_status tells how.

        Args:
            config: hyperparameters by name, laid over those of their "preset"; {} is the default preset.
                The key "data" names uploaded pairs to train on, as data_dir of an earlier run ends.
        """
        settings, data = read_settings(config)
        return {"run_id": services.launcher.start(settings, data)}

    def queue_run(config: dict[str, object]) -> dict[str, object]:
        """Put a training behind those that wait and return its id.

        Args:
            config: as for start_run.
        """
        settings, data = read_settings(config)
        return {"run_id": services.launcher.add_to_queue(settings, data)}

    def list_runs() -> dict[str, object]:
        """List all runs, the newest first: id, state, settings, and scores of the best epoch."""
        return {"runs": [one.model_dump(mode="json") for one in runs.list_runs(services.store)]}

    def run_status(run_id: str, cursor: int | None = None) -> dict[str, object]:
        """Tell how a run is going: state, step, time left, evaluations, and losses.

        With a cursor, the losses after that step come, 500 at most, and the answer's "cursor" is what to ask
        with next; -1 asks for none, and for where they end. Without a cursor all losses come.

        Args:
            run_id: the run, as start_run and list_runs name it.
            cursor: the step after which losses are wanted, or -1 for no losses.
        """
        after = None if cursor is None else check_whole(cursor, "cursor", runs.NO_LOSSES, MAX_CURSOR)
        return runs.run_status(services.store, run_id, after)

    def stop_run(run_id: str, save: bool) -> dict[str, object]:
        """Ask a training to end; it does so after its current step.

        Args:
            run_id: the run.
            save: true keeps its weights and a checkpoint, from which resume_run goes on; false discards them.
        """
        services.launcher.stop(run_id, save)
        return {"run_id": run_id, "state": runs.run_status(services.store, run_id)["state"]}

    def resume_run(run_id: str) -> dict[str, object]:
        """Continue a run that was cut, stopped or failed, from its newest checkpoint.

        Args:
            run_id: the run.
        """
        return {"run_id": services.launcher.resume(run_id)}

    def export_code(run_id: str, form: str) -> dict[str, object]:
        """Return the code of a run: a script that does the same without this app.

        Args:
            run_id: the run.
            form: "accelerate", "pytorch" or "trainer" for train.py, "notebook" for the JSON of an .ipynb.
        """
        return {"code": export.export_code(services.store.open(run_id), form)}

    for endpoint in (start_run, queue_run, stop_run):
        api(endpoint, changes=True, previews=True)
    api(resume_run, changes=True)
    for question in (list_runs, run_status, export_code):
        api(question)
