"""The launcher with real processes: one training at a time, stops that stop, a queue that moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.train.acts import Act, act_on
from mrpc.app.train.launcher import SAVE_TIMEOUT_S, Launcher
from mrpc.app.train.processes import spawn_attempt
from mrpc.app.train.runs import run_status, watch
from mrpc.core.data.load import LoadedData, load_data
from mrpc.errors import BusyError, ConfigError, InputError, RunStateError
from mrpc.runs.process import find_process
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from tests.live_app import wait_until


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def make_launcher(store: RunStore, long_data_dir: Path, tiny_checkpoint_dir: Path) -> Callable[[], Launcher]:
    data: LoadedData = load_data("folder", long_data_dir)
    return lambda: Launcher(store, lambda: data, CheckpointShelf([tiny_checkpoint_dir]))


@pytest.fixture
def values(tiny_checkpoint_dir: Path) -> dict[str, Any]:
    return {"preset": "course", "checkpoint": f"local:{tiny_checkpoint_dir.name}", "num_epochs": 50}


def wait_for_step(store: RunStore, run_id: str, step: int) -> None:
    def has_come() -> bool:
        status = run_status(store, run_id)
        assert status["state"] not in {"failed", "interrupted"}, status["error"]
        return bool(status["step"] > step)

    wait_until(has_come)


def test_start_returns_at_once_and_a_second_start_names_the_holder(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    run_id = launcher.start(values)
    assert store.open(run_id).state() in {RunState.STARTING, RunState.RUNNING}
    with pytest.raises(BusyError, match=run_id) as caught:
        launcher.start(values)
    assert caught.value.holder == run_id
    assert [run.run_id for run in store.list()] == [run_id]


def test_of_twenty_starts_at_once_from_two_apps_one_trains(
    store: RunStore,
    make_launcher: Callable[[], Launcher],
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apps = [make_launcher(), make_launcher()]
    started, refused, spawned = [], [], []

    def count(run: Run) -> None:
        spawned.append(run.run_id)
        spawn_attempt(run)

    monkeypatch.setattr("mrpc.app.train.launcher.spawn_attempt", count)
    together = threading.Barrier(20)

    def press_start(number: int) -> None:
        together.wait()
        try:
            started.append(apps[number % 2].start(values))
        except BusyError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=press_start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(started) == 1
    assert len(refused) == 19
    assert sum(started[0] in message for message in refused) == 19
    assert [run.run_id for run in store.list()] == started
    assert len(spawned) <= 2, "an app makes one process, and the others of its Starts wait for what it finds"


def test_discard_ends_the_process_soon_and_keeps_the_curves(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    run = store.open(launcher.start(values))
    wait_for_step(store, run.run_id, 10)
    launcher.stop(run.run_id, save=False)
    info = run.read_process()
    assert info is not None
    soon_s = SAVE_TIMEOUT_S / 2  # a process that ignores it is killed after 4 s; one that saves, after 60
    wait_until(lambda: find_process(info) is None, soon_s)
    wait_until(lambda: not run.paths.models.exists(), soon_s)
    assert run.state() is RunState.STOPPED
    assert not run.paths.checkpoints.exists()
    assert run_status(store, run.run_id)["step"] > 10
    assert run.paths.log.stat().st_size > 0
    with pytest.raises(RunStateError, match="was discarded"):
        launcher.resume(run.run_id)


def test_stop_while_the_process_still_imports(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    run = store.open(launcher.start(values))
    launcher.stop(run.run_id, save=True)
    wait_until(lambda: run.state() is RunState.STOPPED)
    with pytest.raises(RunStateError, match="nothing to stop"):
        launcher.stop(run.run_id, save=True)


def test_a_stopped_run_is_resumed_and_another_app_sees_and_stops_it(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    first = make_launcher()
    run = store.open(first.start(values))
    wait_for_step(store, run.run_id, 5)
    first.stop(run.run_id, save=True)
    wait_until(lambda: run.state() is RunState.STOPPED)
    step = run_status(store, run.run_id)["step"]
    first.resume(run.run_id)
    second = make_launcher()  # an app that was started later, on the same folder
    wait_for_step(store, run.run_id, step + 5)
    second.stop(run.run_id, save=True)
    wait_until(lambda: run.state() is RunState.STOPPED)
    assert watch(store, run.run_id).record.cuts == [(step, step)]


def test_end_now_keeps_the_last_checkpoint(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    run = store.open(launcher.start({**values, "checkpoint_every_s": 0.1}))
    wait_until(lambda: any(run.paths.checkpoints.glob("step-*")))
    launcher.kill(run.run_id)
    assert run.state() is RunState.STOPPED
    assert any(run.paths.checkpoints.glob("step-*"))


def test_a_stopped_training_that_does_not_get_on_is_killed_and_keeps_its_checkpoint(
    store: RunStore,
    make_launcher: Callable[[], Launcher],
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mrpc.app.train.launcher.SAVE_TIMEOUT_S", 2.0)
    launcher = make_launcher()
    run = store.open(launcher.start({**values, "checkpoint_every_s": 0.1}))
    wait_until(lambda: any(run.paths.checkpoints.glob("step-*")))
    process = run.living_process()
    assert process is not None
    process.suspend()
    launcher.stop(run.run_id, save=True)
    assert run.state() is RunState.STOPPING
    wait_until(lambda: run.state() is RunState.STOPPED)
    assert any(run.paths.checkpoints.glob("step-*"))


def test_the_queue_trains_one_after_another_and_survives_a_restart(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    short = {**values, "num_epochs": 1, "max_steps": 2}
    first = make_launcher()
    waiting = [first.add_to_queue({**short, "seed": seed}) for seed in (1, 2)]
    assert [store.open(run_id).state() for run_id in waiting] == [RunState.QUEUED] * 2
    first.queue.move(waiting[1], -1)
    second = make_launcher()
    assert second.queue.read() == [waiting[1], waiting[0]]
    assert second.start_next() == waiting[1]
    assert second.start_next() is None, "one at a time"
    wait_until(lambda: store.open(waiting[1]).state() is RunState.FINISHED)
    wait_until(lambda: second.start_next() == waiting[0])
    wait_until(lambda: store.open(waiting[0]).state() is RunState.FINISHED)
    assert second.queue.read() == []


def test_a_prediction_of_test_holds_the_lock_and_the_queue_waits_for_it(
    store: RunStore,
    make_launcher: Callable[[], Launcher],
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = make_launcher()
    run = store.open(launcher.start({**values, "max_steps": 2}))
    wait_until(lambda: run.state() is RunState.FINISHED)
    launcher.evaluate_test(run.run_id)
    wait_until(run.is_evaluated)
    waiting = launcher.add_to_queue({**values, "max_steps": 2})
    with monkeypatch.context() as nothing_starts:
        nothing_starts.setattr("mrpc.app.train.launcher.spawn_attempt", lambda run: pytest.fail("it started"))
        with pytest.raises(BusyError, match=f"{run.run_id} predicts test"):
            launcher.start(values)  # says so before it makes a process
    assert launcher.start_next() is None
    wait_until(lambda: launcher.start_next() == waiting)
    assert not run.is_evaluated()
    assert len(watch(store, run.run_id).record.evaluations) == 2 + 2
    wait_until(lambda: store.open(waiting).state() is RunState.FINISHED)


def test_a_run_is_repeated_with_other_seeds(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    source = launcher.add_to_queue({**values, "seed": 7})
    services = SimpleNamespace(launcher=launcher, store=store)
    act_on(services, Act("repeat", source, {"num_seeds": "2"}))
    repeats = [store.open(run_id) for run_id in launcher.queue.read()[1:]]
    assert [run.config.hyperparameters.seed for run in repeats] == [8, 9]
    assert {run.config.group for run in repeats} == {source}
    launcher.remove_from_queue(repeats[0].run_id)
    assert launcher.queue.read() == [source, repeats[1].run_id]
    with pytest.raises(InputError):
        act_on(services, Act("repeat", source, {"num_seeds": "0"}))


def test_a_checkpoint_that_is_not_in_the_list_is_refused(
    make_launcher: Callable[[], Launcher], values: dict[str, Any], store: RunStore
) -> None:
    with pytest.raises(ConfigError, match="checkpoint is '/etc'"):
        make_launcher().start({**values, "checkpoint": "/etc"})
    assert store.list() == []


def test_deleted_runs_go_to_the_trash_and_running_ones_do_not(
    store: RunStore, make_launcher: Callable[[], Launcher], values: dict[str, Any]
) -> None:
    launcher = make_launcher()
    waiting = launcher.add_to_queue(values)
    with pytest.raises(RunStateError, match="queued"):
        store.move_to_trash(store.open(waiting))
    launcher.queue.remove(waiting)
    run = store.open(waiting)
    wait_until(lambda: run.state() is RunState.INTERRUPTED)
    store.move_to_trash(store.open(waiting))
    assert store.list() == []
    assert store.trash_bytes() > 0
    assert store.empty_trash() > 0
    assert store.trash_bytes() == 0
