"""Folding: the same from lines as from events, and each step once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mrpc.runs import events as ev
from mrpc.runs.history import RunHistory, StepColumns
from mrpc.runs.log import EventLog, read_events, read_lines
from tests.written_run import evaluation_event, started_event, step_event

NUM_STEPS = 60


def write_log(path: Path) -> None:
    """Write a run that is cut at 40, goes on from 30, has a number that is not finite, and ends."""
    first = EventLog(path, attempt=1)
    for event in [started_event(NUM_STEPS), evaluation_event(0, NUM_STEPS)]:
        first.append(event)
    for step in range(1, 41):
        first.append(step_event(step, NUM_STEPS))
    first.append(ev.WarningEvent(message='it said "type":"step"'))
    first.close()
    second = EventLog(path, attempt=2)
    second.append(ev.ResumedEvent(step=30, cut_step=40))
    for step in range(31, NUM_STEPS + 1):
        second.append(step_event(step, NUM_STEPS, loss=0.01 * step))
    second.append(ev.NonFiniteEvent(step=60, what="loss", value="nan"))
    second.append(ev.FailedEvent(cause="The disk is full."))
    second.close()


def columns(history: RunHistory) -> dict[str, list[float]]:
    return {name: history.steps.column(name).tolist() for name in ("step", "epoch", "loss", "train_s")}


class TestFoldLines:
    def test_lines_give_what_events_give(self, tmp_path):
        write_log(tmp_path / "events.jsonl")
        from_lines, from_events = RunHistory(), RunHistory()
        from_lines.fold_lines(read_lines(tmp_path / "events.jsonl").lines)
        from_events.fold(read_events(tmp_path / "events.jsonl").events)
        assert columns(from_lines) == columns(from_events)
        assert columns(from_lines)["step"] == list(range(1, NUM_STEPS + 1))
        assert columns(from_lines)["loss"][30:] == [0.01 * step for step in range(31, NUM_STEPS + 1)]
        for name in ("started", "evaluations", "cuts", "non_finite", "warnings", "terminal", "attempt"):
            assert getattr(from_lines, name) == getattr(from_events, name)
        assert from_lines.last_step == from_lines.steps.newest(1)[0]
        assert from_lines.last_step.num_tokens == 400

    def test_a_step_of_a_new_attempt_ends_the_end_of_the_one_before(self, tmp_path):
        write_log(tmp_path / "events.jsonl")
        log = EventLog(tmp_path / "events.jsonl", attempt=3)
        log.append(step_event(61, 90))
        history = RunHistory()
        history.fold_lines(read_lines(log.path).lines)
        assert history.attempt == 3
        assert history.terminal is None

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"loss":0.5', '"loss":"much"'),
            ('"v":1', '"v":99'),
            ('"loss":0.5,', ""),
            ('"step":7', '"step":7.5'),
        ],
    )
    def test_a_step_that_cannot_be_understood_is_counted(self, tmp_path, old, new):
        log = EventLog(tmp_path / "events.jsonl", attempt=1)
        for step in (6, 7):
            log.append(step_event(step, 90, loss=0.5))
        lines = read_lines(log.path).lines
        assert old.encode() in lines[1]
        history = RunHistory()
        history.fold_lines([lines[0], lines[1].replace(old.encode(), new.encode())])
        assert columns(history)["step"] == [6]
        assert history.num_unreadable == 1


class TestStepColumns:
    def test_each_step_is_there_once_in_order_and_the_last_write_wins(self):
        steps, expected = StepColumns(), {}
        draw = random.Random(3)
        for number in range(500):
            step = draw.randrange(200)
            expected[step] = float(number)
            steps.put((step, 0.0, float(number), 1e-5, 8, 400, 500, 0.5, 1.0))
        assert steps.column("step").tolist() == sorted(expected)
        assert steps.column("loss").tolist() == [expected[step] for step in sorted(expected)]
        assert [row.step for row in steps.newest(3)] == sorted(expected)[-3:]

    def test_none_yet(self):
        assert StepColumns().newest(5) == []
        assert RunHistory().last_step is None
