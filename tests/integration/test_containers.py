"""Trainings in other PID namespaces, an app that is the first process of its container, hung launchers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.train import processes
from mrpc.app.train.launcher import Launcher
from mrpc.core.data.load import load_data
from mrpc.errors import BusyError, RunStateError, UnavailableError
from mrpc.runs.events import StoppedEvent
from mrpc.runs.run import RunState
from mrpc.runs.store import RunStore
from tests.integration.training_process import NEW_NAMESPACE, can_make_namespaces, create_run, terminal
from tests.live_app import running_app, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """A command that starts another as the first process of a PID namespace."""
    if not can_make_namespaces():
        pytest.skip("needs the right to make PID namespaces")
    return [*NEW_NAMESPACE]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def launcher(store: RunStore, long_data_dir: Path, tiny_checkpoint_dir: Path) -> Launcher:
    data = load_data("folder", long_data_dir)
    return Launcher(store, lambda: data, CheckpointShelf([tiny_checkpoint_dir]))


def test_a_training_in_another_namespace_lives_and_is_stopped_from_here(
    namespace: list[str],
    store: RunStore,
    launcher: Launcher,
    long_data_dir: Path,
    tiny_checkpoint_dir: Path,
) -> None:
    run = create_run(store.runs_dir, long_data_dir, tiny_checkpoint_dir, num_epochs=50)
    command = [*namespace, sys.executable, "-m", "mrpc.training", str(run.paths.run_dir)]
    with run.paths.log.open("ab") as log:
        container = subprocess.Popen(command, stdout=log, stderr=log, cwd=processes.PROJECT_DIR)
    try:
        wait_until(lambda: run.read_status().step > 3)
        info = run.read_process()
        assert info is not None
        assert info.pid < 10, "the pid of its own namespace"
        assert run.living_process() is None
        assert run.state() is RunState.RUNNING
        with pytest.raises(RunStateError, match="stop it before deleting"):
            store.move_to_trash(run)
        with pytest.raises(RunStateError, match="in another container or on another machine"):
            launcher.kill(run.run_id)
        with pytest.raises(BusyError, match=run.run_id):
            launcher.start({"checkpoint": f"local:{tiny_checkpoint_dir.name}"})
        launcher.stop(run.run_id, save=True)
        assert run.state() in {RunState.STOPPING, RunState.STOPPED}
        wait_until(lambda: run.state() is RunState.STOPPED)
        ended = terminal(run)
        assert isinstance(ended, StoppedEvent)
        assert ended.saved
    finally:
        container.kill()
        container.wait()


def test_an_app_that_is_the_first_process_passes_the_end_on(
    namespace: list[str], tmp_path: Path, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    arguments = ("--data-dir", str(long_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    with running_app(tmp_path, *arguments, prefix=namespace) as app:
        client = Client(app.url, verbose=False)
        values = {"preset": "course", "checkpoint": f"local:{tiny_checkpoint_dir.name}", "num_epochs": 50}
        started: dict[str, Any] = client.predict(values, api_name="/start_run")
        run = app.wait_for_state(started["run_id"], "running")
        wait_until(lambda: run.read_status().step > 3)
        (first,) = psutil.Process(app.process.pid).children()
        first.send_signal(signal.SIGTERM)
        said, _ = app.process.communicate(timeout=60)
    assert f"and with it the training {run.run_id}" in said
    assert "Resume goes on from there" in said
    assert "Traceback" not in said
    assert run.state() is RunState.STOPPED
    ended = terminal(run)
    assert isinstance(ended, StoppedEvent)
    assert ended.saved
    assert any(run.paths.checkpoints.glob("step-*"))


def test_a_launcher_that_hangs_is_ended_with_all_it_started(
    launcher: Launcher, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "home" / "accelerate" / "default_config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("distributed_type: 'NO'\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(processes, "START_TIMEOUT_S", 1.0)
    monkeypatch.setattr(processes, "LAUNCHER_START_S", 1.0)
    pids = tmp_path / "pids"
    waits = f"sleep 600 & echo $$ $! > '{pids}'; wait"  # a shell: Python may need more than the two seconds
    hangs = ["sh", "-c", waits, "accelerate.commands.launch"]
    monkeypatch.setattr(processes, "training_command", lambda run, *arguments: hangs)
    asked_at = time.monotonic()
    with pytest.raises(RunStateError, match="did not start the training within 2 s") as refused:
        launcher.start({"checkpoint": "local:tiny-bert"})
    assert time.monotonic() - asked_at < 60  # what hangs would do so for ten minutes
    assert str(config) in str(refused.value)
    (run,) = store.list()
    assert run.state() is RunState.FAILED
    assert str(config) in (run.error() or "")
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
    store.move_to_trash(run)


def test_the_second_machine_of_two_is_refused_before_a_run_exists(
    launcher: Launcher, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "home" / "accelerate" / "default_config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("distributed_type: MULTI_GPU\nnum_machines: 2\nmachine_rank: 1\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    values = {"checkpoint": "local:tiny-bert"}
    for start in (launcher.start, launcher.add_to_queue):
        with pytest.raises(UnavailableError, match=r"default_config\.yaml.*machine 2 of 2"):
            start(values)
    assert store.list() == []
