"""Several processes train one run: real ones, started by torchrun, on the CPU with gloo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file
from transformers import AutoConfig

from mrpc.files import write_model
from mrpc.runs.events import EvaluationEvent, StartedEvent, StepEvent
from mrpc.runs.layout import StopRequest
from mrpc.runs.log import read_events
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from tests.integration.training_process import (
    PROJECT_DIR,
    create_run,
    step_losses,
    terminal,
)
from tests.live_app import free_port
from tests.tiny import folder_sha256
from tests.training.in_process import train_here, train_records

pytestmark = [pytest.mark.integration, pytest.mark.slow]

VALUES = {"num_train_pairs": 57, "num_epochs": 2, "learning_rate": 1e-3}
"""57 pairs in batches of 8: the last batch holds one pair, and nothing for the second process."""


@pytest.fixture(scope="module")
def dropless_dir(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint_dir: Path) -> Path:
    """The tiny BERT without dropout."""
    directory = tmp_path_factory.mktemp("checkpoints") / "tiny-dropless"
    shutil.copytree(tiny_checkpoint_dir, directory)
    config = AutoConfig.from_pretrained(directory)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config.save_pretrained(directory)
    return directory


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes; those that still run at the end are killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(run: Run, *launcher: str, **environment: str) -> subprocess.Popen[bytes]:
        with run.paths.log.open("ab") as log:
            command = [sys.executable, *launcher, "-m", "mrpc.training", str(run.paths.run_dir)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=PROJECT_DIR,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for member in [*psutil.Process(process.pid).children(recursive=True), process]:
                member.kill()
            process.wait(30)


def start_both(start: Callable[..., subprocess.Popen[bytes]], run: Run) -> list[subprocess.Popen[bytes]]:
    """Start two processes that meet, as torchrun would, but without the seconds that it takes itself."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", **ON_CPU}
    return [start(run, RANK=rank, LOCAL_RANK=rank, **meet) for rank in ("0", "1")]


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
ON_CPU = {"ACCELERATE_USE_CPU": "true"}


def wait_for_step(run: Run, step: int, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while max(step_losses(run), default=0) < step:
        assert time.monotonic() < deadline, run.paths.log.read_text()
        time.sleep(0.02)


def wait_for_end(process: subprocess.Popen[bytes], run: Run, timeout_s: float = 240) -> int:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise AssertionError(run.paths.log.read_text()) from None


def events(run: Run, kind: type) -> list:
    return [event for event in read_events(run.paths.events) if isinstance(event, kind)]


def ranks_of(process: subprocess.Popen[bytes], run: Run) -> tuple[psutil.Process, psutil.Process]:
    """Return the main process and the other one."""
    info = run.read_process()
    assert info is not None
    workers = psutil.Process(process.pid).children()
    (other,) = [worker for worker in workers if worker.pid != info.pid]
    return psutil.Process(info.pid), other


@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_processes_compute_what_one_does_without_dropout(
    tmp_path: Path,
    tiny_data_dir: Path,
    dropless_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
    accumulation: int,
) -> None:
    values = {**VALUES, "gradient_accumulation_steps": accumulation}
    one = create_run(tmp_path / "one", tiny_data_dir, dropless_dir, **values)
    two = create_run(tmp_path / "two", tiny_data_dir, dropless_dir, **values)
    processes = start_both(start, two)
    train_here(one)
    assert [wait_for_end(process, two) for process in processes] == [0, 0], two.paths.log.read_text()

    assert [event.num_processes for event in events(two, StartedEvent)] == [2]
    assert [event.num_processes for event in events(one, StartedEvent)] == [1]
    written = read_events(two.paths.events)  # by one process: another's would repeat numbers
    assert [event.seq for event in written] == list(range(1, len(written) + 1))
    assert step_losses(two) == pytest.approx(step_losses(one), abs=1e-5)
    for ours, theirs in zip(events(one, StepEvent), events(two, StepEvent), strict=True):
        assert (theirs.num_pairs, theirs.num_tokens) == (ours.num_pairs, ours.num_tokens)
        assert theirs.learning_rate == ours.learning_rate
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-4)
    for ours, theirs in zip(events(one, EvaluationEvent), events(two, EvaluationEvent), strict=True):
        assert (theirs.epoch, theirs.accuracy, theirs.f1) == (ours.epoch, ours.accuracy, ours.f1)
        assert theirs.loss == pytest.approx(ours.loss, abs=1e-5)
        assert theirs.num_pairs == 16
    for epoch in (1, 2):
        ours, theirs = train_records(one, epoch), train_records(two, epoch)
        assert theirs["idx"] == ours["idx"]
        assert theirs["loss"] == pytest.approx(ours["loss"], abs=1e-4)
    weights = [load_file(run.paths.last_model / "model.safetensors") for run in (one, two)]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() <= 1e-5, name


