"""What a person writes of a run: its name and note, and the pairs that it follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrpc.errors import InputError
from mrpc.runs.store import RunStore
from tests.written_run import write_ended, write_running


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_a_name_and_a_note_stay(store):
    run = write_ended(store.runs_dir)
    run.rename("first try", "warmup helps")
    assert (run.read_label().name, run.read_label().note) == ("first try", "warmup helps")


@pytest.mark.parametrize(("name", "note"), [("x" * 81, ""), ("", "x" * 2001), (3, ""), (None, None)])
def test_labels_that_cannot_be_used(store, name, note):
    run = write_ended(store.runs_dir)
    with pytest.raises(InputError, match="80 characters"):
        run.rename(name, note)


class TestProbes:
    def test_a_pair_keeps_its_id_when_others_come_and_go(self, store):
        run = write_running(store.runs_dir)
        run.pin_pairs([("a", "b"), ("c", "d")])
        first, second = (probe.pair_id for probe in run.read_pinned())
        run.pin_pairs([("c", "d")])
        (left,) = run.read_pinned()
        assert first != second
        assert left.pair_id == second

    @pytest.mark.parametrize("pairs", [[("a", "")], [("a" * 2001, "b")], [("a", str(n)) for n in range(6)]])
    def test_pairs_that_cannot_be_pinned(self, store, pairs):
        run = write_running(store.runs_dir)
        with pytest.raises(InputError):
            run.pin_pairs(pairs)
        assert run.read_pinned() == []
