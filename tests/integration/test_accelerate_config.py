"""The app starts a training as ``accelerate config`` says, and gives its code to scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.train.export import export_code
from mrpc.app.train.launcher import Launcher
from mrpc.core.data.load import load_data
from mrpc.errors import BusyError, RunStateError
from mrpc.runs.events import FinishedEvent, WarningEvent
from mrpc.runs.log import read_events
from mrpc.runs.process import find_process
from mrpc.runs.run import RunState
from mrpc.runs.store import RunStore
from tests.integration.training_process import create_run, terminal
from tests.live_app import LiveApp, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def configured_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``accelerate config`` was answered, with a format that no processor computes in."""
    home = tmp_path_factory.mktemp("home")
    answer = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "config", "default"]
    environment = {**os.environ, "HF_HOME": str(home)}
    subprocess.run([*answer, "--mixed_precision", "fp16"], check=True, timeout=120, env=environment)
    assert (home / "accelerate" / "default_config.yaml").is_file()
    return home


@pytest.fixture
def launcher(
    tmp_path: Path,
    configured_home: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Launcher:
    monkeypatch.setenv("HF_HOME", str(configured_home))
    data = load_data("folder", tiny_data_dir)
    return Launcher(RunStore(tmp_path / "runs"), lambda: data, CheckpointShelf([tiny_checkpoint_dir]))


def test_a_config_of_accelerate_is_honoured(launcher: Launcher, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    values: dict[str, Any] = {"preset": "course", "checkpoint": "local:tiny-bert", "num_epochs": 3}
    run = store.open(launcher.start(values))
    info = run.read_process()
    assert info is not None
    process = find_process(info)
    assert process is not None
    parents = [" ".join(parent.cmdline()) for parent in process.parents()]
    assert any("accelerate.commands.launch" in command for command in parents)
    with pytest.raises(BusyError):
        launcher.start(values)
    wait_until(lambda: run.state() is RunState.FINISHED, timeout_s=300)
    events = read_events(run.paths.events)
    assert isinstance(terminal(run), FinishedEvent)
    (warning,) = [event.message for event in events if isinstance(event, WarningEvent)]
    assert "The config of accelerate asks for fp16" in warning
    assert "runs in float32" in warning


def test_a_run_of_the_trainer_loop_is_not_resumed(
    launcher: Launcher, tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path / "runs", tiny_data_dir, tiny_checkpoint_dir, loop="trainer")
    run.paths.config.write_text(
        run.config.model_copy(update={"created_at": 0.0}).model_dump_json(), encoding="utf-8"
    )
    assert run.state() in (RunState.STARTING, RunState.INTERRUPTED)
    with pytest.raises(RunStateError, match="writes no checkpoints"):
        launcher.resume(run.run_id)


def test_the_endpoint_gives_the_code(
    live_app: LiveApp, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(live_app.runs_dir, tiny_data_dir, tiny_checkpoint_dir)
    client = Client(live_app.url, verbose=False)
    for form in ("accelerate", "pytorch", "trainer", "notebook"):
        answer = client.predict(run.run_id, form, api_name="/export_code")
        assert answer == {"code": export_code(run, form)}
    for run_id, form, problem in (
        (run.run_id, "jax", "it must be one of accelerate, pytorch, trainer, notebook"),
        ("../etc", "pytorch", "There is no run"),
    ):
        with pytest.raises(AppError, match=problem):
            client.predict(run_id, form, api_name="/export_code")
    client.close()
