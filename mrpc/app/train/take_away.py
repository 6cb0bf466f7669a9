"""Finished runs for others: downloads, cards and the way to the Hub, the export to ONNX. No gradio here.

The token is the one of the machine that the app runs on (``HF_TOKEN``, or what ``hf auth login`` stored); it
never passes through a page.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrpc.app.train.processes import start_process
from mrpc.core.model.checkpoint_folder import weights_id
from mrpc.errors import RunStateError, UnavailableError
from mrpc.files import csv_text, disk_errors_explained, new_file, open_regular, read_tail, replacing
from mrpc.progress import OnProgress, silent
from mrpc.publish.onnx import INSTALL, PACKAGES, OnnxExport, onnx_folder_files, read_export
from mrpc.recent import Recent
from mrpc.runs.log import read_events
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
"""What an export to ONNX prints, which is looked at every ``POLL_S`` seconds."""

EXAMPLE_PAIR = (
    "The council approved the new bridge on Monday.",
    "On Monday the new bridge was approved by the council.",
)


def zip_onnx(run: Run, parent: Path) -> Path:
    """Pack the exported model of a run with its config and tokenizer, as transformers.js reads it.

    Args:
        run: the run.
        parent: the folder for such archives.

    Raises:
        RunStateError: when the run was not exported.
    """
    export = read_export(run)
    if export is None:
        raise RunStateError(f"Run {run.run_id} was not exported to ONNX yet.")
    content = export.files["int8"].sha256
    return _pack(parent, f"{run.run_id}-onnx", content, onnx_folder_files(run))


def zip_model(run: Run, parent: Path) -> Path:
    """Pack the best model of a run as a standard Hugging Face folder.

    Args:
        run: the run.
        parent: the folder for such archives.

    Returns:
        The archive, ``RUN_ID-best.zip``.

    Raises:
        RunStateError: when the run has no fine-tuned weights.
    """
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to download.")
    return _pack(parent, f"{run.run_id}-best", weights_id(run.paths.best_model), run.best_files())


def _pack(parent: Path, name: str, content: str, files: Mapping[str, Path]) -> Path:
    """Return an archive of files; who asks again gets the same one, so that asking fills no disk.

    Args:
        parent: where it is.
        name: of the archive, without its ending, and of the folder in it.
        content: a hash of what is in it.
        files: by their name in the folder. Weights do not shrink, so nothing is compressed.
    """
    path = parent / f"download-{content[:16]}" / f"{name}.zip"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as archive_file, zipfile.ZipFile(archive_file, "w") as archive:
            for inner, file in files.items():
                with open_regular(file) as source, archive.open(f"{name}/{inner}", "w") as packed:
                    shutil.copyfileobj(source, packed)
    return path


@disk_errors_explained()
def bundle(run: Run, parent: Path) -> Path:
    """Pack what a run recorded, without its weights, and the command that reproduces it.

    Args:
        run: the run.
        parent: where a new folder for the archive is made.
    """
    path = new_file(parent, f"{run.run_id}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", run.config.model_dump_json(indent=2))
        archive.writestr("events.csv", events_csv(run))
        archive.writestr("reproduce.sh", f"#!/bin/sh\n{reproduce_command(run)}\n")
        process = run.read_process()
        if process is not None:
            archive.writestr("versions.json", json.dumps(process.versions, indent=2))
        for file in sorted(run.paths.predictions.glob("*.parquet")):
            if file.is_file() and not file.is_symlink():
                archive.write(file, f"predictions/{file.name}")
    return path


def events_csv(run: Run) -> str:
    """Return the events of a run as a table: one line an event, the union of all fields as columns."""
    rows: list[dict[str, Any]] = [event.model_dump(mode="json") for event in read_events(run.paths.events)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text(columns, ([_cell(row.get(name)) for name in columns] for row in rows))


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def reproduce_command(run: Run) -> str:
    """Return the shell command that trains the same again."""
    command = ["python", "-m", "mrpc.training", "--preset", run.config.hyperparameters.preset]
    for name, value in run.config.hyperparameters.model_dump().items():
        is_local = name == "checkpoint" and run.config.checkpoint_dir is not None
        if name != "preset" and not is_local:
            command += [f"--{name.replace('_', '-')}", str(value)]
    if run.config.checkpoint_dir is not None:
        command += ["--checkpoint-dir", str(run.config.checkpoint_dir)]
    if run.config.data.data_dir is not None:
        command += ["--data-dir", str(run.config.data.data_dir)]
    if run.config.data.columns is not None:
        command += ["--columns", ",".join(run.config.data.columns)]
    return shlex.join(command)


def usage_code(model_dir: str) -> str:
    """Return the lines of Python that ask the model in a downloaded folder about a pair."""
    text, text_pair = EXAMPLE_PAIR
    return (
        "from transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model={model_dir!r})\n'
        f'classify({{\n    "text": {text!r},\n    "text_pair": {text_pair!r},\n}})'
    )


TAKEN: Mapping[str, Callable[[Run, Path], Path]] = {
    "model": zip_model,
    "onnx": zip_onnx,
    "record": bundle,
}
"""What packs each, by the name that a button of the page sends."""


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
