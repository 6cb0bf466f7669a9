"""Disks that fill up and folders that vanish: the run fails in words and the last checkpoint holds."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrpc.runs.log import read_events
from mrpc.runs.run import RunState
from mrpc.training import checkpoints
from tests.integration.training_process import create_run, spawn, terminal, wait_for_event
from tests.training.in_process import run_training, train_here

pytestmark = pytest.mark.integration


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB of its own; needs the right to mount one."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if (
        os.name == "nt"
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_fails_in_words_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    settings = {"num_epochs": 30, "checkpoint_every_s": 0.1}
    run = create_run(small_disk, tiny_data_dir, tiny_checkpoint_dir, **settings)
    process = spawn(run)
    wait_for_event(run, process, "checkpoint")
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    assert process.wait(120) == 1
    assert run.state() is RunState.FAILED
    assert "disk is full" in (run.error() or "")
    assert "resume" in terminal(run).suggestion
    kept = checkpoints.load_newest(run.paths.checkpoints)
    assert kept is not None
    assert kept.skipped == []
    (small_disk / "filler").unlink()
    assert run_training(run) == 0
    whole = create_run(tmp_path / "whole", tiny_data_dir, tiny_checkpoint_dir, **settings)
    train_here(whole)
    assert terminal(run).weights_sha256 == terminal(whole).weights_sha256


def test_a_checkpoint_folder_that_is_taken_away_fails_in_words(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    checkpoint_dir = tmp_path / "mine"
    shutil.copytree(tiny_checkpoint_dir, checkpoint_dir)
    run = create_run(tmp_path / "runs", tiny_data_dir, checkpoint_dir)
    shutil.rmtree(checkpoint_dir)
    assert run_training(run) == 1
    assert run.state() is RunState.FAILED
    assert "mine" in (run.error() or "")
    assert "Traceback" not in (run.error() or "")


def test_a_data_folder_that_is_taken_away_fails_in_words(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(tiny_data_dir, data_dir)
    run = create_run(tmp_path / "runs", data_dir, tiny_checkpoint_dir)
    shutil.rmtree(data_dir)
    assert run_training(run) == 1
    assert "data" in (run.error() or "")
    assert [e.type for e in read_events(run.paths.events)][-1] == "failed"


def test_memory_that_runs_out_is_told_in_words() -> None:
    import torch

    from mrpc.training.report import explain_failure

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    cause, suggestion = explain_failure(caught.value)
    assert cause.startswith("The memory is exhausted")
    assert "smaller batch" in suggestion
