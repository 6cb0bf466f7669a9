"""What visitors may train: how much, how many, and only their own to end."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from mrpc.app.task import MAX_RUNNING_AN_ADDRESS, Task, Tasks
from mrpc.app.train.acts import Act, act_on
from mrpc.app.visitors import (
    MAX_KEPT_A_VISITOR,
    MAX_MINUTES,
    MAX_WAITING,
    Caller,
    Visitors,
    called_by,
    check_size,
    is_too_long,
    set_cookie,
    visitor_mark,
)
from mrpc.config import build_config
from mrpc.errors import AccessError, BusyError
from mrpc.files import write_model
from mrpc.runs.layout import DataRef, RunStatus
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from tests.app.train.services import FakeServices

ANN, BEN = Caller(False, "a" * 32, "10.0.0.1"), Caller(False, "b" * 32, "10.0.0.2")
PLAIN = HTTPConnection({"type": "http", "scheme": "http"})
QUICK = {"preset": "quick"}
DATA = DataRef(kind="sample", fingerprint="ab")


def train(visitors: Visitors, store: RunStore, who: Caller, **values: Any) -> Run:
    """Make a run for somebody, as the launcher does."""
    config = build_config(QUICK | values)
    with called_by(who), visitors.admit(config, 3668) as mark:
        return store.create(config, DATA, visitor=mark)


def end(run: Run) -> None:
    write_model(run.paths.status, RunStatus(outcome="finished"))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path)


@pytest.fixture
def visitors(store: RunStore) -> Visitors:
    return Visitors(store, may_train=True)


def test_the_preset_quick_fits_and_more_is_named() -> None:
    check_size(build_config(QUICK), 3668)
    check_size(build_config({"preset": "course", "num_train_pairs": 400}), 3668)
    for values, words in (
        ({"preset": "course"}, "pairs in all epochs and orders: 11,004"),
        (QUICK | {"num_epochs": 2}, "pairs in all epochs and orders: 7,200"),
        (QUICK | {"train_batch_size": 2}, "steps: 1,800"),
        (QUICK | {"train_batch_size": 64}, "batch size in all orders: 64"),
        (QUICK | {"gradient_accumulation_steps": 4}, "batch size in all orders: 64"),
        (QUICK | {"max_length": 256}, "max length: 256"),
        (QUICK | {"keep_epochs": "all"}, "weights of all epochs"),
        (QUICK | {"checkpoint": "distilbert/distilbert-base-uncased"}, "the checkpoint distilbert"),
    ):
        with pytest.raises(AccessError, match=words):
            check_size(build_config(values), 3668)


def test_one_at_a_time_for_each_and_none_without_a_cookie(visitors: Visitors, store: RunStore) -> None:
    run = train(visitors, store, ANN)
    assert run.config.visitor == ANN.visitor
    with pytest.raises(BusyError, match=run.run_id):
        train(visitors, store, ANN)
    assert train(visitors, store, BEN).config.visitor == BEN.visitor
    with pytest.raises(AccessError, match="keeps no cookie"):
        train(visitors, store, Caller(False, "", "10.0.0.1"))
    end(run)
    train(visitors, store, ANN)
    owner = Caller(is_owner=True)
    assert train(visitors, store, owner, preset="course").config.visitor is None
    train(visitors, store, owner)


def test_old_previews_go_and_the_owners_stay(visitors: Visitors, store: RunStore) -> None:
    kept = train(visitors, store, Caller(is_owner=True))
    end(kept)
    runs = []
    for _ in range(MAX_KEPT_A_VISITOR + 2):
        runs.append(train(visitors, store, ANN))
        end(runs[-1])
    left = {run.run_id for run in store.list()}
    assert kept.run_id in left
    assert len(left) == MAX_KEPT_A_VISITOR + 1
    assert runs[-1].run_id in left


def test_a_long_queue_is_closed(visitors: Visitors, store: RunStore) -> None:
    from mrpc.runs.queue import RunQueue

    for number in range(MAX_WAITING):
        RunQueue(store.runs_dir).add(f"run-{number}")
    with pytest.raises(BusyError, match="wait already"):
        train(visitors, store, ANN)


def test_only_their_own_may_be_ended(visitors: Visitors, store: RunStore) -> None:
    own, owners = train(visitors, store, ANN), train(visitors, store, Caller(is_owner=True))
    with called_by(ANN):
        visitors.check_own(own)
    for who, run in ((BEN, own), (ANN, owners), (Caller(False, ""), owners)):
        with called_by(who), pytest.raises(AccessError, match="not yours"):
            visitors.check_own(run)
    visitors.check_own(owners)  # the app itself


def test_a_visitor_does_nothing_else_with_runs(tmp_path: Path) -> None:
    services: Any = FakeServices(tmp_path)
    for name in ("resume", "predict-test", "pin", "unpin", "up", "down", "label", "repeat", "grid", "delete"):
        with called_by(ANN), pytest.raises(AccessError, match="for the owner"):
            act_on(services, Act(name, "x", {}))
    for name in ("retain", "empty-trash"):
        with called_by(ANN), pytest.raises(AccessError, match="for the owner"):
            act_on(services, Act(name, None, {}))


def test_a_preview_has_its_minutes(visitors: Visitors, store: RunStore) -> None:
    run, owners = train(visitors, store, ANN), train(visitors, store, Caller(is_owner=True))
    assert not is_too_long(run)
    for one in (run, owners):
        write_model(one.paths.status, RunStatus(train_s=60 * MAX_MINUTES + 1))
    assert is_too_long(run)
    assert not is_too_long(owners)


def test_a_cookie_tells_visitors_apart_and_a_run_keeps_its_hash() -> None:
    token = "v" * 22
    mark = visitor_mark({"cookie": f"x=1; mrpc_visitor={token}"})
    assert len(mark) == 32
    assert token not in mark
    for cookies in (
        "",
        "mrpc_visitor=",
        "mrpc_visitor=short",
        'mrpc_visitor="<img>"',
        "\x00;;=",
        f"other={token}",
    ):
        assert visitor_mark({"cookie": cookies}) == ""
    name, framed = set_cookie(PLAIN, "c", "v", is_framed=True)
    assert name == b"set-cookie"
    assert framed == b"c=v; Max-Age=2592000; Path=/; HttpOnly; SameSite=None; Partitioned; Secure"
    _, plain = set_cookie(PLAIN, "c", "v", is_framed=False)
    assert plain == b"c=v; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"


def test_long_work_of_one_address_leaves_some_to_others() -> None:
    tasks = Tasks(max_running=MAX_RUNNING_AN_ADDRESS + 1, max_running_a_visitor=1)

    def work(task: Task) -> str:
        for number in itertools.count():
            task.progress("working", number, 0)
        raise AssertionError

    running = []
    for number in range(MAX_RUNNING_AN_ADDRESS):
        running.append(tasks.follow(work, visitor=f"name-{number}", address="10.0.0.1"))
        next(running[-1])
    with pytest.raises(BusyError, match="your address"):
        next(tasks.follow(work, visitor="one-more-name", address="10.0.0.1"))
    other = tasks.follow(lambda task: "done", visitor="ben", address="10.0.0.2")
    assert [one.result for one in other if hasattr(one, "result")] == ["done"]
    for one in running:
        one.close()
