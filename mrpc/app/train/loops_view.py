"""The three loops: short, with what changes; how accelerate starts one; the files; Trainer's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.app.spine import Spine
from mrpc.app.templates import render
from mrpc.app.train.accelerate_commands import ask_accelerate
from mrpc.app.train.loops import arguments_html, loop_files, short_loops
from mrpc.app.train.processes import count_gpu_files
from mrpc.app.view import View
from mrpc.app.widgets import fold, stage
from mrpc.settings import accelerate_config_file, num_cores

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.task import Task


def build_loops_view(services: Services, spine: Spine) -> None:
    """Build the view."""
    loops = stage("loops", elem_id="loops")
    with fold("Started by accelerate, on this machine", "accelerate-fold"):
        commands = stage("accelerate", elem_id="accelerate-commands")
    with fold("The files that run", "loop-files-fold"):
        files = stage("loop-files", elem_id="loop-files")
    with fold("TrainingArguments: what Trainer is told", "arguments-fold"):
        arguments = stage("arguments", elem_id="trainer-arguments")

    def draw_commands(task: Task) -> str:
        task.progress("Asking accelerate what it would do here", 0, 0)
        num_gpus, config_file = count_gpu_files(), accelerate_config_file()
        return render(
            "train/accelerate.html",
            said=ask_accelerate(num_gpus, config_file),
            num_cores=num_cores(),
            num_gpus=num_gpus,
            has_config=config_file is not None,
        )

    def draw_files() -> str:
        return render("train/loop_files.html", loops=loop_files())

    View("loops", {}, {"loops": loops}, lambda: render("train/loops.html", loops=short_loops())).bind()
    View("accelerate", {}, {"commands": commands}, draw_commands, tasks=services.tasks).bind()
    View("loop-files", {}, {"files": files}, draw_files).bind()
    one = {"run": spine.run}
    View("arguments", one, {"arguments": arguments}, lambda run: arguments_html(services, run)).bind()
