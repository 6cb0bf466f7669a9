"""Polling costs what is new: memory and handles stay flat, and many readers share one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from mrpc.app.train.runs import run_status, watch
from mrpc.config import TrainConfig
from mrpc.errors import UnknownRunError
from mrpc.files import write_model
from mrpc.runs.events import StartedEvent, StepEvent
from mrpc.runs.layout import DataRef, RunStatus
from mrpc.runs.log import EventLog
from mrpc.runs.process import describe_this_process
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore


def make_run(store: RunStore, num_steps: int = 5) -> tuple[Run, EventLog]:
    run = store.create(TrainConfig(), DataRef(kind="sample", fingerprint="0" * 16))
    write_model(run.paths.process, describe_this_process(attempt=1))
    write_model(run.paths.status, RunStatus(updated_at=time.time()))
    log = EventLog(run.paths.events, attempt=1)
    log.append(
        StartedEvent(
            num_steps=100,
            num_epochs=1,
            num_train_pairs=800,
            num_validation_pairs=40,
            majority_accuracy=0.6,
            majority_f1=0.75,
            device="cpu",
            num_threads=1,
            base_weights_sha256="a",
            checkpoint_sha256="b",
        )
    )
    for step in range(1, num_steps + 1):
        append_step(log, step)
    return run, log


def append_step(log: EventLog, step: int) -> None:
    log.append(
        StepEvent(
            step=step,
            epoch=step / 100,
            loss=1 / step,
            learning_rate=1e-5,
            num_pairs=8,
            num_tokens=400,
            num_padded_tokens=500,
            duration_s=0.1,
            train_s=step / 10,
        )
    )


def test_a_status_is_a_plain_object_that_grows(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run, log = make_run(store)
    status = run_status(store, run.run_id)
    assert (status["state"], status["step"], status["num_steps"]) == ("running", 5, 100)
    assert status["eta_s"] == pytest.approx(9.5)
    append_step(log, 6)
    assert run_status(store, run.run_id)["losses"][-1] == [6, pytest.approx(1 / 6)]


def test_a_cursor_asks_for_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(tmp_path)
    run, log = make_run(store)
    none = run_status(store, run.run_id, cursor=-1)
    assert (none["losses"], none["cursor"]) == ([], 5)
    assert set(none) == set(run_status(store, run.run_id))
    for step in range(6, 12):
        append_step(log, step)
    monkeypatch.setattr("mrpc.app.train.runs.MAX_LOSSES", 4)
    first = run_status(store, run.run_id, none["cursor"])
    assert [step for step, _ in first["losses"]] == [6, 7, 8, 9]
    second = run_status(store, run.run_id, first["cursor"])
    assert [step for step, _ in second["losses"]] == [10, 11]
    third = run_status(store, run.run_id, second["cursor"])
    assert (third["losses"], third["cursor"]) == ([], 11)
    assert len(run_status(store, run.run_id)["losses"]) == 11  # all, as scripts of before expect


def test_four_thousand_polls_of_fifty_runs_leave_memory_and_handles_flat(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    runs = [make_run(store) for _ in range(50)]
    process = psutil.Process()

    def poll(times: int) -> None:
        for number in range(times):
            run, log = runs[number % 50]
            if number % 10 == 0:
                append_step(log, 6 + number % 90)
            watch(store, run.run_id)

    poll(1_000)
    memory, handles = process.memory_info().rss, process.num_fds()
    poll(4_000)
    assert process.num_fds() <= handles  # those of earlier tests may be closed meanwhile
    assert process.memory_info().rss - memory < 8_000_000


def test_many_threads_that_poll_one_run_see_every_step_once(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run, log = make_run(store, num_steps=1)

    def poll(_: int) -> int:
        return len(run_status(store, run.run_id)["losses"])

    with ThreadPoolExecutor(16) as pool:
        counts = pool.map(poll, range(300))
        for step in range(2, 101):
            append_step(log, step)
        assert max(counts) <= 100
    assert run_status(store, run.run_id)["losses"] == [[step, 1 / step] for step in range(1, 101)]


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownRunError):
        run_status(RunStore(tmp_path), "../../etc")
