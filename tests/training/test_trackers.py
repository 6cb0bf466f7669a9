"""A tracker gets the numbers of the run's own events."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate import tracking
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mrpc.files import read_model, write_model
from mrpc.runs.layout import RunConfig, RunPaths
from mrpc.runs.process import ExitCode
from mrpc.runs.run import Run
from mrpc.training.__main__ import main
from mrpc.training.report import Tracking
from mrpc.training.session import select_loop
from tests.training.in_process import evaluations, make_run, open_session, steps
from tests.written_run import started_event, step_event


@pytest.fixture
def shell(tiny_data_dir: Path, tiny_checkpoint_dir: Path, tmp_path: Path) -> list[str]:
    """The arguments of a short training from a shell."""
    return [
        *("--preset", "course", "--num-epochs", "2", "--runs-dir", str(tmp_path)),
        *("--data-dir", str(tiny_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir)),
    ]


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    """The training process takes over signals; the tests' own process keeps its handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def only_run(runs_dir: Path) -> Run:
    (config_file,) = runs_dir.glob("*/config.json")
    config = read_model(config_file, RunConfig)
    assert config is not None
    return Run(RunPaths(config_file.parent), config)


def scalars(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Return what tensorboard reads back: tag to (step, value)."""
    reader = EventAccumulator(str(run.paths.trackers / run.run_id))
    reader.Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


@pytest.mark.integration
def test_tensorboard_reads_the_runs_numbers(shell: list[str], tmp_path: Path) -> None:
    assert main([*shell, "--log-with", "tensorboard"]) == ExitCode.FINISHED
    run = only_run(tmp_path)
    assert run.config.log_with == "tensorboard"
    written = scalars(run)
    for name in ("loss", "learning_rate", "grad_norm", "epoch"):
        expected = [(step.step, pytest.approx(getattr(step, name), rel=1e-6)) for step in steps(run)]
        assert written[f"train/{name}"] == expected
    for name in ("loss", "accuracy", "f1"):
        expected = [(e.step, pytest.approx(getattr(e, name), rel=1e-6)) for e in evaluations(run)]
        assert written[f"validation/{name}"] == expected
    assert len(written["validation/f1"]) == 3


def test_a_resumed_run_draws_one_curve_in_tensorboard(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir)
    run.paths.run_dir.mkdir(exist_ok=True)
    first = Tracking("tensorboard", run)
    first(started_event(9))
    for step in range(1, 7):
        first(step_event(step, 9))
    second = Tracking("tensorboard", run)
    second(started_event(9).model_copy(update={"step": 4}))
    for step in range(5, 10):
        second(step_event(step, 9))
    assert [step for step, _ in scalars(run)["train/loss"]] == list(range(1, 10))


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_other_trackers_get_the_same_calls(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    calls: list[tuple[str, Any]] = []

    class FakeTracker:
        def __init__(self, project: str, **arguments: Any) -> None:
            calls.append(("init", (project, arguments)))

        def start(self) -> None:
            calls.append(("start", None))

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            calls.append(("config", values))

        def log(self, values: dict[str, float], step: int) -> None:
            calls.append(("log", (step, sorted(values))))

        def finish(self) -> None:
            calls.append(("finish", None))

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, name, FakeTracker)
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, log_with=name, max_steps=1)  # type: ignore[arg-type]
    session = open_session(run)
    tracker = Tracking(name, run)  # type: ignore[arg-type]
    session.report.listeners.append(tracker)
    tracker(started_event(1))
    select_loop("accelerate")(session)
    session.finish()
    project, arguments = calls[0][1]
    assert project == "mrpc-lab"
    assert arguments["name"] == run.run_id
    assert calls[2][0] == "config"
    assert calls[2][1]["learning_rate"] == run.config.hyperparameters.learning_rate
    assert [call for call in calls if call[0] == "log"] == [
        ("log", (0, ["validation/accuracy", "validation/f1", "validation/loss"])),
        ("log", (1, ["train/epoch", "train/grad_norm", "train/learning_rate", "train/loss"])),
        ("log", (1, ["validation/accuracy", "validation/f1", "validation/loss"])),
    ]
    assert calls[-1][0] == "finish"


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_made(
    shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("mrpc.training.report.find_spec", lambda name: None)
    assert main([*shell, "--log-with", "wandb"]) == ExitCode.USAGE
    assert "pip install wandb brings it" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/config.json"))


def test_a_run_keeps_its_tracker_for_a_resume(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir)
    config = run.config.model_copy(update={"log_with": "tensorboard"})
    write_model(run.paths.config, config)
    assert read_model(run.paths.config, RunConfig) == config
