"""Long work: progress, cancelling, and how much of it runs at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mrpc.app.task import VISITORS_SHARE, Done, Progress, Task, Tasks
from mrpc.app.visitors import Caller, called_by
from mrpc.errors import BusyError, InputError, TaskCancelled
from tests.live_app import wait_until


def count(task: Task, num: int = 5) -> int:
    for done in range(num):
        task.progress("Counting", done, num)
        time.sleep(0.15)
    return num


def test_progress_then_the_result() -> None:
    steps = list(Tasks().follow(count))
    assert isinstance(steps[-1], Done)
    assert steps[-1].result == 5
    said = [step for step in steps[:-1] if isinstance(step, Progress)]
    assert {step.what for step in said} == {"Counting"}
    assert [step.num_done for step in said] == sorted({step.num_done for step in said})


def test_an_error_of_the_work_is_raised_where_it_is_followed() -> None:
    def fail(task: Task) -> None:
        raise InputError("not this")

    with pytest.raises(InputError, match="not this"):
        list(Tasks().follow(fail))


def test_cancelled_by_its_name() -> None:
    tasks = Tasks()
    steps = tasks.follow(lambda task: count(task, 100))
    first = next(steps)
    assert isinstance(first, Progress)
    tasks.cancel("somebody else's")
    tasks.cancel(first.task_id)
    with pytest.raises(TaskCancelled):
        list(steps)


def test_scripts_of_visitors_keep_the_bounds_of_pages() -> None:
    tasks, go = Tasks(max_running_a_visitor=1), threading.Event()
    visitor = Caller(is_owner=False, visitor="ann")

    def ask(answers: list[object]) -> None:
        with called_by(visitor):
            answers.append(tasks.do(lambda say: go.wait(60)))

    answers: list[object] = []
    first = threading.Thread(target=ask, args=[answers])
    first.start()
    wait_until(lambda: bool(tasks._running))
    with called_by(visitor), pytest.raises(BusyError):
        tasks.do(lambda say: "too much")
    assert tasks.do(lambda say: "the owner is not counted") == "the owner is not counted"
    go.set()
    first.join()
    assert answers == [True]


def test_a_closed_page_ends_its_work() -> None:
    tasks, ended = Tasks(), threading.Event()

    def work(task: Task) -> None:
        try:
            count(task, 1000)
        finally:
            ended.set()

    steps = tasks.follow(work)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert ended.wait(60)


def test_one_visitor_does_not_take_all_places_and_all_together_are_bounded() -> None:
    tasks = Tasks(max_running=3, max_running_a_visitor=2)
    running = [tasks.follow(lambda task: count(task, 100), visitor) for visitor in ("ann", "ann", "ben")]
    for steps in running:
        next(steps)
    for visitor in ("ann", "cid"):
        with pytest.raises(BusyError):
            next(tasks.follow(count, visitor))
    for steps in running:
        steps.close()  # type: ignore[attr-defined]
    wait_until(lambda: not tasks._running)
    assert isinstance(list(tasks.follow(count, "ann"))[-1], Done)


def test_work_of_visitors_rests_while_a_training_runs_and_can_be_cancelled_in_its_rest() -> None:
    tasks = Tasks(is_training=lambda: True)

    def work(task: Task) -> float:
        began_at = time.monotonic()
        time.sleep(0.05)
        task.progress("half", 1, 2)
        return time.monotonic() - began_at

    with_a_rest = 0.05 / VISITORS_SHARE * 0.9
    assert time_of(tasks.follow(work)) < with_a_rest
    assert time_of(tasks.follow(work, gives_way=True)) > with_a_rest
    assert time_of(Tasks().follow(work, gives_way=True)) < with_a_rest
    resting = Task(rest=lambda: 1e9)
    threading.Timer(0.1, resting.cancel).start()
    with pytest.raises(TaskCancelled):
        resting.progress("part", 1, 2)
    assert resting.newest.is_resting
    assert resting.is_resting
    assert not Task().is_resting


def time_of(steps: Iterator[Progress | Done[float]]) -> float:
    last = list(steps)[-1]
    assert isinstance(last, Done)
    return last.result


def test_work_that_nobody_follows_is_never_cancelled() -> None:
    assert count(Task(), 1) == 1


def test_who_keeps_no_cookie_is_told_apart_by_the_address() -> None:
    tasks = Tasks(max_running_a_visitor=1)
    first = tasks.follow(count, address="10.0.0.1", gives_way=True)
    next(first)
    with pytest.raises(BusyError):
        next(tasks.follow(count, address="10.0.0.1", gives_way=True))
    second = tasks.follow(count, address="10.0.0.2", gives_way=True)
    assert isinstance(next(second), Progress)
    first.close()
    second.close()


def test_visitors_leave_the_owner_alone() -> None:
    tasks = Tasks(max_running=1)
    visitors = tasks.follow(count, visitor="ann", gives_way=True)
    next(visitors)
    owners = tasks.follow(count, visitor="a page")
    assert isinstance(next(owners), Progress)
    with pytest.raises(BusyError):
        next(tasks.follow(count, visitor="bob", gives_way=True))
    visitors.close()
    owners.close()
