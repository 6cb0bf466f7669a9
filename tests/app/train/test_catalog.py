"""Names, pinned pairs, and the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrpc.app.train.catalog import (
    apply_retention,
    pin_pairs,
    plan_retention,
    rename,
)
from mrpc.errors import InputError, RunStateError, UnknownRunError
from mrpc.runs.store import RunStore
from tests.written_run import write_ended, write_running


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
