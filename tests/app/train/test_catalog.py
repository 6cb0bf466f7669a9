"""Names, pinned pairs, the disk, and the record of a run as an archive."""

from __future__ import annotations

import csv
import io
import shlex
import zipfile
from pathlib import Path

import pytest

from mrpc.app.train.catalog import (
    apply_retention,
    bundle,
    pin_pairs,
    plan_retention,
    rename,
    reproduce_command,
)
from mrpc.errors import InputError, RunStateError, UnknownRunError
from mrpc.runs import events as ev
from mrpc.runs.store import RunStore
from tests.written_run import write_ended, write_events, write_running


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_name_and_a_note_stay(store):
    run = write_ended(store.runs_dir)
    rename(run, "first try", "warmup helps")
    assert (run.read_label().name, run.read_label().note) == ("first try", "warmup helps")


@pytest.mark.parametrize(("name", "note"), [("x" * 81, ""), ("", "x" * 2001), (3, ""), (None, None)])
def test_labels_that_cannot_be_used(store, name, note):
    run = write_ended(store.runs_dir)
    with pytest.raises(InputError, match="80 characters"):
        rename(run, name, note)


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


class TestProbes:
    def test_a_pair_keeps_its_id_when_others_come_and_go(self, store):
        run = write_running(store.runs_dir)
        pin_pairs(run, [("a", "b"), ("c", "d")])
        first, second = (probe.pair_id for probe in run.read_pinned())
        pin_pairs(run, [("c", "d")])
        (left,) = run.read_pinned()
        assert first != second
        assert left.pair_id == second

    @pytest.mark.parametrize("pairs", [[("a", "")], [("a" * 2001, "b")], [("a", str(n)) for n in range(6)]])
    def test_pairs_that_cannot_be_pinned(self, store, pairs):
        run = write_running(store.runs_dir)
        with pytest.raises(InputError):
            pin_pairs(run, pairs)
        assert run.read_pinned() == []


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
        plan = plan_retention(store, 2_500_000)
        assert list(plan) == [oldest]
        assert plan_retention(store, 10_000_000) == {}

    def test_what_is_under_way_stays(self, store):
        running = write_running(store.runs_dir)
        ended = self.runs(store)
        assert list(plan_retention(store, 0)) == ended
        assert running.run_id not in ended

    def test_only_what_was_shown_goes(self, store):
        oldest, second, third = self.runs(store)
        went = apply_retention(store, 0, [second, third, "unknown"])
        assert list(went) == [second, third]
        assert went[second] > 1_000_000
        assert [run.run_id for run in store.list()] == [oldest]


class TestBundle:
    def test_holds_the_record_and_no_weights(self, store, tmp_path):
        run = write_ended(store.runs_dir)
        run.paths.predictions.mkdir()
        (run.paths.predictions / "validation-epoch-000.parquet").write_bytes(b"rows")
        (run.paths.predictions / "link.parquet").symlink_to("/etc/hostname")
        with zipfile.ZipFile(bundle(run, tmp_path / "cache")) as archive:
            assert sorted(archive.namelist()) == [
                "config.json",
                "events.csv",
                "predictions/validation-epoch-000.parquet",
                "reproduce.sh",
                "versions.json",
            ]
            assert b"python -m mrpc.training" in archive.read("reproduce.sh")

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_no_cell_is_a_formula(self, store, tmp_path, start):
        run = write_ended(store.runs_dir)
        write_events(run, [ev.WarningEvent(step=90, message=f"{start}HYPERLINK(0)")])
        write_events(run, [ev.NonFiniteEvent(step=90, what="loss", value="-inf")])
        with zipfile.ZipFile(bundle(run, tmp_path / "cache")) as archive:
            rows = list(csv.DictReader(io.StringIO(archive.read("events.csv").decode(), newline="")))
        assert rows[-2]["message"] == f"'{start}HYPERLINK(0)"
        assert rows[-1]["value"] == "'-inf"
        assert rows[0]["num_steps"] == "90"

    def test_the_command_gives_the_same_settings(self, store):
        run = write_ended(store.runs_dir, learning_rate=3e-4, seed=9)
        words = shlex.split(reproduce_command(run))
        assert words[:3] == ["python", "-m", "mrpc.training"]
        flags = dict(zip(words[3::2], words[4::2], strict=True))
        assert flags["--learning-rate"] == "0.0003"
        assert flags["--seed"] == "9"
