"""What a training will need follows from its checkpoint, and from what earlier runs measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.train.estimates import Estimates
from mrpc.config import build_config
from mrpc.core.model.pretrained import PretrainedSize, local_pretrained, pretrained_size
from mrpc.errors import ConfigError
from mrpc.runs.store import RunStore
from tests.tiny import write_checkpoint_stub
from tests.written_run import write_ended, write_status

BERT = "google-bert/bert-base-uncased"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def estimates(store: RunStore, tmp_path: Path) -> Estimates:
    return Estimates(store, CheckpointShelf([write_checkpoint_stub(tmp_path / "stub")]))


def finish(store: RunStore, num_steps: int = 90, **measured: Any) -> None:
    write_status(write_ended(store.runs_dir), num_steps, num_steps, outcome="finished", **measured)


def test_the_size_of_a_folder_is_that_of_its_weights(tmp_path):
    folder = write_checkpoint_stub(tmp_path / "mine", num_layers=4, width=64, vocabulary=500)
    assert pretrained_size(local_pretrained(folder)) == PretrainedSize(500 * 64, 4, 64)
    for head in (b"", b"\xff" * 8, (5).to_bytes(8, "little") + b"nojso", (2).to_bytes(8, "little") + b"[]"):
        (folder / "model.safetensors").write_bytes(head)
        assert pretrained_size(local_pretrained(folder)) is None


def test_without_earlier_runs_time_follows_the_machine_and_the_rest_the_checkpoint(estimates):
    small = estimates.estimate(build_config({"preset": "course"}), 3_668)
    large = estimates.estimate(build_config({"preset": "course", "checkpoint": BERT}), 3_668)
    tiny = estimates.estimate(build_config({"preset": "course", "checkpoint": "local:stub"}), 3_668)
    assert small.time.source == large.time.source == "machine"
    assert 0 < small.time.minutes < large.time.minutes
    assert not small.is_memory_measured
    assert small.disk_bytes == 22_713_216 * 4 * (
        2 + 9
    )  # two models; three checkpoints of weights and moments
    assert large.disk_bytes == 109_482_240 * 4 * (2 + 9)
    assert tiny.memory_bytes < small.memory_bytes < 0.5 * large.memory_bytes


@pytest.mark.parametrize(
    ("values", "num_weights"),
    [({"keep_epochs": "all", "num_epochs": 4}, 2 + 4 + 9), ({"loop": "trainer"}, 2)],
)
def test_disk_follows_what_is_kept(estimates, values, num_weights):
    estimate = estimates.estimate(build_config({"preset": "course", **values}), 3_668)
    assert estimate.disk_bytes == 22_713_216 * 4 * num_weights


def test_memory_grows_with_the_batch_up_to_the_longest_pair(estimates):
    def memory(**values: int) -> int:
        return estimates.estimate(build_config({"preset": "course", **values}), 3_668).memory_bytes

    assert memory(train_batch_size=64) > memory(train_batch_size=8) > memory(max_length=16)
    assert memory(max_length=512) == memory(max_length=128)


def test_time_is_that_of_an_earlier_run_with_its_evaluations(estimates, store):
    finish(store, tokens_per_s=1_000.0, tokens_per_epoch=30_000, num_train_pairs=600, evaluation_s=20.0)

    def minutes(**values: Any) -> float | None:
        return estimates.estimate(
            build_config({"preset": "course", "num_epochs": 2, **values}), 600
        ).time.minutes

    assert minutes() == pytest.approx(1.0 + 3 * 20 / 60)
    assert minutes(max_steps=75) == pytest.approx(0.5 + 3 * 20 / 60)
    assert estimates.estimate(build_config({"checkpoint": BERT}), 600).time.source == "machine"


def test_time_is_that_of_the_run_whose_steps_cost_most_alike(estimates, store):
    for outcome, rate, settings in (
        ("stopped", 4_000.0, {"fast": True, "batch_order": "length"}),
        ("interrupted", 1_000.0, {}),
    ):
        run = write_ended(store.runs_dir, outcome, **settings)
        write_status(run, 60, 90, tokens_per_s=rate, tokens_per_epoch=60_000, num_train_pairs=600)

    def minutes(**values: Any) -> float | None:
        return estimates.estimate(
            build_config({"preset": "course", "num_epochs": 1, **values}), 600
        ).time.minutes

    assert minutes() == pytest.approx(1.0)
    assert minutes(fast=True, batch_order="length") == pytest.approx(0.25)


def test_a_run_of_a_few_steps_measures_no_speed(estimates, store, monkeypatch):
    config = build_config({"preset": "course"})
    before = estimates.estimate(config, 600).time
    finish(store, 10, tokens_per_s=10.0, tokens_per_epoch=30_000, num_train_pairs=600, evaluation_s=20.0)
    assert estimates.estimate(config, 600).time == before
    monkeypatch.setattr(CheckpointShelf, "size", lambda shelf, name: None)
    assert estimates.estimate(config, 600).time.source == "scaled"


@pytest.mark.parametrize(("multiplies_in_bfloat16", "speedup"), [(False, 2.43), (True, 3.57)])
def test_the_time_of_other_steps_is_scaled_and_said_to_be(
    estimates, store, monkeypatch, multiplies_in_bfloat16, speedup
):
    monkeypatch.setattr("mrpc.app.train.estimates._has_bfloat16", lambda: multiplies_in_bfloat16)
    finish(store, tokens_per_s=1_000.0, tokens_per_epoch=30_000, num_train_pairs=600, evaluation_s=0.0)
    presets = [
        build_config({"preset": preset, "num_epochs": 1}) for preset in ("course", "recommended", "quick")
    ]
    course, recommended, quick = estimates.minutes(presets, 600)
    assert (course.source, recommended.source) == ("measured", "scaled")
    assert course.minutes == pytest.approx(0.5)
    assert quick.minutes == pytest.approx(0.5 / speedup, rel=0.05)
    assert recommended.minutes == pytest.approx(2 * quick.minutes), "both orders of each pair"


def test_the_checkpoint_of_a_folder_that_does_not_tell_its_size_has_no_time(estimates, monkeypatch):
    monkeypatch.setattr(CheckpointShelf, "size", lambda shelf, name: None)
    assert estimates.estimate(build_config({}), 600).time.source == "unknown"


def test_memory_is_that_of_the_earlier_run_most_like_it(estimates, store):
    def estimate(batch: int):
        return estimates.estimate(build_config({"preset": "course", "train_batch_size": batch}), 600)

    guessed = estimate(32).memory_bytes - estimate(8).memory_bytes
    finish(store, peak_memory_bytes=2_000_000_000)  # of batches of 8
    assert estimate(8).is_memory_measured
    assert estimate(8).memory_bytes == 2_000_000_000
    assert estimate(32).memory_bytes == 2_000_000_000 + guessed


def test_too_little_is_a_warning_in_words(estimates, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 500_000_000}))
    usage = type("Usage", (), {"free": 300_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    estimate = estimates.estimate(build_config({"preset": "course"}), 3_668)
    assert estimate.warnings[0] == "The disk has 0.3 GB free; this needs about 1.0 GB."
    assert estimate.warnings[1].startswith("0.5 GB of memory are free; this needs about 1.")


def test_a_checkpoint_that_is_not_in_the_list_is_refused(estimates):
    with pytest.raises(ConfigError, match="must be one of"):
        estimates.estimate(build_config({"checkpoint": "/etc"}), 10)
