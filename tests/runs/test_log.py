"""The event log: whole lines, byte offsets, torn and foreign lines."""

from pathlib import Path

from mrpc.runs.events import FinishedEvent, PhaseEvent, StepEvent
from mrpc.runs.log import EventLog, read_events, read_last_step, read_lines, read_terminal_event
from mrpc.runs.record import RunRecord


def step_event(step: int, loss: float = 0.5) -> StepEvent:
    return StepEvent(
        step=step,
        epoch=0.1,
        loss=loss,
        learning_rate=1e-5,
        num_pairs=8,
        num_tokens=400,
        num_padded_tokens=500,
        duration_s=0.2,
        train_s=1.0,
    )


def num_unreadable(path: Path) -> int:
    record = RunRecord(path)
    record.read_on()
    return record.num_unreadable


def test_what_is_appended_is_read_in_order_and_only_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", attempt=1)
    log.append(step_event(1))
    first, offset = read_events(log.path), read_lines(log.path).offset
    log.append(step_event(2))
    assert [e.step for e in first] == [1]
    assert [(e.step, e.seq, e.attempt) for e in read_events(log.path, offset)] == [(2, 2, 1)]
    assert read_events(log.path, read_lines(log.path, offset).offset) == []


def test_a_torn_tail_waits_and_does_not_raise(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", attempt=1)
    log.append(step_event(1))
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + whole[: len(whole) // 2])
    assert [e.step for e in read_events(log.path)] == [1]
    assert read_lines(log.path).offset == len(whole)
    assert num_unreadable(log.path) == 0


def test_a_torn_line_of_a_killed_attempt_does_not_swallow_the_next_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path, attempt=1).append(step_event(1))
    with path.open("ab") as file:
        file.write(b'{"type":"step","st')
    EventLog(path, attempt=2).append(step_event(2))
    assert [(e.step, e.attempt) for e in read_events(path)] == [(1, 1), (2, 2)]
    assert num_unreadable(path) == 1


def test_sequence_numbers_go_on_in_a_new_attempt(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = EventLog(path, attempt=1)
    for step in range(5):
        first.append(step_event(step))
    EventLog(path, attempt=2).append(PhaseEvent(phase="training"))
    assert [e.seq for e in read_events(path)] == [1, 2, 3, 4, 5, 6]


def test_garbage_and_later_schemas_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, attempt=1)
    log.append(step_event(1))
    with path.open("ab") as file:
        file.write(b"\xff\xfe garbage\n[1, 2]\n\n")
        file.write(step_event(2).model_dump_json().replace('"v":1', '"v":99').encode() + b"\n")
    log.append(step_event(3))
    assert [e.step for e in read_events(path)] == [1, 3]
    assert num_unreadable(path) == 3


def test_a_log_that_was_replaced_by_a_shorter_one_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, attempt=1)
    log.append(step_event(1))
    log.append(step_event(2))
    offset = read_lines(path).offset
    path.unlink()
    EventLog(path, attempt=1).append(step_event(7))
    assert [e.step for e in read_events(path, offset)] == [7]


def test_the_terminal_event_is_that_of_the_attempt(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path, attempt=1).append(
        FinishedEvent(step=9, train_s=1.0, peak_memory_bytes=1, best_epoch=1, weights_sha256={})
    )
    EventLog(path, attempt=2).append(step_event(10))
    assert isinstance(read_terminal_event(path, 1), FinishedEvent)
    assert read_terminal_event(path, 2) is None


def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none.jsonl") == []


def test_the_last_step_is_that_of_the_log(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl", attempt=1)
    assert read_last_step(log.path) == 0
    for step in (1, 2, 3):
        log.append(step_event(step))
    log.append(PhaseEvent(phase="evaluating"))
    assert read_last_step(log.path) == 3
