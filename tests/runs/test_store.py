"""Runs on disk: creation, listing, honest states, one lock."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mrpc.config import TrainConfig
from mrpc.errors import BusyError, RunStateError, UnknownRunError
from mrpc.files import write_model
from mrpc.runs.events import FailedEvent, FinishedEvent
from mrpc.runs.layout import DataRef, ProcessInfo, RunStatus
from mrpc.runs.log import EventLog
from mrpc.runs.process import boot_id, describe_this_process
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore, training_lock
from tests.written_run import write_ended, write_running

DATA = DataRef(kind="sample", fingerprint="0" * 16)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def make_run(store: RunStore, age_s: float = 0.0) -> Run:
    run = store.create(TrainConfig(), DATA)
    if age_s:
        config = run.config.model_copy(update={"created_at": time.time() - age_s})
        write_model(run.paths.config, config)
        run = store.open(run.run_id)
    return run


def dead_process(attempt: int = 1) -> ProcessInfo:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return ProcessInfo(
        pid=child.pid,
        started_at=time.time() - 5,
        boot_id=boot_id(),
        process_group=child.pid,
        attempt=attempt,
        command=["python"],
        versions={},
    )


def test_a_new_run_is_starting_and_an_old_one_without_process_interrupted(store: RunStore) -> None:
    assert make_run(store).state() is RunState.STARTING
    assert make_run(store, age_s=60).state() is RunState.INTERRUPTED


def test_a_living_process_that_reports_is_running_and_a_silent_one_stalled(store: RunStore) -> None:
    run = make_run(store)
    write_model(run.paths.process, describe_this_process(attempt=1))
    assert run.state() is RunState.STARTING
    write_model(run.paths.status, RunStatus(updated_at=time.time()))
    assert run.state() is RunState.RUNNING
    write_model(run.paths.status, RunStatus(updated_at=time.time() - 3600))
    assert run.state() is RunState.STALLED
    run.request_stop(save=True)
    assert run.state() is RunState.STOPPING


@pytest.mark.parametrize("clock", ["the wall clock", "ticks since boot"])
def test_a_reused_pid_is_not_the_process(store: RunStore, clock: str) -> None:
    run = make_run(store)
    info = describe_this_process(attempt=1)
    other = {"started_at": info.started_at - 100, "start_ticks": None}
    if clock == "ticks since boot" and info.start_ticks is not None:
        other = {"start_ticks": info.start_ticks - 1}
    write_model(run.paths.process, info.model_copy(update=other))
    write_model(run.paths.status, RunStatus(updated_at=time.time()))
    assert run.state() is RunState.INTERRUPTED


def test_after_a_reboot_no_process_is_the_old_one(store: RunStore) -> None:
    run = make_run(store)
    write_model(run.paths.process, describe_this_process(1).model_copy(update={"boot_id": "another"}))
    assert run.state() is RunState.INTERRUPTED


def test_a_dead_process_is_what_its_last_event_says(store: RunStore) -> None:
    run = make_run(store)
    write_model(run.paths.process, dead_process())
    assert run.state() is RunState.INTERRUPTED
    EventLog(run.paths.events, attempt=1).append(FailedEvent(cause="The disk is full."))
    assert run.state() is RunState.FAILED
    assert run.error() == "The disk is full."


def test_an_outcome_of_an_earlier_attempt_does_not_count(store: RunStore) -> None:
    run = make_run(store)
    write_model(run.paths.status, RunStatus(attempt=1, outcome="stopped"))
    EventLog(run.paths.events, 1).append(
        FinishedEvent(step=1, train_s=1, peak_memory_bytes=1, best_epoch=1, weights_sha256={})
    )
    write_model(run.paths.process, dead_process(attempt=2))
    assert run.state() is RunState.INTERRUPTED


def test_killed_after_a_stop_request_is_stopped(store: RunStore) -> None:
    run = make_run(store)
    write_model(run.paths.process, dead_process())
    run.request_stop(save=False)
    assert run.state() is RunState.STOPPED


@pytest.mark.parametrize("run_id", ["", ".", "..", "../x", "a/b", "x" * 81, "nope", "a\0b", None, 3, "/etc"])
def test_an_id_that_is_not_a_run_is_refused(store: RunStore, run_id: object) -> None:
    make_run(store)
    with pytest.raises(UnknownRunError):
        store.open(run_id)  # type: ignore[arg-type]


def test_foreign_things_in_the_folder_break_no_list(store: RunStore, tmp_path: Path) -> None:
    run = make_run(store)
    outside = tmp_path / "outside"
    (RunStore(outside).create(TrainConfig(), DATA).paths.run_dir).rename(outside / "linked")
    os.symlink(outside / "linked", store.runs_dir / "linked")
    (store.runs_dir / "notes.txt").write_text("hello")
    (store.runs_dir / "empty").mkdir()
    (store.runs_dir / "broken").mkdir()
    (store.runs_dir / "broken" / "config.json").write_text("{")
    (store.runs_dir / "future").mkdir()
    future = run.config.model_dump_json().replace('"schema_version":1', '"schema_version":99')
    (store.runs_dir / "future" / "config.json").write_text(future)
    assert [found.run_id for found in store.list()] == [run.run_id]


def test_a_run_that_was_stopped_before_its_process_could_say_who_it_is_is_stopped(store: RunStore) -> None:
    young, old = make_run(store), make_run(store, age_s=60)
    for run in (young, old):
        run.request_stop(save=True)
    assert young.state() is RunState.STOPPING
    assert old.state() is RunState.STOPPED


def test_a_copy_of_a_run_that_trains_does_not_train(store: RunStore, tmp_path: Path) -> None:
    run = make_run(store)
    write_model(run.paths.process, describe_this_process(1, run.paths.run_dir))
    write_model(run.paths.status, RunStatus(updated_at=time.time()))
    for folder in (store.runs_dir / "copy", tmp_path / "elsewhere" / run.run_id):
        shutil.copytree(run.paths.run_dir, folder)
        copy = RunStore(folder.parent).open(folder.name)
        assert copy.state() is RunState.INTERRUPTED
        assert copy.living_process() is None
    assert run.state() is RunState.RUNNING
    holder = store.holder()
    assert holder is not None
    assert holder.run_id == run.run_id


def test_a_run_whose_process_predicts_test_holds_the_lock(store: RunStore) -> None:
    run = make_run(store, age_s=60)
    write_model(run.paths.evaluation, dead_process())
    assert store.holder() is None
    write_model(run.paths.evaluation, describe_this_process(1, run.paths.run_dir))
    holder = store.holder()
    assert holder is not None
    assert holder.run_id == run.run_id
    refused = pytest.raises(BusyError, match=f"{run.run_id} predicts test")
    with training_lock(store.runs_dir), refused, training_lock(store.runs_dir):
        pass
    with pytest.raises(RunStateError, match="predicts test"):
        store.move_to_trash(run)


def test_a_copied_folder_is_a_run_of_its_own(store: RunStore) -> None:
    run = make_run(store)
    copy = store.runs_dir / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes(run.paths.config.read_bytes())
    assert {found.run_id for found in store.list()} == {run.run_id, "copy"}


def test_the_lock_is_held_by_one_process_and_freed_when_it_is_killed(store: RunStore) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mrpc.runs.store import training_lock\n"
        "with training_lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(store.runs_dir)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError), training_lock(store.runs_dir):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with training_lock(store.runs_dir):
        pass


def test_deleted_runs_lie_in_the_trash_until_it_is_emptied(store):
    run = write_ended(store.runs_dir)
    store.move_to_trash(run)
    assert store.list() == []
    assert store.trash_bytes() > 0
    assert store.empty_trash() > 0
    assert store.trash_bytes() == 0


def test_a_run_under_way_is_not_deleted(store):
    run = write_running(store.runs_dir)
    with pytest.raises(RunStateError, match="stop it before"):
        store.move_to_trash(run)
    with pytest.raises(UnknownRunError):
        store.open("../elsewhere")


class TestRetention:
    def runs(self, store: RunStore) -> list[str]:
        names = []
        for _ in range(3):
            run = write_ended(store.runs_dir)
            (run.paths.models / "big").write_bytes(b"0" * 1_000_000)
            names.append(run.run_id)
        return sorted(names, key=lambda name: store.open(name).config.created_at)

    def test_the_oldest_go_first_and_no_more_than_needed(self, store):
        oldest, *_ = self.runs(store)
        plan = store.plan_retention(2_500_000)
        assert list(plan) == [oldest]
        assert store.plan_retention(10_000_000) == {}

    def test_what_is_under_way_stays(self, store):
        running = write_running(store.runs_dir)
        ended = self.runs(store)
        assert list(store.plan_retention(0)) == ended
        assert running.run_id not in ended

    def test_only_what_was_shown_goes(self, store):
        oldest, second, third = self.runs(store)
        went = store.apply_retention(0, [second, third, "unknown"])
        assert list(went) == [second, third]
        assert went[second] > 1_000_000
        assert [run.run_id for run in store.list()] == [oldest]
