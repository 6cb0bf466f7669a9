"""The lock says who lives, whatever pid, clock, namespace and boot say; and nothing in its place disturbs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mrpc.config import TrainConfig
from mrpc.errors import BusyError, RunStateError
from mrpc.files import write_model
from mrpc.runs.layout import DataRef, RunStatus
from mrpc.runs.process import describe_this_process, find_process, hold, is_held, pid_namespace
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore

HOLDER = (
    "import sys, time; from pathlib import Path; from mrpc.runs.process import hold\n"
    "with hold(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    data = DataRef(kind="sample", fingerprint="0" * 16)
    run = RunStore(tmp_path / "runs").create(TrainConfig(), data)
    write_model(run.paths.status, RunStatus(updated_at=time.time()))
    return run


@pytest.fixture
def hold_elsewhere() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Holds a lock in a process of its own."""
    holders = []

    def hold_it(path: Path) -> subprocess.Popen[str]:
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    yield hold_it
    for holder in holders:
        holder.kill()
        holder.communicate()


ELSEWHERE: dict[str, dict[str, Any]] = {
    "another boot, so another host": {"boot_id": "another"},
    "another namespace": {"pid_namespace": "pid:[1]"},
    "a pid that is free here": {"pid": 2**22 - 1},
    "a clock that was set": {"started_at": 1.0},
    "ticks of another process": {"start_ticks": 1},
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_process_that_cannot_be_seen_lives_as_long_as_it_holds_the_lock(
    run: Run, hold_elsewhere: Callable[[Path], subprocess.Popen[str]], kind: str
) -> None:
    info = describe_this_process(1, run.paths.run_dir, has_lock=True)
    write_model(run.paths.process, info.model_copy(update=ELSEWHERE[kind]))
    store = RunStore(run.paths.run_dir.parent)
    assert run.state() is RunState.INTERRUPTED
    assert store.holder() is None
    holder = hold_elsewhere(run.paths.train_lock)
    assert run.state() is RunState.RUNNING
    holding = store.holder()
    assert holding is not None
    assert holding.run_id == run.run_id
    with pytest.raises(RunStateError, match="is running; stop it"):
        store.move_to_trash(run)
    run.request_stop(save=True)
    assert run.state() is RunState.STOPPING
    holder.kill()
    holder.wait()
    assert run.state() is RunState.STOPPED
    store.move_to_trash(run)


def test_a_living_pid_without_the_lock_does_not_train(run: Run) -> None:
    write_model(run.paths.process, describe_this_process(1, run.paths.run_dir, has_lock=True))
    assert run.living_process() is not None
    assert run.state() is RunState.INTERRUPTED
    with hold(run.paths.train_lock):
        assert run.state() is RunState.RUNNING


def test_a_run_of_a_version_without_locks_is_told_by_its_process(run: Run) -> None:
    write_model(run.paths.process, describe_this_process(1, run.paths.run_dir))
    assert run.state() is RunState.RUNNING


def test_a_prediction_elsewhere_does_not_make_the_training_live(
    run: Run, hold_elsewhere: Callable[[Path], subprocess.Popen[str]]
) -> None:
    info = describe_this_process(1, run.paths.run_dir, has_lock=True).model_copy(update={"boot_id": "x"})
    write_model(run.paths.process, info)
    write_model(run.paths.evaluation, info)
    hold_elsewhere(run.paths.evaluation_lock)
    assert run.is_evaluated()
    assert run.state() is RunState.INTERRUPTED
    with pytest.raises(RunStateError, match="predicts test"):
        RunStore(run.paths.run_dir.parent).move_to_trash(run)


def test_many_that_look_do_not_keep_a_process_from_its_lock(tmp_path: Path) -> None:
    path, ended = tmp_path / "a.lock", threading.Event()

    def look() -> None:
        while not ended.is_set():
            is_held(path)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            with hold(path):
                assert is_held(path)
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_second_holder_is_refused(
    tmp_path: Path, hold_elsewhere: Callable[[Path], subprocess.Popen[str]]
) -> None:
    hold_elsewhere(tmp_path / "a.lock")
    with pytest.raises(BusyError, match=r"Another process holds .*a\.lock"), hold(tmp_path / "a.lock"):
        pass


@pytest.mark.parametrize("kind", ["nothing", "a FIFO", "a folder", "a link", "a link to itself"])
def test_what_lies_in_the_place_of_a_lock_blocks_nobody(
    tmp_path: Path, hold_elsewhere: Callable[[Path], subprocess.Popen[str]], kind: str
) -> None:
    path = tmp_path / "train.lock"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link":
        hold_elsewhere(tmp_path / "outside.lock")
        path.symlink_to(tmp_path / "outside.lock")
    elif kind == "a link to itself":
        path.symlink_to(path)
    asked_at = time.monotonic()
    assert is_held(path) is False
    assert time.monotonic() - asked_at < 30  # what blocks would do so for ever


def test_a_process_of_another_namespace_is_not_taken_for_one_here() -> None:
    info = describe_this_process(1)
    assert find_process(info) is not None
    if pid_namespace():
        assert find_process(info.model_copy(update={"pid_namespace": "pid:[1]"})) is None
    stepped = info.model_copy(update={"started_at": info.started_at + 3600})
    assert (find_process(stepped) is not None) == (info.start_ticks is not None)


def test_a_clock_that_is_behind_ours_does_not_make_a_training_silent(run: Run) -> None:
    write_model(run.paths.process, describe_this_process(1, run.paths.run_dir, has_lock=True))
    an_hour_ago = time.time() - 3600
    with hold(run.paths.train_lock):
        write_model(run.paths.status, RunStatus(updated_at=an_hour_ago))
        assert run.state() is RunState.STALLED
        assert run.state() is RunState.STALLED
        write_model(run.paths.status, RunStatus(updated_at=an_hour_ago + 1))
        assert run.state() is RunState.RUNNING
        assert run.state() is RunState.RUNNING
        write_model(run.paths.status, RunStatus(updated_at=time.time() + 3600))
        assert run.state() is RunState.RUNNING


@pytest.mark.parametrize("name", ["mein lauf", "run (copy)", "größer", "x" * 90])
def test_a_renamed_run_is_listed_as_what_it_is(run: Run, name: str) -> None:
    store = RunStore(run.paths.run_dir.parent)
    run.paths.run_dir.rename(store.runs_dir / name)
    (store.runs_dir / "some notes").mkdir()
    assert store.list() == []
    assert "a run whose folder was renamed" in store.foreign()[name]
    assert store.foreign()["some notes"] == "has no config.json"


def test_a_suspended_process_is_seen_to_live(run: Run) -> None:
    write_model(run.paths.process, describe_this_process(1, run.paths.run_dir, has_lock=True))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run.paths.train_lock], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)
        assert run.state() is RunState.RUNNING
    finally:
        holder.kill()
        holder.communicate()
