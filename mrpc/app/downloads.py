"""Files that are made on request for a person to take away."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mrpc.core.model.checkpoint_folder import weights_id
from mrpc.errors import RunStateError
from mrpc.files import open_regular, replacing
from mrpc.publish.onnx import onnx_folder_files, read_export
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


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    path = new_file(cache_dir, name)
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)


def new_file(parent: Path, name: str) -> Path:
    """Return the path of a file that is not there yet, in a new folder."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent, prefix="download-")) / name
