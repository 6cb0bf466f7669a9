"""What can be downloaded of a run: its best model, its export to ONNX, its record. No gradio here."""

from __future__ import annotations

import json
import shlex
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mrpc.core.model.checkpoint_folder import weights_id
from mrpc.errors import RunStateError
from mrpc.files import csv_text, disk_trouble_in_words, new_file, open_regular, replacing
from mrpc.publish.onnx import onnx_folder_files, read_export
from mrpc.runs.log import read_events
from mrpc.runs.run import Run


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


@disk_trouble_in_words()
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


TAKEN: Mapping[str, Callable[[Run, Path], Path]] = {
    "model": zip_model,
    "onnx": zip_onnx,
    "record": bundle,
}
"""What packs each, by the name that a button of the page sends."""
