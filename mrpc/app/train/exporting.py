"""Export a run to ONNX in a process of its own: torch's exporter takes memory, and holds up its process.

No gradio here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.errors import UnavailableError
from mrpc.files import read_tail
from mrpc.publish.onnx import INSTALL, PACKAGES, OnnxExport, read_export
from mrpc.settings import training_environment

if TYPE_CHECKING:
    from mrpc.app.task import Task
    from mrpc.runs.run import Run

PROJECT_DIR = Path(__file__).resolve().parents[3]
POLL_S = 0.2
TAIL_BYTES = 2_000
PROGRESS = re.compile(r"\[(\d+)/(\d+)\] (.+)")


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
            process = subprocess.Popen(
                [sys.executable, "-m", "mrpc.publish.onnx", str(run.paths.run_dir)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=trouble,
                cwd=PROJECT_DIR,
                env=training_environment(),
            )
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
