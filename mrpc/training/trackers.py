"""A tracker beside the run's own events: the same numbers, through accelerate's tracker classes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mrpc.errors import UnavailableError
from mrpc.runs import events as ev
from mrpc.runs.layout import TrackerName
from mrpc.runs.run import Run

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

PROJECT = "mrpc-lab"


def check_tracker(name: TrackerName) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        UnavailableError: says how to install it.
    """
    if find_spec(name) is None:
        raise UnavailableError(f"--log-with {name} needs the package {name}. pip install {name} brings it.")


class Tracking:
    """Forwards events to a tracker; call it with each event."""

    def __init__(self, name: TrackerName, run: Run) -> None:
        self.name = name
        self.run = run
        self._tracker: GeneralTracker | None = None

    def __call__(self, event: ev.BaseEvent) -> None:
        """Take in one event."""
        match event:
            case ev.StartedEvent():
                self._start(event.step)
            case ev.StepEvent():
                self._log(event, "train", "loss", "learning_rate", "grad_norm", "epoch")
            case ev.EvaluationEvent():
                self._log(event, event.split, "loss", "accuracy", "f1")
            case ev.FinishedEvent() | ev.StoppedEvent() | ev.FailedEvent():
                if self._tracker is not None:
                    self._tracker.finish()

    def _start(self, step: int) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        run_id, folder = self.run.run_id, self.run.paths.trackers
        folder.mkdir(exist_ok=True)
        tracker_class: Any = LOGGER_TYPE_TO_CLASS[self.name]
        match self.name:
            case "tensorboard":  # what a cut attempt wrote after the checkpoint is hidden
                tracker = tracker_class(run_id, str(folder), purge_step=step + 1 if step else None)
            case "trackio":
                tracker = tracker_class(PROJECT, name=run_id, resume="allow")
            case "wandb":
                tracker = tracker_class(PROJECT, name=run_id, id=run_id, resume="allow", dir=str(folder))
        tracker.start()
        if step == 0:
            tracker.store_init_configuration(self.run.config.hyperparameters.model_dump())
        self._tracker = tracker

    def _log(self, event: ev.BaseEvent, group: str, *names: str) -> None:
        if self._tracker is not None:
            values = {f"{group}/{name}": getattr(event, name) for name in names}
            self._tracker.log(values, step=event.step)
