"""What accelerate's three ways to start a training ask and do on this machine: asked of accelerate itself.

Its menu, its launcher and its notebook launcher run in a process of their own (this file as a script), with
answers that fit the machine in place of a person's. Nothing is written and nothing is trained.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mrpc.errors import UnavailableError
from mrpc.files import PROJECT_DIR
from mrpc.recent import Recent
from mrpc.runs.log import identify
from mrpc.settings import training_environment

TIMEOUT_S = 120
MAX_KEPT = 4
SCRIPT = "train.py"


class Question(BaseModel):
    """A question of ``accelerate config``.

    Attributes:
        text: as accelerate words it.
        options: what can be chosen; empty where one types.
        answer: the one for this machine.
        is_default: whether pressing Enter gives the same.
    """

    text: str
    options: Sequence[str]
    answer: str
    is_default: bool


class AccelerateAnswers(BaseModel):
    """What accelerate said.

    Attributes:
        version: of accelerate.
        questions: of ``accelerate config``, in order.
        config: the file that these answers make, as YAML.
        command: what ``accelerate launch train.py`` starts.
        environment: the variables that it sets for it.
        warnings: what it says before.
        notebook: what ``notebook_launcher`` prints; "" where it was not tried.
        is_same_process: whether it calls the function in the notebook's own process; None where not tried.
    """

    version: str
    questions: Sequence[Question]
    config: str
    command: str
    environment: dict[str, str]
    warnings: Sequence[str]
    notebook: str
    is_same_process: bool | None


_SAID: Recent[AccelerateAnswers] = Recent(MAX_KEPT)


def ask_accelerate(num_gpus: int, config_file: Path | None) -> AccelerateAnswers:
    """Ask accelerate, which takes some seconds, once for a machine as it is.

    Args:
        num_gpus: of this machine.
        config_file: its file, if it is there, by which it would launch.

    Raises:
        UnavailableError: it does not answer as it is known to.
    """
    version = identify(config_file) if config_file is not None else None
    return _SAID.once(num_gpus, lambda: _ask(num_gpus), version)


def _ask(num_gpus: int) -> AccelerateAnswers:
    command = [sys.executable, "-m", "mrpc.app.train.accelerate_commands", str(num_gpus)]
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT_DIR,
            env=training_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        return AccelerateAnswers.model_validate_json(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        last = (detail.strip().splitlines() or ["it said nothing"])[-1]
        raise UnavailableError(f"accelerate could not be asked what it would do here: {last[:300]}") from None


def _answer_menu(text: str, options: Sequence[str], default: int, num_gpus: int) -> int:
    """Choose what fits the machine where accelerate's own choice does not."""
    if "type of machine" in text and num_gpus > 1:
        return list(options).index("multi-GPU")
    if "mixed precision" in text and num_gpus:
        return list(options).index("bf16")
    return default


def _answer_field(text: str, num_gpus: int) -> str:
    """Type what fits the machine; "" is Enter."""
    if "CPU only" in text and not num_gpus:
        return "yes"
    if "How many GPU" in text and num_gpus > 1:
        return str(num_gpus)
    return ""


def _interview(num_gpus: int) -> tuple[list[Question], Any]:
    """Go through the menu of ``accelerate config`` and return its questions, and the config they make."""
    from accelerate.commands.config import cluster, config

    questions: list[Question] = []

    def ask_field(
        input_text: str,
        convert_value: Callable[[str], Any] | None = None,
        default: Any = None,
        error_message: str | None = None,
    ) -> Any:
        typed = _answer_field(input_text, num_gpus)
        value = default if not typed and default is not None else typed
        if typed and convert_value is not None:
            value = convert_value(typed)
        answer = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        question = input_text.strip().rstrip(":")
        questions.append(Question(text=question, options=[], answer=answer, is_default=value == default))
        return value

    def ask_options(
        input_text: str,
        options: Sequence[str] = (),
        convert_value: Callable[[int], Any] | None = None,
        default: int = 0,
    ) -> Any:
        chosen = _answer_menu(input_text, options, default, num_gpus)
        names = [str(option) for option in options]
        text, is_default = input_text.strip(), chosen == default
        questions.append(Question(text=text, options=names, answer=names[chosen], is_default=is_default))
        return convert_value(chosen) if convert_value is not None else chosen

    for module in (cluster, config):
        module._ask_options = ask_options
    cluster._ask_field = ask_field
    return questions, config.get_user_input()


def _launch(num_gpus: int) -> tuple[list[str], dict[str, str], list[str]]:
    """Return the command that ``accelerate launch`` starts, what it sets for it, and what it says before."""
    import logging

    from accelerate.commands import launch
    from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

    warnings: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("accelerate").addHandler(listener)
    before = training_environment()
    args, _, _ = launch._validate_launch_command(launch.launch_command_parser().parse_args([SCRIPT]))
    if args.multi_gpu and not args.cpu:
        command = ["torchrun", f"--nproc_per_node={num_gpus}", SCRIPT]
        environment = prepare_multi_gpu_env(args)
    else:
        command, environment = prepare_simple_launcher_cmd_env(args)
        command = ["python", *command[1:]]
    new = {name: value for name, value in environment.items() if before.get(name) != value}
    return command, new, warnings


def _try_notebook_launcher(num_gpus: int) -> tuple[str, bool | None]:
    """Launch a function that only says where it runs; not where that would fork processes for GPUs."""
    if num_gpus > 1:
        return "", None
    import contextlib
    import io

    from accelerate import notebook_launcher

    pids: list[int] = []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        notebook_launcher(lambda: pids.append(os.getpid()), num_processes=1)
    return printed.getvalue().strip(), pids == [os.getpid()]


def main(arguments: Sequence[str]) -> None:
    """Print what accelerate says as one line of JSON."""
    import accelerate
    import yaml

    num_gpus = int(arguments[0])
    questions, config = _interview(num_gpus)
    command, environment, warnings = _launch(num_gpus)
    notebook, is_same_process = _try_notebook_launcher(num_gpus)
    answers = AccelerateAnswers(
        version=accelerate.__version__,
        questions=questions,
        config=yaml.safe_dump(config.to_dict()),
        command=" ".join(command),
        environment=environment,
        warnings=warnings,
        notebook=notebook,
        is_same_process=is_same_process,
    )
    print(answers.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1:])
