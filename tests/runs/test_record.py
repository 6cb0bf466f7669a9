"""The record of a run: the same from lines as from events, each step once, read once."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

from mrpc.files import read_model, write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import PinnedPair, PinnedPairsFile
from mrpc.runs.log import EventLog, StepColumns, read_events, read_lines
from mrpc.runs.record import RunRecord, RunRecords, best_of, has_collapsed, is_new_best
from mrpc.runs.run import RunState
from mrpc.runs.store import RunStore
from tests.written_run import (
    create_run,
    evaluation_event,
    started_event,
    step_event,
    write_ended,
    write_events,
)

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


def columns(history: RunRecord) -> dict[str, list[float]]:
    return {name: history.steps.column(name).tolist() for name in ("step", "epoch", "loss", "train_s")}


class TestFoldLines:
    def test_lines_give_what_events_give(self, tmp_path):
        write_log(tmp_path / "events.jsonl")
        from_lines, from_events = RunRecord(Path("none.jsonl")), RunRecord(Path("none.jsonl"))
        from_lines.fold_lines(read_lines(tmp_path / "events.jsonl").lines)
        from_events.fold(read_events(tmp_path / "events.jsonl"))
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
        history = RunRecord(Path("none.jsonl"))
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
        history = RunRecord(Path("none.jsonl"))
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
        assert RunRecord(Path("none.jsonl")).last_step is None


class TestBest:
    def test_the_untrained_model_is_never_the_best_and_of_equals_the_earliest_stays(self):
        scores = [0.9, 0.7, 0.8, 0.8, 0.75]
        evaluations = [evaluation_event(epoch, 90, f1=f1) for epoch, f1 in enumerate(scores)]
        best = [best_of(evaluations[:num]) for num in range(6)]
        assert [one and one.epoch for one in best] == [None, None, 1, 2, 2, 2]
        assert not is_new_best(0, 0.9, None)
        assert is_new_best(1, 0.0, None)

    def test_the_untrained_model_may_answer_one_class(self):
        untrained = evaluation_event(0, 90, num_predicted_equivalent=40)
        assert not has_collapsed([untrained])
        assert not has_collapsed([untrained, evaluation_event(1, 90)])


class TestReadOn:
    def test_only_what_is_new_is_read_and_a_replaced_log_anew(self, tmp_path):
        run = write_ended(tmp_path)
        record = RunRecord(run.paths.events, has_steps=False)

        def epochs() -> list[int]:
            record.read_on()
            return list(record.by_epoch)

        assert epochs() == [0, 1, 2, 3]
        assert len(record.steps) == 0
        offset = record.offset
        write_events(
            run, [step_event(91, 90), evaluation_event(4, 90), evaluation_event(4, 90, split="test")]
        )
        with run.paths.events.open("ab") as log:
            log.write(b'{"type":"evaluation", torn')
        assert epochs() == [0, 1, 2, 3, 4]
        assert record.offset > offset
        assert record.num_unreadable == 0
        run.paths.events.write_bytes(b"")
        assert epochs() == []
        run.paths.events.unlink()
        assert epochs() == []

    def test_a_log_of_the_same_size_with_another_content_is_read_anew(self, tmp_path):
        run = write_ended(tmp_path)
        record = RunRecord(run.paths.events)
        record.read_on()
        assert record.best_epoch == 3
        content = run.paths.events.read_bytes()
        changed = content.replace(b'"f1":0.75', b'"f1":0.99')
        assert len(changed) == len(content)
        assert changed != content
        run.paths.events.write_bytes(changed)
        record.read_on()
        assert record.best_epoch == 1

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
    @pytest.mark.timeout(60)  # the open of a pipe would wait for a writer
    def test_a_link_or_a_pipe_in_place_of_the_log_is_not_read(self, tmp_path):
        run = write_ended(tmp_path)
        run.paths.events.rename(tmp_path / "elsewhere.jsonl")
        record = RunRecord(run.paths.events)
        run.paths.events.symlink_to(tmp_path / "elsewhere.jsonl")
        record.read_on()
        assert record.evaluations == {}
        run.paths.events.unlink()
        os.mkfifo(run.paths.events)
        record.read_on()
        assert record.evaluations == {}

    def test_a_long_log_is_read_in_pieces(self, tmp_path, monkeypatch):
        write_log(tmp_path / "events.jsonl")
        whole, pieces = RunRecord(tmp_path / "events.jsonl"), RunRecord(tmp_path / "events.jsonl")
        whole.read_on()
        monkeypatch.setattr("mrpc.runs.record.CHUNK_BYTES", 1000)
        pieces.read_on()
        assert pieces.offset == whole.offset
        assert columns(pieces) == columns(whole)

    def test_the_last_weights_outlive_the_attempt_that_kept_them(self, tmp_path):
        run = write_ended(tmp_path, "stopped")
        record = RunRecord(run.paths.events)
        record.read_on()
        assert record.last_weights == (45, "bb")
        assert isinstance(record.terminal, ev.StoppedEvent)
        write_events(run, [ev.ResumedEvent(step=45, cut_step=45)], attempt=2)
        record.read_on()
        assert record.last_weights == (45, "bb")
        assert record.terminal is None


class TestRunRecords:
    def test_one_record_a_run_and_steps_on_request(self, tmp_path):
        run, records = write_ended(tmp_path), RunRecords()
        without = records.read(run)
        assert records.read(run) is without
        with_steps = records.read(run, with_steps=True)
        assert len(with_steps.steps) == 90
        assert records.read(run) is records.read(run, with_steps=True) is with_steps

    def test_the_records_are_bounded(self, tmp_path, monkeypatch):
        monkeypatch.setattr("mrpc.runs.record.MAX_RECORDS", 4)
        monkeypatch.setattr("mrpc.runs.record.MAX_WITH_STEPS", 2)
        runs, records = [create_run(tmp_path, seed=seed) for seed in range(6)], RunRecords()
        for run in runs:
            records.read(run, with_steps=True)
        assert len(records._with_steps) == 2
        for run in runs:
            records.read(run)
        assert len(records._records) == 4


CONFIG_0_4_1 = """{
  "schema_version": 1,
  "run_id": "20260101-120000-quick-ab12",
  "created_at": 1767268800.0,
  "train": {"preset": "quick", "checkpoint": "all-MiniLM-L6-v2", "num_epochs": 1, "seed": 7},
  "data": {"kind": "sample", "data_dir": null, "fingerprint": "0123456789abcdef",
           "split_fingerprints": {}, "reason": "Written by hand."},
  "checkpoint_dir": null,
  "group": null,
  "log_with": null
}"""

PROBES_0_4_1 = """{"probes": [
  {"probe_id": "p0123", "sentence1": "The storm closed a road.", "sentence2": "A road was closed."}
]}"""

PROCESS_0_4_1 = """{"pid": 1, "started_at": 1.0, "boot_id": "b", "process_group": 1, "folder": "",
  "attempt": 1, "command": ["train"], "versions": {"torch": "2"}}"""

EVENTS_0_4_1 = """
{"v":1,"seq":1,"time":1.0,"attempt":1,"step":0,"type":"phase","phase":"training"}
{"v":1,"seq":2,"time":2.0,"attempt":1,"step":0,"type":"evaluation","epoch":0,"split":"validation",\
"loss":0.7,"accuracy":0.68,"f1":0.81,"num_predicted_equivalent":40,"num_pairs":40,"duration_s":1.0,\
"is_best":false,"weights_sha256":"00"}
{"v":1,"seq":3,"time":3.0,"attempt":1,"step":0,"type":"probe","epoch":0,"probabilities":{"p0123":0.5}}
{"v":1,"seq":4,"time":4.0,"attempt":1,"step":1,"type":"step","epoch":1.0,"loss":0.6,"learning_rate":0.0001,\
"grad_norm":1.5,"num_pairs":16,"num_tokens":800,"num_padded_tokens":900,"duration_s":0.5,"train_s":1.5}
{"v":1,"seq":5,"time":5.0,"attempt":1,"step":1,"type":"evaluation","epoch":1,"split":"validation",\
"loss":0.6,"accuracy":0.7,"f1":0.8,"num_predicted_equivalent":30,"num_pairs":40,"duration_s":1.0,\
"is_best":true,"weights_sha256":"01"}
{"v":1,"seq":6,"time":6.0,"attempt":1,"step":1,"type":"finished","train_s":2.5,"peak_memory_bytes":1000,\
"best_epoch":1,"weights_sha256":{"best":"01","last":"01"}}
"""


def test_a_run_directory_of_0_4_1_opens(tmp_path):
    run_dir = tmp_path / "20260101-120000-quick-ab12"
    (run_dir / "control").mkdir(parents=True)
    (run_dir / "config.json").write_text(CONFIG_0_4_1)
    (run_dir / "control" / "probes.json").write_text(PROBES_0_4_1)
    (run_dir / "events.jsonl").write_text(EVENTS_0_4_1.lstrip())
    (run_dir / "status.json").write_text('{"attempt": 1, "step": 1, "outcome": "finished", "best_epoch": 1}')
    (run_dir / "process.json").write_text(PROCESS_0_4_1)
    store = RunStore(tmp_path)
    run = store.open(run_dir.name)
    assert store.foreign() == {}
    assert run.state() is RunState.FINISHED
    assert (run.config.hyperparameters.preset, run.config.hyperparameters.seed) == ("quick", 7)
    pinned = read_model(run.paths.pinned_pairs, PinnedPairsFile)
    assert pinned is not None
    (pair,) = pinned.pairs
    assert pair.pair_id == "p0123"
    record = store.records.read(run, with_steps=True)
    assert record.num_unreadable == 0
    assert (record.best_epoch, record.last_weights) == (1, (1, "01"))
    assert record.pinned_pairs[0].probabilities == {"p0123": 0.5}
    assert record.steps.column("loss").tolist() == [0.6]
    assert isinstance(record.terminal, ev.FinishedEvent)


def test_what_is_written_has_the_keys_of_0_4_1(tmp_path):
    run = create_run(tmp_path, seed=7)
    assert json.loads(run.paths.config.read_text())["train"]["seed"] == 7
    pair = PinnedPair(pair_id="p0123", sentence1="a", sentence2="b")
    write_model(run.paths.pinned_pairs, PinnedPairsFile(pairs=[pair]))
    (written,) = json.loads((run.paths.run_dir / "control" / "probes.json").read_text())["probes"]
    assert written["probe_id"] == "p0123"
    write_events(run, [ev.PinnedPairEvent(epoch=0, probabilities={"p0123": 0.5})])
    assert json.loads(run.paths.events.read_text())["type"] == "probe"
