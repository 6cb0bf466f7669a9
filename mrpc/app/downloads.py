"""Files that are made on request for a person to take away."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from mrpc.errors import RunStateError
from mrpc.publish.onnx import read_export, write_onnx_folder
from mrpc.runs.store import Run


def zip_onnx(run: Run, parent: Path) -> Path:
    """Pack the exported model of a run with its config and tokenizer, as transformers.js reads it.

    Args:
        run: the run.
        parent: where a new folder for the archive is made.

    Raises:
        RunStateError: when the run was not exported.
    """
    if read_export(run) is None:
        raise RunStateError(f"Run {run.run_id} was not exported to ONNX yet.")
    parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=parent, prefix="onnx-"))
    with tempfile.TemporaryDirectory(dir=place) as folder:
        write_onnx_folder(run, Path(folder))
        path = place / f"{run.run_id}-onnx.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    archive.write(file, f"{run.run_id}-onnx/{file.relative_to(folder).as_posix()}")
    return path


def zip_model(run: Run, parent: Path) -> Path:
    """Pack the best model of a run as a standard Hugging Face folder.

    Args:
        run: the run.
        parent: where a new folder for the archive is made.

    Returns:
        The archive, ``RUN_ID-best.zip``. Weights do not shrink, so nothing is compressed.

    Raises:
        RunStateError: when the run has no fine-tuned weights.
    """
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to download.")
    path = _new_file(parent, f"{run.run_id}-best.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(run.paths.best_model.iterdir()):
            if file.is_file() and not file.is_symlink():
                archive.write(file, f"{run.run_id}-best/{file.name}")
    return path


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    path = _new_file(cache_dir, name)
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)


def _new_file(parent: Path, name: str) -> Path:
    """Return the path of a file that is not there yet, in a new folder."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent, prefix="download-")) / name
