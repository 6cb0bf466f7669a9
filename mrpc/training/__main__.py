"""``python -m mrpc.training``: the training process.

Three ways to call it::

    python -m mrpc.training RUN_DIR                    train a run, or continue one that was cut
    python -m mrpc.training RUN_DIR --evaluate test    predict test with the base and the best model
    python -m mrpc.training --preset quick ...         make a run and train it, from a shell

Several processes train one run together under ``accelerate launch`` or torchrun; on a CPU::

    ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m mrpc.training RUN_DIR

The lock comes first, before torch is imported. Whatever happens afterwards is in the run directory: a
terminal event and a true exit code.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import get_args

from mrpc import settings
from mrpc.config import PRESETS, TrainConfig, allowed_range, build_config
from mrpc.core.data.columns import parse_columns
from mrpc.errors import BusyError, DataError, InputError, MrpcError
from mrpc.files import write_model
from mrpc.runs.layout import DATA, DataRef, TrackerName
from mrpc.runs.process import ExitCode, describe_this_process, hold
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore, training_lock
from mrpc.settings import LaunchedProcesses
from mrpc.training.attempt import check_loop, follow, train_attempt
from mrpc.training.report import StopTraining, add_log_file, check_tracker


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, continue or evaluate a run; return the exit code."""
    settings.print_any_character()
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    launched = settings.launched_processes()
    try:
        if launched.rank > 0:
            return ExitCode.FINISHED if options.evaluate else follow(launched)
        if options.run_dir is None:
            return _train_new(options, launched)
        run_dir = options.run_dir
        run = RunStore(run_dir.parent).open(run_dir.name)
        own_lock = run.paths.evaluation_lock if options.evaluate else run.paths.train_lock
        with training_lock(run_dir.parent), hold(own_lock):
            return _evaluate(run) if options.evaluate else train_attempt(run, launched)
    except BusyError as error:
        print(error, file=sys.stderr)
        return ExitCode.BUSY
    except MrpcError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return ExitCode.USAGE


def _evaluate(run: Run) -> int:
    """Predict test, under the lock, and say so as long as it takes."""
    attempt = run.read_status().attempt
    write_model(run.paths.evaluation, describe_this_process(attempt, run.paths.run_dir, has_lock=True))
    try:
        from mrpc.training.evaluation import evaluate_test

        evaluate_test(run)
        return ExitCode.FINISHED
    finally:
        run.paths.evaluation.unlink(missing_ok=True)


def _train_new(options: argparse.Namespace, launched: LaunchedProcesses) -> int:
    values = {name: getattr(options, name) for name in TrainConfig.model_fields}
    if options.checkpoint_dir is not None:
        values["checkpoint"] = f"local:{options.checkpoint_dir.name}"
    config = build_config({name: value for name, value in values.items() if value is not None})
    check_loop(config, launched)
    if options.log_with is not None:
        check_tracker(options.log_with)
    with training_lock(options.runs_dir):
        from mrpc.core.data.load import keep_odd, load_data
        from mrpc.core.model.pretrained import resolve_pretrained

        checkpoint = resolve_pretrained(config.checkpoint, options.checkpoint_dir)
        if options.checkpoint_dir is not None:
            from mrpc.core.model.classifier import try_checkpoint

            try_checkpoint(checkpoint)
        loaded = load_data(data_dir=options.data_dir, columns=options.columns)
        print(loaded.report.as_text(), file=sys.stderr)
        data = DataRef.model_validate(keep_odd(loaded, options.runs_dir / DATA))
        checkpoint_dir = options.checkpoint_dir and options.checkpoint_dir.resolve()
        run = RunStore(options.runs_dir).create(config, data, checkpoint_dir, log_with=options.log_with)
        print(f"Run {run.run_id} in {run.paths.run_dir}", file=sys.stderr)
        add_log_file(run.paths.log)
        with hold(run.paths.train_lock):
            return train_attempt(run, launched)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    known = settings.Settings.from_environment()
    parser = argparse.ArgumentParser(
        prog="python -m mrpc.training",
        description="Fine-tune an encoder on sentence pairs, and record everything in a run directory.",
    )
    parser.add_argument(
        "run_dir", nargs="?", type=settings.path_argument, help="an existing run: train it, or continue it"
    )
    parser.add_argument("--evaluate", choices=["test"], help="predict this split instead of training")
    parser.add_argument(
        "--runs-dir",
        type=settings.path_argument,
        default=known.runs_dir,
        help="where a new run goes (%(default)s)",
    )
    parser.add_argument(
        "--data-dir",
        type=settings.path_argument,
        default=known.data_dir,
        help="a folder with one file a split, or one file",
    )
    parser.add_argument(
        "--columns",
        metavar="FIRST,SECOND,LABEL",
        help="the columns of both sentences and of the label, where their names are unusual",
    )
    parser.add_argument(
        "--checkpoint-dir", type=settings.path_argument, help="a local checkpoint folder to start from"
    )
    parser.add_argument(
        "--log-with",
        choices=get_args(TrackerName),
        help="a tracker that gets the numbers as well; it has to be installed",
    )
    for name, field in TrainConfig.model_fields.items():
        choices = list(PRESETS) if name == "preset" else None
        is_switch = field.annotation is bool  # --fast is --fast true
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=choices,
            metavar=None if choices else name.upper(),
            nargs="?" if is_switch else None,
            const="true" if is_switch else None,
            help=f"{field.description} ({allowed_range(name)})".replace("%", "%%"),
        )
    options = parser.parse_args(arguments)
    try:
        options.columns = parse_columns(options.columns) if options.columns is not None else None
    except DataError as error:
        parser.error(str(error))
    if options.run_dir is not None:
        given = [name for name in TrainConfig.model_fields if getattr(options, name) is not None]
        if given or options.checkpoint_dir or options.log_with:
            parser.error(
                "a run directory has its settings in its config.json; give either the directory or settings"
            )
    elif options.evaluate:
        parser.error("--evaluate needs a run directory")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StopTraining:  # a signal before there was anything to report to
        sys.exit(ExitCode.STOPPED)
    except InputError as error:
        sys.exit(str(error))
