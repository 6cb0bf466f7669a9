"""Finished runs for others: their cards, their way to the Hub, their export to ONNX. No gradio here.

The token is the one of the machine that the app runs on (``HF_TOKEN``, or what ``hf auth login`` stored); it
never passes through a page.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.app.train.processes import start_process
from mrpc.core.model.checkpoint_folder import weights_id
from mrpc.errors import UnavailableError
from mrpc.files import read_tail
from mrpc.progress import OnProgress, silent
from mrpc.publish.onnx import INSTALL, PACKAGES, OnnxExport, read_export
from mrpc.recent import Recent
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

    from mrpc.app.task import Task
    from mrpc.publish.answers import TestedBehavior


MAX_KEPT = 16
"""Models whose behavioural tests are remembered."""

POLL_S = 0.2
TAIL_BYTES = 2_000
PROGRESS = re.compile(r"\[(\d+)/(\d+)\] (.+)")


class Publishing:
    """Publishes the runs of one folder. The behavioural tests of a model are run once."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._behavior: Recent[list[TestedBehavior]] = Recent(MAX_KEPT)

    def card(
        self,
        run_id: object,
        repo_id: object,
        on_progress: OnProgress = silent,
        *,
        predicts_test: bool = False,
    ) -> ModelCard:
        """Return the card of a run as it would be published.

        Args:
            run_id: the run; untrusted.
            repo_id: "owner/name"; untrusted.
            on_progress: told how far it is.
            predicts_test: whether test is predicted first, where that was not done yet.

        Raises:
            InputError: the name cannot be one of a repository, or there is no such run.
            RunStateError: the run has nothing to publish.
            DataError: test is to be predicted, and cannot be scored.
        """
        from mrpc.publish.answers import predict_test, run_behavioral_tests
        from mrpc.publish.card import build_card
        from mrpc.publish.upload import check_publishable

        run = self._store.open(run_id)
        name = check_publishable(run, repo_id)
        if predicts_test:
            predict_test(run, on_progress)
        weights = weights_id(run.paths.best_model)
        tests = self._behavior.once(weights, lambda: run_behavioral_tests(run, on_progress))
        return build_card(run, name, tests)

    def publish(
        self, run_id: object, repo_id: object, is_private: bool, on_progress: OnProgress = silent
    ) -> str:
        """Upload a run and return its address; see :func:`mrpc.publish.upload.publish_run`."""
        from mrpc.publish.upload import check_publishable, publish_run

        run = self._store.open(run_id)
        name = check_publishable(run, repo_id)
        known = self._behavior.get(weights_id(run.paths.best_model))
        return publish_run(run, name, None, is_private, on_progress, behavior=known)


def can_export() -> bool:
    """Tell whether the optional packages are installed."""
    return all(find_spec(name) is not None for name in PACKAGES)


def export_in_process(run: Run, task: Task) -> OnnxExport:
    """Export the best model of a run, and follow how far that is.

    Raises:
        UnavailableError: it cannot be exported; says why.
        TaskCancelled: nobody waits for it any more; an earlier export stays.
    """
    if not can_export():
        raise UnavailableError(f"ONNX needs packages that are not installed where the app runs. {INSTALL}")
    task.progress("Starting the export", 0, 4)
    with tempfile.TemporaryDirectory(prefix="mrpc-onnx-") as folder:
        said, errors = Path(folder) / "said", Path(folder) / "errors"
        with said.open("wb") as output, errors.open("wb") as trouble:
            command = [sys.executable, "-m", "mrpc.publish.onnx", str(run.paths.run_dir)]
            process = start_process(command, output, trouble)
        try:
            while process.poll() is None:
                steps = PROGRESS.findall(read_tail(said, TAIL_BYTES).decode(errors="replace"))
                if steps:
                    num_done, num_total, what = steps[-1]
                    task.progress(what, int(num_done), int(num_total))
                task.check()
                time.sleep(POLL_S)
        finally:
            process.kill()
            process.wait()
        lines = read_tail(errors, TAIL_BYTES).decode(errors="replace").strip().splitlines()
    export = read_export(run)
    if process.returncode != 0 or export is None:
        raise UnavailableError(lines[-1] if lines else "The export ended without a message. Try again.")
    return export
