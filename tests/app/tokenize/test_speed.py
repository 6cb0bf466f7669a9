"""Tokenizing a split in processes that are measured, cancelled and given up; and the map that fails."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.task import Tasks
from mrpc.app.tokenize import speed as speed_module
from mrpc.app.tokenize.speed import TokenizationSpeed
from mrpc.core.data.load import load_data
from mrpc.core.text.tokenization_speed import WAYS
from mrpc.errors import BusyError, InputError, TaskCancelled

COLUMNS = ["sentence1", "sentence2", "label", "idx"]


@pytest.fixture
def speed(tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> TokenizationSpeed:
    data = load_data("folder", tiny_data_dir)
    return TokenizationSpeed(lambda: data, CheckpointShelf((tiny_checkpoint_dir,)))


def measuring_children() -> list[int]:
    """Process ids of measurements that run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "mrpc.core.text.tokenization_speed" in child.cmdline():
                found.append(child.pid)
    return found


@pytest.mark.integration
def test_every_way_tokenizes_every_row(speed):
    seen = []
    ways = speed.measure("train", 0, list(WAYS), "local:tiny-bert", seen.append)
    assert [way.way for way in ways] == list(WAYS)
    for way in ways:
        assert (way.state, way.rows_done, way.num_rows, way.error) == ("done", 64, 64, "")
        assert way.seconds > 0
        assert way.rows_per_second > 0
    assert {"starting", "running", "done"} & {way.state for ways in seen for way in ways}
    assert measuring_children() == []


@pytest.mark.integration
def test_cancelling_ends_the_process_and_the_ways_to_come(speed):
    refused = []

    def cancel_when_one_runs(ways):
        if not refused:
            with pytest.raises(BusyError, match="Another measurement") as caught:
                speed.measure("train", 0, ["batched"], "local:tiny-bert")
            refused.append(caught)
        if measuring_children():
            raise TaskCancelled("Cancelled.")

    ways = speed.measure("train", 0, list(WAYS), "local:tiny-bert", cancel_when_one_runs)
    assert refused
    assert "cancelled" in {way.state for way in ways}
    assert ways[-1].state == "cancelled"
    assert measuring_children() == []
    ways = speed.measure("train", 10, ["batched"], "local:tiny-bert")  # the chosen rows and ways alone
    assert [(way.way, way.state, way.rows_done) for way in ways] == [("batched", "done", 10)]


@pytest.mark.integration
def test_a_measurement_whose_page_is_gone_is_ended(speed):
    """As a page does it: in a task, followed by a generator that Gradio closes."""

    def work(task):
        def on_progress(ways):
            task.progress("measuring", ways[0].rows_done, ways[0].num_rows)

        return speed.measure("train", 0, list(WAYS), "local:tiny-bert", on_progress)

    following = Tasks().follow(work)
    next(following)
    deadline = time.monotonic() + 60
    while not measuring_children():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    following.close()
    deadline = time.monotonic() + 60
    while measuring_children() or any(thread.name == "measurement" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.integration
def test_a_process_that_fails_says_why(speed, monkeypatch):
    monkeypatch.setattr(speed_module, "_write_rows", lambda dataset, count, path: path.write_bytes(b"no"))
    ways = speed.measure("train", 0, ["batched", "one_call"], "local:tiny-bert")
    assert [way.state for way in ways] == ["failed", "failed"]
    assert ways[0].error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "dev"}, "split is 'dev'"),
        ({"num_rows": 65}, "rows is '65'; it must be a whole number from 0 to 64"),
        ({"num_rows": float("nan")}, "rows is 'nan'"),
        ({"ways": []}, "Choose some of these ways"),
        ({"ways": ["rm -rf"]}, "Choose some of these ways"),
        ({"ways": "batched"}, "Choose some of these ways"),
        ({"ways": [["batched"]]}, "Choose some of these ways"),
        ({"checkpoint": "/etc"}, "it must be one of"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(speed, given, message):
    wanted = {"split": "train", "num_rows": 0, "ways": ["batched"], "checkpoint": "local:tiny-bert"} | given
    with pytest.raises(InputError, match=message):
        speed.measure(**wanted)
    assert measuring_children() == []


def test_the_failing_map_of_the_course_fails_as_it_says(speed):
    failed = speed.fail_on_purpose("train")
    assert failed.error_type == "pyarrow.lib.ArrowInvalid"
    assert failed.message == "Column 4 named testtest expected length 64 but got length 1"
    assert failed.fixed_columns == [*COLUMNS, "testtest"]
    assert (failed.num_rows, failed.fixed_rows) == (64, 64)


def test_the_failing_map_on_the_real_corpus(mrpc_data_dir):
    data = load_data("folder", mrpc_data_dir)
    failed = TokenizationSpeed(lambda: data, CheckpointShelf()).fail_on_purpose("train")
    assert failed.message == "Column 4 named testtest expected length 1000 but got length 1"


@pytest.mark.integration
@pytest.mark.parametrize(("split", "num_rows"), [("train", 3668), ("validation", 408), ("test", 1725)])
def test_every_split_of_the_real_corpus_is_tokenized(mrpc_data_dir, split, num_rows):
    data = load_data("folder", mrpc_data_dir)
    [way] = TokenizationSpeed(lambda: data, CheckpointShelf()).measure(split, 0, ["batched"])
    assert (way.state, way.rows_done) == ("done", num_rows)


@pytest.mark.integration
def test_the_process_can_be_used_from_a_shell(speed, tiny_checkpoint_dir, tmp_path):
    rows_file = tmp_path / "rows.arrow"
    speed_module._write_rows(speed._read_data().dataset["train"], 12, rows_file)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mrpc.core.text.tokenization_speed",
            rows_file,
            tiny_checkpoint_dir,
            "batched",
            tmp_path,
        ],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(speed_module.__file__).parents[3],
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0] == {"ready": True}
    assert sum(line.get("rows", 0) for line in said) == 12
    assert said[-1]["columns"] == ["sentence1", "sentence2", "input_ids", "token_type_ids", "attention_mask"]
