"""What the Train tab shows beside one run, and what can be done there, with a fake launcher."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from mrpc.app.train import disk_view, handlers, manage_run, probes_view, queue_view
from mrpc.app.train.board import RunBoard
from mrpc.app.train.catalog import Catalog
from mrpc.app.train.compare_runs import read_slots
from mrpc.app.train.endpoints import on_queue_run
from mrpc.app.train.estimates import Estimate
from mrpc.app.train.form import FIELDS, fill_form, read_form
from mrpc.app.train.monitoring import Monitoring
from mrpc.app.train.render_queue import render_estimate
from mrpc.config import build_config
from mrpc.errors import RunStateError
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from mrpc.runs.queue import RunQueue
from mrpc.runs.store import RunStore
from tests.written_run import create_run, write_ended, write_running

EVIL = "<img src=x onerror=alert(1)>"
BAD_IDS = ["", None, 3, "../..", EVIL, ["x"], {"a": 1}]
SKIP = gr.skip()


class FakeLauncher:
    def __init__(self, runs_dir) -> None:
        self.queue = RunQueue(runs_dir)
        self.runs_dir = runs_dir
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def add_to_queue(self, values: dict[str, Any], group: str | None = None) -> str:
        if self.error:
            raise self.error
        run = create_run(self.runs_dir, seed=build_config(values).seed)
        self.queue.add(run.run_id)
        return run.run_id

    def repeat_with_seeds(self, run_id: str, num_seeds: int) -> list[str]:
        self.calls.append(("repeat", run_id, num_seeds))
        return ["x"] * num_seeds

    def remove_from_queue(self, run_id: str) -> None:
        self.queue.remove(run_id)


class FakeServices:
    def __init__(self, runs_dir) -> None:
        self.store = RunStore(runs_dir)
        self.monitoring = Monitoring(self.store)
        self.catalog = Catalog(self.store)
        self.launcher = FakeLauncher(runs_dir)


@pytest.fixture
def services(tmp_path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def board(services) -> RunBoard:
    return RunBoard(services)


def queued(services, num: int) -> list[str]:
    return [services.launcher.add_to_queue({"seed": seed}) for seed in range(num)]


class TestQueue:
    def test_shows_the_order_and_that_it_waits_for_an_app(self, services, board):
        first, second = queued(services, 2)
        shown = queue_view.queue_html(services, board)
        assert shown.index(first) < shown.index(second)
        assert "without it the queue waits" in shown

    def test_nothing_without_waiting_runs(self, services, board):
        assert queue_view.queue_html(services, board) == ""

    def test_adds_what_the_form_holds(self, services, board):
        values = fill_form(build_config({"preset": "quick", "seed": 3}))[1:]
        assert "as soon as nothing trains" in queue_view.on_queue(services, board, values)
        assert "number 2 of those that wait" in queue_view.on_queue(services, board, values)
        assert len(services.launcher.queue.read()) == 2

    def test_mistakes_are_named(self, services, board):
        values = fill_form(build_config({}))[1:]
        values[FIELDS.index("seed")] = EVIL
        said = queue_view.on_queue(services, board, values)
        assert "seed is" in said
        assert "<img" not in said

    def test_moves_and_removes(self, services, board):
        first, second, third = queued(services, 3)
        assert queue_view.on_queue_act(services, board, "up", third) == ""
        assert services.launcher.queue.read() == [first, third, second]
        queue_view.on_queue_act(services, board, "down", first)
        assert services.launcher.queue.read() == [third, first, second]
        queue_view.on_queue_act(services, board, "remove", first)
        assert services.launcher.queue.read() == [third, second]

    @pytest.mark.parametrize("act", ["up", "remove", EVIL, None, 3])
    def test_what_does_not_wait_cannot_be_moved(self, services, board, act):
        said = queue_view.on_queue_act(services, board, act, EVIL)
        assert 'role="alert"' in said
        assert "<img" not in said

    @pytest.mark.parametrize("config", [None, [], "x", 3])
    def test_the_endpoint_wants_an_object(self, services, config):
        with pytest.raises(gr.Error, match="must be an object"):
            on_queue_run(services, config)

    def test_the_endpoint_gives_the_run(self, services):
        run_id = on_queue_run(services, {})["run_id"]
        assert services.launcher.queue.read() == [run_id]
        services.launcher.error = RunStateError("It is <b>full</b>.")
        with pytest.raises(gr.Error, match="&lt;b&gt;full"):
            on_queue_run(services, {})


class TestEstimate:
    def test_in_words(self):
        unknown = render_estimate(
            Estimate(None, 1_000_000_000, 5_000_000_000, None, 9_000_000_000, False, [])
        )
        assert "Time: unknown until the first steps. Disk: about 1.0 GB of 5.0 GB free." in unknown
        assert "Memory: unknown; 9.0 GB are free." in unknown
        known = Estimate(7.5, 1, 2, 3, 4, True, ["The disk has <b>no</b> room."])
        assert "free, as an earlier run here." in render_estimate(known)
        assert "about 7 min 30 s" in render_estimate(known)
        assert "&lt;b&gt;no" in render_estimate(known)


@pytest.mark.parametrize(
    ("chosen", "slots"), [("a,,b", [(0, "a"), (2, "b")]), ("a,a", [(0, "a")]), (None, []), ("", [])]
)
def test_chosen_runs_have_places(chosen, slots):
    assert read_slots(chosen) == slots
    assert len(read_slots(",".join(map(str, range(30))))) == 8


class TestManage:
    def test_name_and_note(self, services, board, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name="old", note="why"))
        assert manage_run.on_open_label(services, run.run_id)[-2:] == ["old", "why"]
        said, *panels = manage_run.on_save_label(services, board, run.run_id, "new", "")
        assert (said, run.read_label().name) == ("", "new")
        assert not any(panel["visible"] for panel in panels)
        said, *panels = manage_run.on_save_label(services, board, run.run_id, "x" * 81, "")
        assert "80 characters" in said
        assert panels[0]["visible"]

    def test_its_settings_come_into_the_form(self, services, tmp_path):
        run = write_ended(tmp_path, seed=11, learning_rate=3e-4, warmup_ratio=0.25)
        _, _, *values = manage_run.on_duplicate(services, run.run_id)
        assert build_config(read_form(values)) == run.config.hyperparameters

    @pytest.mark.parametrize("num", [0, 21, 2.5, None, "x", True, float("nan")])
    def test_a_number_of_seeds_that_cannot_be(self, services, board, tmp_path, num):
        run = write_ended(tmp_path)
        assert "from 1 to 20" in manage_run.on_queue_seeds(services, board, run.run_id, num)[0]
        assert services.launcher.calls == []

    def test_seeds(self, services, board, tmp_path):
        run = write_ended(tmp_path)
        assert "3 runs wait in the queue" in manage_run.on_queue_seeds(services, board, run.run_id, 3.0)[0]
        assert services.launcher.calls == [("repeat", run.run_id, 3)]

    def test_delete_and_what_the_page_shows_then(self, services, board, tmp_path):
        other, run = write_ended(tmp_path, seed=1), write_ended(tmp_path, seed=2)
        handlers.on_open(board, run.run_id)
        assert "Moved to the trash" in manage_run.on_delete(services, board, run.run_id)[0]
        assert other.run_id in handlers.on_refresh(board, run.run_id)

    def test_a_run_under_way_stays(self, services, board, tmp_path):
        run = write_running(tmp_path)
        assert "stop it before deleting" in manage_run.on_delete(services, board, run.run_id)[0]

    def test_the_record(self, services, tmp_path):
        run = write_ended(tmp_path)
        assert manage_run.on_record(services, tmp_path / "cache", run.run_id).endswith(f"{run.run_id}.zip")

    @pytest.mark.parametrize("run_id", BAD_IDS)
    def test_runs_that_are_not_there(self, services, board, tmp_path, run_id):
        for act in (
            lambda: manage_run.on_open_label(services, run_id),
            lambda: manage_run.on_duplicate(services, run_id),
            lambda: manage_run.on_record(services, tmp_path, run_id),
        ):
            with pytest.raises(gr.Error, match="There is no run"):
                act()
        assert "There is no run" in manage_run.on_delete(services, board, run_id)[0]
        assert "There is no run" in probes_view.on_pin(services, run_id, "a", "b")[0]
        assert "There is no run" in probes_view.on_unpin(services, run_id, "p")


class TestProbes:
    def test_pin_and_let_go(self, services, tmp_path):
        run = write_running(tmp_path)
        assert probes_view.on_pin(services, run.run_id, " a ", "b") == ["", "", ""]
        (probe,) = services.catalog.read_probes(run.run_id)
        assert probe.sentence1 == "a"
        probes_view.on_unpin(services, run.run_id, probe.pair_id)
        assert services.catalog.read_probes(run.run_id) == []

    @pytest.mark.parametrize("pair", [("a", " "), (None, "b"), (3, "b"), ("a" * 2001, "b")])
    def test_what_cannot_be_pinned(self, services, tmp_path, pair):
        run = write_running(tmp_path)
        assert 'role="alert"' in probes_view.on_pin(services, run.run_id, *pair)[0]

    def test_at_most_five(self, services, tmp_path):
        run = write_running(tmp_path)
        said = [probes_view.on_pin(services, run.run_id, "a", str(number))[0] for number in range(6)]
        assert said[:5] == [""] * 5
        assert "At most 5 pairs" in said[5]


class TestDisk:
    def test_shown_first_then_moved_then_emptied(self, services, board, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name=EVIL))
        held, plan, planned, apply, *_ = disk_view.on_plan_retention(services, board, 0)
        assert "1 run hold" in held
        assert "<img" not in plan
        assert planned == run.run_id
        assert apply["visible"]
        assert services.store.list() != []
        *_, empty, _, said = disk_view.on_apply_retention(services, board, 0, planned)
        assert "1 run, " in said
        assert empty["visible"]
        assert services.store.list() == []
        assert "were freed" in disk_view.on_empty_trash(services)[-1]
        assert services.store.trash_bytes() == 0

    def test_nothing_goes_that_was_not_shown(self, services, board, tmp_path):
        write_ended(tmp_path)
        disk_view.on_apply_retention(services, board, 0, "another")
        assert len(services.store.list()) == 1

    @pytest.mark.parametrize("limit", [None, -1, "x", float("nan"), float("inf"), True])
    def test_limits_that_cannot_be(self, services, board, tmp_path, limit):
        write_ended(tmp_path)
        for updates in (
            disk_view.on_plan_retention(services, board, limit),
            disk_view.on_apply_retention(services, board, limit, "x"),
        ):
            assert "must be a number" in updates[-1]
        assert len(services.store.list()) == 1
