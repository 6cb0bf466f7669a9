"""The real training process: what it leaves on disk, how it stops, fails and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mrpc.files import write_model
from mrpc.runs.layout import StopRequest
from mrpc.runs.log import read_events
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from tests.integration.training_process import (
    PROJECT_DIR,
    create_run,
    kill,
    spawn,
    step_losses,
    terminal,
    train,
    wait_for_event,
)
from tests.live_app import wait_until
from tests.training.in_process import run_training, train_here


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    run = create_run(tmp_path_factory.mktemp("runs"), tiny_data_dir, tiny_checkpoint_dir, num_epochs=3)
    assert train(run) == 0, run.paths.log.read_text()
    return run


def test_a_run_records_every_step_and_evaluation(finished: Run) -> None:
    events = read_events(finished.paths.events)
    assert [e.step for e in events if e.type == "step"] == list(range(1, 25))
    evaluations = [e for e in events if e.type == "evaluation"]
    assert [(e.epoch, e.step) for e in evaluations] == [(0, 0), (1, 8), (2, 16), (3, 24)]
    assert evaluations[0].weights_sha256 != evaluations[-1].weights_sha256
    assert terminal(finished).type == "finished"
    assert finished.state() is RunState.FINISHED
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


def test_the_learning_rate_falls_in_a_line_to_zero(finished: Run) -> None:
    rates = [e.learning_rate for e in read_events(finished.paths.events) if e.type == "step"]
    assert rates == pytest.approx([1e-3 * (1 - step / 24) for step in range(24)])


def test_the_losses_of_all_training_pairs_are_kept(finished: Run, tiny_data_dir: Path) -> None:
    for epoch in (1, 2, 3):
        table = pq.read_table(finished.paths.train_records(epoch))
        assert sorted(table["idx"].to_pylist()) == sorted(set(table["idx"].to_pylist())), "each pair once"
        assert len(table) == 64
        assert set(table.column_names) == {"idx", "loss", "prob_equivalent"}


def test_the_models_are_standard_folders_and_no_checkpoint_is_left(finished: Run) -> None:
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(finished.paths.best_model))
    answer = classify({"text": "This is the first sentence.", "text_pair": "This is the second one."})
    labels = [item["label"] for item in (answer if isinstance(answer, list) else [answer])]
    assert set(labels) <= {"not_equivalent", "equivalent"}
    assert list(finished.paths.checkpoints.glob("*")) == []


def test_test_is_predicted_on_request_and_not_counted(finished: Run) -> None:
    train_s = finished.read_status().train_s
    assert spawn(finished, "--evaluate", "test").wait(180) == 0, finished.paths.log.read_text()
    evaluations = [e for e in read_events(finished.paths.events) if e.type == "evaluation"]
    assert [e.is_best for e in evaluations if e.split == "test"] == [False, True]
    assert finished.paths.test_predictions("best").is_file()
    assert finished.read_status().train_s == train_s
    assert finished.state() is RunState.FINISHED


def test_a_finished_run_is_not_trained_again(finished: Run) -> None:
    before = finished.paths.events.read_bytes()
    assert train(finished) == 2
    assert finished.paths.events.read_bytes() == before


LONGER = {"num_epochs": 12, "checkpoint_every_s": 0.1}
"""Not over while a test on a loaded machine is about to cut it."""


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    run = create_run(tmp_path_factory.mktemp("runs"), tiny_data_dir, tiny_checkpoint_dir, **LONGER)
    return train_here(run)


def test_a_killed_run_goes_on_to_the_very_same_weights(
    uncut: Run, tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **LONGER)
    process = spawn(run)
    wait_for_event(run, process, "checkpoint")
    kill(process)
    assert run.state() is RunState.INTERRUPTED
    assert train(run) == 0, run.paths.log.read_text()
    resumed = [e for e in read_events(run.paths.events) if e.type == "resumed"]
    assert len(resumed) == 1
    assert resumed[0].skipped == []
    assert step_losses(run) == step_losses(uncut)
    assert terminal(run).weights_sha256 == terminal(uncut).weights_sha256


def test_a_broken_checkpoint_is_skipped_with_the_reason(
    tmp_path: Path, uncut: Run, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **LONGER)
    process = spawn(run)
    while len(list(run.paths.checkpoints.glob("step-*"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    kill(process)
    newest = max(run.paths.checkpoints.glob("step-*"))
    with (newest / "state.pt").open("r+b") as file:
        file.write(b"garbage")
    assert run_training(run) == 0
    (resumed,) = [e for e in read_events(run.paths.events) if e.type == "resumed"]
    assert resumed.skipped == [f"{newest.name}: state.pt does not match its hash"]
    assert terminal(run).weights_sha256 == terminal(uncut).weights_sha256


def train_and_stop(run: Run, save: bool) -> None:
    """Ask for the end before the first step, after which a run looks for it, and see how the run ended."""
    process = spawn(run)
    wait_for_event(run, process, "started")
    run.request_stop(save)
    assert process.wait(120) == 130
    assert run.state() is RunState.STOPPED
    assert terminal(run).saved is save
    assert run.has_weights() is save
    assert run.paths.checkpoints.is_dir() is save
    assert len(step_losses(run)) > 0


def test_a_run_that_is_discarded_keeps_its_steps_alone(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    train_and_stop(create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, num_epochs=50), save=False)


def test_a_stopped_run_goes_on_where_it_was(
    tmp_path: Path, uncut: Run, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **LONGER)
    train_and_stop(run, save=True)
    assert run_training(run) == 0
    assert terminal(run).weights_sha256 == terminal(uncut).weights_sha256


def test_a_signal_while_preparing_shows_as_stopped(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **LONGER)
    process = spawn(run)
    wait_for_event(run, process, "phase")
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 130
    assert run.state() is RunState.STOPPED


def test_a_term_before_the_handler_is_there_shows_as_stopped(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir)
    write_model(run.paths.stop, StopRequest(attempt=1, save=True, requested_at=time.time()))
    process = spawn(run)
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    assert run.state() in {RunState.STOPPED, RunState.STOPPING}  # it may never have written who it was
    wait_until(lambda: run.state() is RunState.STOPPED)


def test_one_of_two_trainings_wins_and_the_other_leaves_with_its_own_code(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    runs = [create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, num_epochs=1) for _ in range(2)]
    processes = [spawn(run) for run in runs]
    assert sorted(process.wait(180) for process in processes) == [0, 75]
    states = [run.state() for run in runs]
    assert states.count(RunState.FINISHED) == 1


def test_a_learning_rate_that_explodes_fails_in_words(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_checkpoint_dir.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    tensors = load_file(broken / "model.safetensors")
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[name] = tensors[name] * float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    run = create_run(tmp_path / "runs", tiny_data_dir, broken)
    assert run_training(run) == 1
    assert run.state() is RunState.FAILED
    assert "nan" in (run.error() or "")
    assert terminal(run).suggestion
    assert "non_finite" in {e.type for e in read_events(run.paths.events)}


def test_data_that_changed_since_the_run_was_made_is_refused(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    for file in tiny_data_dir.iterdir():
        (data_dir / file.name).write_bytes(file.read_bytes())
    run = create_run(tmp_path / "runs", data_dir, tiny_checkpoint_dir)
    lines = (data_dir / "train.jsonl").read_text().splitlines(keepends=True)
    (data_dir / "train.jsonl").write_text("".join(lines[:-1]))
    assert run_training(run) == 1
    assert "changed since" in (run.error() or "")


def test_a_run_from_the_shell(tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> None:
    command = [sys.executable, "-m", "mrpc.training", "--preset", "quick", "--num-epochs", "2", "--seed", "5"]
    command += ["--num-train-pairs", "32", "--data-dir", str(tiny_data_dir), "--runs-dir", str(tmp_path)]
    command += ["--checkpoint-dir", str(tiny_checkpoint_dir)]
    result = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr
    (run,) = RunStore(tmp_path).list()
    assert run.state() is RunState.FINISHED
    assert run.config.hyperparameters.num_train_pairs == 32
    assert len(step_losses(run)) == 4
    assert "evaluating" in run.paths.log.read_text()


def test_a_person_at_a_terminal_sees_a_progress_bar(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = create_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, num_epochs=1)
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))  # rows and columns: a new terminal has none
    command = [sys.executable, "-m", "mrpc.training", str(run.paths.run_dir)]
    process = subprocess.Popen(command, cwd=PROJECT_DIR, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the process has closed its side
            break
    os.close(ours)
    assert process.wait(180) == 0, shown.decode()
    assert "8/8 [" in shown.decode()
    assert "loss=" in shown.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-epochs", "0"], "num_epochs is '0'; it must be a whole number, at least 1"),
        (["--learning-rate", "nan"], "learning_rate is 'nan'"),
        (["--checkpoint", "nobody/nothing"], "nobody/nothing"),
    ],
)
def test_bad_values_from_the_shell_are_refused_in_words(
    tmp_path: Path, tiny_data_dir: Path, arguments: list[str], message: str
) -> None:
    command = [sys.executable, "-m", "mrpc.training", "--data-dir", str(tiny_data_dir)]
    command += ["--runs-dir", str(tmp_path), *arguments]
    result = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert RunStore(tmp_path).list() == []
