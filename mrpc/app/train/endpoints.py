"""The named endpoints of this tab, for scripts: plain JSON in and out, clear errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.app.alerts import shown_errors
from mrpc.app.limits import check_whole
from mrpc.app.view import api
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.runs.layout import DataRef

MAX_CURSOR = 10**9


def register_endpoints(services: Services) -> None:
    """Register the endpoints in the Blocks that is being built."""

    def start_run(config: dict[str, object]) -> dict[str, object]:
        """Start a training and return its id; it goes on whoever looks, and run_status tells how.

        Args:
            config: hyperparameters by name, laid over those of their "preset"; {} is the default preset.
                The key "data" names uploaded pairs to train on, as data_dir of an earlier run ends.
        """
        return on_start_run(services, config)

    def queue_run(config: dict[str, object]) -> dict[str, object]:
        """Put a training behind those that wait and return its id.

        Args:
            config: as for start_run.
        """
        return on_queue_run(services, config)

    def list_runs() -> dict[str, object]:
        """List all runs, the newest first: id, state, settings, and scores of the best epoch."""
        return on_list_runs(services)

    def run_status(run_id: str, cursor: int | None = None) -> dict[str, object]:
        """Tell how a run is going: state, step, time left, evaluations, and losses.

        With a cursor, the losses after that step come, 500 at most, and the answer's "cursor" is what to ask
        with next; -1 asks for none, and for where they end. Without a cursor all losses come.

        Args:
            run_id: the run, as start_run and list_runs name it.
            cursor: the step after which losses are wanted, or -1 for no losses.
        """
        return on_run_status(services, run_id, cursor)

    def stop_run(run_id: str, save: bool) -> dict[str, object]:
        """Ask a training to end; it does so after its current step.

        Args:
            run_id: the run.
            save: true keeps its weights and a checkpoint, from which resume_run goes on; false discards them.
        """
        return on_stop_run(services, run_id, save)

    def resume_run(run_id: str) -> dict[str, object]:
        """Continue a run that was cut, stopped or failed, from its newest checkpoint.

        Args:
            run_id: the run.
        """
        return on_resume_run(services, run_id)

    def export_code(run_id: str, form: str) -> dict[str, object]:
        """Return the code of a run: a script that does the same without this app.

        Args:
            run_id: the run.
            form: "accelerate", "pytorch" or "trainer" for train.py, "notebook" for the JSON of an .ipynb.
        """
        return on_export_code(services, run_id, form)

    for endpoint in (start_run, queue_run, stop_run):
        api(endpoint, changes=True, previews=True)
    api(resume_run, changes=True)
    for question in (list_runs, run_status, export_code):
        api(question)


def on_start_run(services: Services, config: object) -> dict[str, object]:
    """Start a training."""
    with shown_errors():
        settings, data = _settings(services, config)
        return {"run_id": services.launcher.start(settings, data)}


def on_queue_run(services: Services, config: object) -> dict[str, object]:
    """Put a training behind those that wait."""
    with shown_errors():
        settings, data = _settings(services, config)
        return {"run_id": services.launcher.add_to_queue(settings, data)}


def on_list_runs(services: Services) -> dict[str, object]:
    """List all runs."""
    with shown_errors():
        return {"runs": [summary.model_dump(mode="json") for summary in services.monitoring.list_runs()]}


def on_run_status(services: Services, run_id: object, cursor: object = None) -> dict[str, object]:
    """Tell how a run is going."""
    with shown_errors():
        if cursor is not None:
            cursor = check_whole(cursor, "cursor", -1, MAX_CURSOR)
        return services.monitoring.run_status(run_id, cursor)


def on_stop_run(services: Services, run_id: object, save: object) -> dict[str, object]:
    """Ask a training to end."""
    with shown_errors():
        if not isinstance(save, bool):
            raise InputError(f"save is {str(save)[:60]}; it must be true or false.")
        services.launcher.stop(run_id, save)
        return {"run_id": run_id, "state": services.monitoring.run_status(run_id)["state"]}


def on_resume_run(services: Services, run_id: object) -> dict[str, object]:
    """Continue a run."""
    with shown_errors():
        return {"run_id": services.launcher.resume(run_id)}


def on_export_code(services: Services, run_id: object, form: object) -> dict[str, object]:
    """Return the code of a run."""
    with shown_errors():
        return {"code": services.code_export.export_code(run_id, form)}


def _settings(services: Services, config: object) -> tuple[dict[str, object], DataRef | None]:
    if not isinstance(config, dict):
        raise InputError(f"config is {str(config)[:60]}; it must be an object of settings, such as {{}}.")
    settings = dict(config)
    return settings, services.own_data.ref(settings.pop("data", ""))