def test_with_dropout_the_pairs_are_the_same_and_a_resumed_run_goes_on_exactly(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    values = {**VALUES, "num_epochs": 6}
    uncut = create_run(tmp_path / "uncut", tiny_data_dir, tiny_checkpoint_dir, **values)
    cut = create_run(tmp_path / "cut", tiny_data_dir, tiny_checkpoint_dir, **values)
    alone = create_run(tmp_path / "alone", tiny_data_dir, tiny_checkpoint_dir, **values)
    processes = start_both(start, uncut)
    train_here(alone)
    assert [wait_for_end(process, uncut) for process in processes] == [0, 0], uncut.paths.log.read_text()
    for epoch in range(1, 7):
        assert train_records(uncut, epoch)["idx"] == train_records(alone, epoch)["idx"]
    assert step_losses(uncut) != step_losses(alone)  # each process drops activations of its own
    last, last_alone = (events(run, EvaluationEvent)[-1].loss for run in (uncut, alone))
    assert last == pytest.approx(last_alone, abs=0.1)

    process = start(cut, *TORCHRUN, **ON_CPU)
    wait_for_step(cut, 3)
    write_model(cut.paths.stop, StopRequest(attempt=1, save=True, requested_at=time.time()))
    assert wait_for_end(process, cut) != 0
    assert cut.state() is RunState.STOPPED
    assert terminal(cut).saved
    assert terminal(cut).step < 48
    processes = start_both(start, cut)
    assert [wait_for_end(process, cut) for process in processes] == [0, 0], cut.paths.log.read_text()
    assert step_losses(cut) == step_losses(uncut)
    assert folder_sha256(cut.paths.last_model) == folder_sha256(uncut.paths.last_model)


def test_a_process_that_dies_ends_the_run_as_failed(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **{**VALUES, "num_epochs": 50})
    process = start(run, *TORCHRUN, **ON_CPU)
    wait_for_step(run, 20)
    main, other = ranks_of(process, run)
    other.send_signal(signal.SIGKILL)
    assert wait_for_end(process, run, 90) != 0
    assert not main.is_running()
    assert run.state() is RunState.FAILED
    assert "process of" in terminal(run).cause
    assert (run.paths.checkpoints / "step-00000016").is_dir()  # it can go on from the last epoch


def test_a_process_that_dies_before_they_meet_ends_the_run_as_failed(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    process = start(run, *TORCHRUN, **ON_CPU)
    deadline = time.monotonic() + 60
    while run.read_process() is None:
        assert time.monotonic() < deadline, run.paths.log.read_text()
        time.sleep(0.01)
    main, other = ranks_of(process, run)
    other.send_signal(signal.SIGKILL)
    assert wait_for_end(process, run, 90) != 0
    assert not main.is_running()
    assert run.state() is RunState.FAILED
    assert "process of the training" in terminal(run).cause


EARLY = """
import signal, sys
from mrpc.training import __main__, attempt

class Reporter(attempt.Reporter):
    def __init__(self, *arguments):
        signal.raise_signal(signal.SIGTERM)
        super().__init__(*arguments)

attempt.Reporter = Reporter
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("world_size", "state"), [("1", RunState.STOPPED), ("2", RunState.FAILED)], ids=["alone", "launched"]
)
def test_a_signal_before_the_log_is_open_is_recorded(
    world_size: str, state: RunState, tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    environment = {**os.environ, **ON_CPU, "RANK": "0", "WORLD_SIZE": world_size}
    command = [sys.executable, "-c", EARLY, str(run.paths.run_dir)]
    subprocess.run(command, cwd=PROJECT_DIR, env=environment, check=False, timeout=120)
    assert run.state() is state
    if state is RunState.FAILED:
        assert "process of the training" in terminal(run).cause


def test_torchrun_without_the_cpu_said_is_refused(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    process = start(run, *TORCHRUN, CUDA_VISIBLE_DEVICES="")
    assert wait_for_end(process, run) != 0
    assert run.state() is RunState.FAILED
    assert "2 processes were launched, but accelerate sees 1" in terminal(run).cause
    assert step_losses(run) == {}


def test_accelerate_launch_that_starts_one_of_two_is_refused(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    launcher = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")
    assert wait_for_end(start(run, *launcher), run) != 0
    assert run.state() is RunState.FAILED
    assert "it starts only one" in terminal(run).cause


def test_accelerate_launch_with_one_process_trains(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    plain = create_run(tmp_path / "plain", tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    launched = create_run(tmp_path / "launched", tiny_data_dir, tiny_checkpoint_dir, **VALUES)
    launcher = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1")
    process = start(launched, *launcher)
    train_here(plain)
    assert wait_for_end(process, launched) == 0, launched.paths.log.read_text()
    assert step_losses(launched) == step_losses(plain)


def test_two_launchers_make_one_run_from_the_shell(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    """As on two machines that share a disk: the same command on each, but for its rank."""
    settings = (
        "--preset",
        "course",
        "--num-epochs",
        "1",
        "--seed",
        "5",
        "--runs-dir",
        str(tmp_path / "runs"),
    )
    folders = ("--data-dir", str(tiny_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    port = str(free_port())
    logs = [tmp_path / f"machine-{number}.log" for number in (0, 1)]
    launchers = []
    for number, log in enumerate(logs):
        machine = ("--nnodes", "2", "--nproc_per_node", "1", "--node_rank", str(number))
        meet = ("--master_addr", "127.0.0.1", "--master_port", port)
        launcher = [sys.executable, "-m", "torch.distributed.run", *machine, *meet]
        with log.open("wb") as output:
            launchers.append(
                subprocess.Popen(
                    [*launcher, "-m", "mrpc.training", *settings, *folders],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=PROJECT_DIR,
                    env={**os.environ, "OMP_NUM_THREADS": "1", **ON_CPU},
                )
            )
    try:
        codes = [launcher.wait(300) for launcher in launchers]
    finally:
        for launcher in launchers:
            launcher.terminate()
    assert codes == [0, 0], "".join(log.read_text() for log in logs)
    (run,) = RunStore(tmp_path / "runs").list()
    assert run.state() is RunState.FINISHED
    assert [event.num_processes for event in events(run, StartedEvent)] == [2]
    assert list(step_losses(run)) == list(range(1, 9))


@pytest.mark.parametrize("loop", ["pytorch", "trainer"])
def test_the_other_loops_refuse_several_processes(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    loop: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mrpc.runs.process import ExitCode
    from mrpc.training.__main__ import main

    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, loop=loop)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main([str(run.paths.run_dir)]) == ExitCode.USAGE
    assert "Use the loop accelerate" in capsys.readouterr().err
    assert run.read_process() is None
