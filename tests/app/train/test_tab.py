"""The handlers of the Train tab with a fake launcher, and what a page is sent."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import gradio as gr
import psutil
import pytest

from mrpc.app.train import endpoints, handlers
from mrpc.app.train.board import RunBoard
from mrpc.app.train.catalog import Catalog
from mrpc.app.train.form import (
    FIELDS,
    LABELS,
    label_text,
    on_checkpoint,
    on_preset,
    preset_values,
    read_form,
    render_plan,
)
from mrpc.app.train.live import BESIDE_AGE_S, LOOK_AGE_S, MAX_QUESTIONS_PER_S, MAX_WAIT_S, Live
from mrpc.app.train.monitoring import Monitoring
from mrpc.app.train.view import View
from mrpc.config import PRESETS, TrainConfig, build_config
from mrpc.errors import BusyError, RunStateError
from mrpc.files import write_model
from mrpc.runs.events import CheckpointEvent
from mrpc.runs.layout import RunLabel, RunStatus
from mrpc.runs.store import RunStore
from tests.written_run import step_event, write_ended, write_events, write_running, write_status

NAMES = [field.name for field in fields(View)]
SKIP = gr.skip()
EVIL = "<img src=x onerror=alert(1)>"


class FakeLauncher:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[Any, ...]] = []
        self.queue = SimpleNamespace(read=list)

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    def start(self, values: dict[str, Any]) -> str:
        self._note("start", values)
        return self.run_id

    def stop(self, run_id: str, save: bool) -> None:
        self._note("stop", run_id, save)

    def kill(self, run_id: str) -> None:
        self._note("kill", run_id)

    def resume(self, run_id: str) -> str:
        self._note("resume", run_id)
        return run_id

    def evaluate_test(self, run_id: str) -> None:
        self._note("evaluate_test", run_id)


class FakeServices:
    def __init__(self, runs_dir, launcher: FakeLauncher | None = None) -> None:
        self.store = RunStore(runs_dir)
        self.monitoring = Monitoring(self.store)
        self.catalog = Catalog(self.store)
        self.launcher = launcher or FakeLauncher()


@pytest.fixture
def services(tmp_path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def board(services) -> RunBoard:
    return RunBoard(services)


@pytest.fixture
def live(services, board) -> Live:
    return Live(services, board)


def named(updates: list[Any]) -> dict[str, Any]:
    """Give updates the names of their widgets, without those that change nothing."""
    assert len(updates) == len(NAMES)
    return {name: update for name, update in zip(NAMES, updates, strict=True) if update != SKIP}


def form_values(**values: Any) -> list[Any]:
    shown = {"preset": "quick", "checkpoint": "all-MiniLM-L6-v2", **preset_values("quick"), **values}
    return [shown[name] for name in FIELDS]


class TestForm:
    def test_every_hyperparameter_has_a_widget_and_a_name(self):
        assert set(FIELDS) == set(TrainConfig.model_fields) == set(LABELS)

    @pytest.mark.parametrize("preset", PRESETS)
    def test_a_preset_filled_in_is_that_preset(self, preset):
        help_text, *filled = on_preset(preset)
        values = dict(zip(preset_values(preset), filled, strict=True))
        assert build_config({"preset": preset, **values}) == build_config({"preset": preset})
        assert help_text

    def test_another_checkpoint_brings_the_recipe_of_larger_encoders(self):
        shown = preset_values("recommended")
        updates = on_checkpoint("recommended", "google-bert/bert-base-uncased", *shown.values())
        changed = {name: u for name, u in zip(shown, updates, strict=True) if u != SKIP}
        assert (changed["learning_rate"], changed["num_epochs"]) == ("2e-5", 4)
        assert "train_batch_size" not in changed

        own = {**shown, "learning_rate": "3e-5"}
        updates = on_checkpoint("recommended", "google-bert/bert-base-uncased", *own.values())
        assert dict(zip(own, updates, strict=True))["learning_rate"] == SKIP, "a person's value stays"

        course = preset_values("course").values()
        assert all(u == SKIP for u in on_checkpoint("course", "google-bert/bert-base-uncased", *course))
        assert all(u == SKIP for u in on_checkpoint("course", None, *course))

    def test_rates_read_as_people_write_them(self):
        assert preset_values("course")["learning_rate"] == "5e-5"
        assert preset_values("recommended")["warmup_ratio"] == "0.1"

    def test_an_unknown_preset_changes_nothing(self):
        assert all(update == SKIP for update in on_preset("<b>"))

    def test_emptied_fields_fall_back_to_the_preset(self):
        values = read_form(form_values(num_epochs=None, learning_rate=""))
        assert "num_epochs" not in values
        assert "learning_rate" not in values
        assert build_config(values) == build_config({"preset": "quick"})

    def test_units_stand_with_the_label(self):
        assert label_text("max_length") == "Longest pair (tokens)"
        assert label_text("num_epochs") == "Epochs"

    @pytest.mark.parametrize(
        ("values", "steps"),
        [
            ({"preset": "course"}, 1_377),  # as in the course
            ({"preset": "course", "gradient_accumulation_steps": 4}, 345),
            ({"preset": "course", "max_steps": 100}, 100),
            ({"preset": "course", "num_train_pairs": 320, "num_epochs": 1}, 40),
            ({"preset": "course", "num_train_pairs": 9_999}, 1_377),
        ],
    )
    def test_the_plan_counts_steps(self, values, steps):
        assert build_config(values).num_steps(3_668) == steps

    def test_the_plan_in_words(self):
        words = render_plan(
            form_values(num_train_pairs=640, num_epochs=1, gradient_accumulation_steps=2), 3_668
        )
        assert "<b>20</b> optimizer steps: 640 pairs in batches of 16 × 2, 1 epoch." in words

    @pytest.mark.parametrize("value", ["abc", "nan", "-1", "1e400", "<script>"])
    def test_the_plan_names_what_cannot_be_used(self, value):
        words = render_plan(form_values(learning_rate=value), 3_668)
        assert "learning_rate is" in words
        assert "more than 0 and at most 0.01" in words
        assert "<script>" not in words


class TestOpen:
    def test_without_runs(self, board):
        shown = named(handlers.on_open(board, "20260101-000000-gone-0000"))
        assert shown["courier"]["run_id"] == shown["run_id"] == ""
        assert shown["details"]["visible"] is False

    def test_the_run_under_way_comes_first(self, board, tmp_path):
        ended, running = write_ended(tmp_path), write_running(tmp_path)
        shown = named(handlers.on_open(board, ended.run_id))
        assert shown["run_id"] == running.run_id
        assert shown["courier"]["run_id"] == running.run_id
        assert shown["stop"]["visible"] is True
        assert shown["pack"]["visible"] is False

    def test_then_the_one_that_was_looked_at(self, board, tmp_path):
        first, _ = write_ended(tmp_path, seed=1), write_ended(tmp_path, seed=2)
        shown = named(handlers.on_open(board, first.run_id))
        assert shown["run_id"] == first.run_id
        assert shown["stop"]["visible"] is False
        assert shown["pack"]["visible"] is True

    def test_who_comes_back_sees_what_was_there(self, board, tmp_path):
        write_ended(tmp_path)
        assert handlers.on_open(board, False) == [SKIP] * len(NAMES)

    @pytest.mark.parametrize("stored", ["", None, 7, ["x"], {"a": 1}, "../..", "<script>"])
    def test_then_the_newest(self, board, tmp_path, stored):
        run = write_ended(tmp_path)
        assert named(handlers.on_open(board, stored))["run_id"] == run.run_id

    @pytest.mark.parametrize("outcome", ["stopped", "failed", "interrupted"])
    def test_what_was_cut_can_be_resumed(self, board, tmp_path, outcome):
        run = write_ended(tmp_path, outcome)
        assert named(handlers.on_open(board, run.run_id))["resume"]["visible"] is True


class Page:
    """Asks as a page does, and keeps what it was told."""

    def __init__(self, live: Live, name: str = "page", run_id: Any = "", chosen: Any = "") -> None:
        self.live, self.name, self.run_id, self.chosen = live, name, run_id, chosen
        self.has: dict[str, str] = {}
        self.answer: dict[str, Any] = {}

    def ask(self) -> dict[str, Any]:
        """Return the content of the parts that are new."""
        asked = {"page": self.name, "run_id": self.run_id, "chosen": self.chosen, "has": self.has}
        self.live._looks.clear()  # as if some time had passed
        self.answer = json.loads(self.live.answer(asked).body)
        self.has |= {name: mark for name, (mark, _) in self.answer["parts"].items()}
        return {name: content for name, (_, content) in self.answer["parts"].items()}


class TestLive:
    def test_all_is_sent_once(self, live, tmp_path):
        run = write_ended(tmp_path)
        page = Page(live, run_id=run.run_id)
        parts = page.ask()
        assert "finished" in parts["run-status"]
        assert "text_pair" in parts["run-usage"]
        assert run.run_id in parts["runs"]
        assert page.answer["run_id"] == run.run_id
        assert page.ask() == {}

    def test_new_steps_send_figures_but_not_the_log(self, live, tmp_path):
        run = write_running(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        buttons = page.answer["buttons"]
        write_events(run, [step_event(31, 90)])
        parts = page.ask()
        assert parts.keys() == {"run-status", "run-plots"}
        assert parts["run-plots"]["loss"]["data"][0]["x"][-1] == 31
        assert page.answer["buttons"] == buttons

    def test_the_end_asks_for_other_buttons(self, board, live, tmp_path):
        run = write_running(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        buttons, wait_s = page.answer["buttons"], page.answer["wait_s"]
        write_status(run, 90, 90, outcome="finished")
        page.ask()
        assert page.answer["buttons"] != buttons
        assert page.answer["wait_s"] > wait_s, "nothing more is to come"
        shown = named(handlers.on_refresh(board, run.run_id))
        assert shown["courier"] == {
            "run_id": run.run_id,
            "buttons": page.answer["buttons"],
            "asked": run.run_id,
        }
        assert shown["stop"]["visible"] is False
        assert shown["stop_question"]["visible"] is False
        assert not {"run_id", "message"} & shown.keys()

    def test_a_question_stays_while_it_can_be_answered(self, board, tmp_path):
        run = write_running(tmp_path)
        assert (
            not {"stop_question", "discard_question"} & named(handlers.on_refresh(board, run.run_id)).keys()
        )
        assert named(handlers.on_select(board, run.run_id))["stop_question"]["visible"] is False
        run.request_stop(save=True)
        assert named(handlers.on_refresh(board, run.run_id))["stop_question"]["visible"] is False

    def test_a_page_without_a_run_takes_up_one_that_started_elsewhere(self, board, live, tmp_path):
        page = Page(live)
        assert "No run yet" in page.ask()["run-status"]
        assert page.ask() == {}
        run = write_running(tmp_path)
        board.forget_summaries()
        page.ask()
        assert page.answer["run_id"] == run.run_id
        assert named(handlers.on_refresh(board, ""))["run_id"] == run.run_id

    def test_a_run_that_is_gone_gives_way_to_the_newest(self, board, live, tmp_path):
        page = Page(live, run_id="20260101-000000-gone-0000")
        page.ask()
        assert page.answer["run_id"] == ""
        run = write_ended(tmp_path)
        board.forget_summaries()
        page.ask()
        assert page.answer["run_id"] == run.run_id
        shown = named(handlers.on_refresh(board, page.run_id))
        assert shown["run_id"] == run.run_id
        assert shown["courier"]["asked"] == page.run_id

    def test_many_pages_cost_one_rendering(self, board, live, tmp_path, monkeypatch):
        run = write_running(tmp_path)
        renderings = []
        render = board._render
        monkeypatch.setattr(board, "_render", lambda view: renderings.append(1) or render(view))
        for number in range(50):
            Page(live, f"page {number}", run.run_id).ask()
        assert len(renderings) == 1

    def test_many_pages_share_what_may_be_asked(self, live, tmp_path):
        run = write_running(tmp_path)
        pages = [Page(live, f"page {number}", run.run_id) for number in range(50)]
        for page in pages:
            page.ask()
        assert pages[0].answer["wait_s"] == 1.0
        assert pages[-1].answer["wait_s"] == min(MAX_WAIT_S, max(1.0, 50 / MAX_QUESTIONS_PER_S))

    def test_ten_thousand_questions_of_many_pages_leave_memory_and_handles_flat(self, live, tmp_path):
        runs = [write_ended(tmp_path, num_steps=20, seed=seed) for seed in range(50)]

        def ask(times: int) -> None:
            for number in range(times):
                run_id = runs[number % 50].run_id
                chosen = f"{run_id},{runs[number % 7].run_id}" if number % 20 == 0 else ""
                live.answer({"page": f"page {number}", "run_id": run_id, "chosen": chosen, "has": {}})

        ask(1_000)
        process = psutil.Process()
        memory, handles = process.memory_info().rss, process.num_fds()
        ask(10_000)
        assert process.num_fds() == handles
        assert process.memory_info().rss - memory < 20_000_000

    def test_what_was_looked_up_is_fresh_again_soon(self):
        assert LOOK_AGE_S < BESIDE_AGE_S <= 1.0

    @pytest.mark.parametrize(
        "value", [None, 3, "a,b", [None], {"run-status": []}, "../..," + EVIL, ",".join("x" * 50)]
    )
    def test_whatever_a_browser_sends(self, live, tmp_path, value):
        write_ended(tmp_path)
        for asked in (
            value,
            {"page": value, "run_id": value, "chosen": value, "has": value},
            {"run_id": "", "has": {"run-status": value}},
        ):
            assert b"<img" not in live.answer(asked).body

    def test_an_overlay_is_small(self, live, tmp_path):
        runs = [write_ended(tmp_path, num_steps=2_000, seed=seed) for seed in range(8)]
        chosen = ",".join(run.run_id for run in runs)
        parts = Page(live, run_id=runs[0].run_id, chosen=chosen).ask()
        assert len(parts["overlay-plots"]["loss"]["data"]) == 8
        assert len(json.dumps(parts["overlay-plots"])) < 30_000
        assert parts["overlay-table"].count("<tr>") == 9

    def test_what_is_pinned_is_sent_alone(self, services, live, tmp_path):
        run = write_ended(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        services.catalog.pin_probes(run.run_id, [("a", "b")])
        live.forget()
        parts = page.ask()
        assert parts.keys() == {"probes-list", "probes-plot"}
        assert "seed 42" in parts["probes-plot"]["caption"]

    def test_foreign_things_are_named_with_the_reason(self, live, tmp_path):
        (tmp_path / EVIL.replace("/", "")).mkdir()
        (tmp_path / "link").symlink_to("/etc")
        shown = Page(live).ask()["foreign"]
        assert "a link, not followed" in shown
        assert "has no config.json" in shown
        assert "<img" not in shown

    def test_repeats_are_shown_for_the_run_that_is_looked_at(self, board, live, tmp_path):
        source = write_ended(tmp_path, seed=1)
        assert Page(live, run_id=source.run_id).ask()["seeds-table"] == ""
        repeat = write_ended(tmp_path, seed=2)
        write_model(repeat.paths.config, repeat.config.model_copy(update={"group": source.run_id}))
        board.forget_summaries()
        live.forget()
        for run in (source, repeat):
            parts = Page(live, run_id=run.run_id).ask()
            assert "Mean and standard deviation of 2 of 2 runs" in parts["seeds-table"]
            assert parts["seeds-plot"]["seeds"]["data"]


class TestStart:
    def start(self, services, board, **values) -> list[list[Any]]:
        return list(handlers.on_start(services, board, *form_values(**values)))

    def test_shows_the_run(self, services, board, tmp_path):
        run = write_running(tmp_path)
        services.launcher.run_id = run.run_id
        first, last = self.start(services, board, seed=5)
        assert first[0]["interactive"] is False
        assert last[0]["interactive"] is True
        assert named(last[2:])["run_id"] == run.run_id
        (_, values), *others = services.launcher.calls
        assert values["seed"] == 5
        assert not others

    def test_says_who_is_busy_and_keeps_the_page(self, tmp_path):
        services = FakeServices(tmp_path, FakeLauncher(BusyError("Run <b>x</b> is under way.", "x")))
        _, last = self.start(services, RunBoard(services))
        assert "Run &lt;b&gt;x&lt;/b&gt; is under way." in last[1]
        assert last[0]["interactive"] is True
        assert named(last[2:]) == {}


class TestEnd:
    @pytest.mark.parametrize("save", [True, False])
    def test_stop(self, services, board, tmp_path, save):
        run = write_running(tmp_path)
        handlers.on_stop(services, board, save, run.run_id)
        assert services.launcher.calls == [("stop", run.run_id, save)]

    def test_end_now_is_offered_while_it_saves(self, services, board, tmp_path):
        run = write_running(tmp_path, step=30)
        write_events(run, [CheckpointEvent(step=20, num_bytes=1, duration_s=1)])
        run.request_stop(save=True)
        shown = named(handlers.on_open(board, run.run_id))
        assert shown["end_now"]["visible"] is True
        assert shown["end_now"]["value"] == "End now, lose 10 steps"
        assert shown["stop"]["visible"] is False
        handlers.on_end_now(services, board, run.run_id)
        assert services.launcher.calls == [("kill", run.run_id)]

    def test_what_cannot_go_on_is_not_offered_to(self, board, tmp_path):
        run = write_ended(tmp_path, "stopped", loop="trainer")
        assert named(handlers.on_open(board, run.run_id))["resume"]["visible"] is False

    @pytest.mark.parametrize(
        "act", [handlers.on_end_now, handlers.on_resume, lambda s, b, r: handlers.on_stop(s, b, True, r)]
    )
    def test_refusals_are_shown(self, tmp_path, act):
        services = FakeServices(tmp_path, FakeLauncher(RunStateError("It is <i>over</i>.")))
        run = write_ended(tmp_path)
        shown = named(act(services, RunBoard(services), run.run_id))
        assert "It is &lt;i&gt;over&lt;/i&gt;." in shown["message"]

    def test_predict_test(self, services):
        assert "in the background" in handlers.on_evaluate_test(services, "run")
        services.launcher.error = RunStateError("No weights.")
        assert "No weights." in handlers.on_evaluate_test(services, "run")

    def test_pack(self, services, tmp_path):
        run = write_ended(tmp_path)
        (run.paths.best_model / "link").symlink_to("/etc/hostname")
        path = handlers.on_pack(services, tmp_path / "cache", run.run_id)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert archive.read(f"{run.run_id}-best/model.safetensors") == b"weights"
        assert names == [f"{run.run_id}-best/config.json", f"{run.run_id}-best/model.safetensors"]

    @pytest.mark.parametrize("run_id", ["../../etc", "", None, 3])
    def test_pack_checks_the_run(self, services, tmp_path, run_id):
        with pytest.raises(gr.Error, match="There is no run"):
            handlers.on_pack(services, tmp_path, run_id)


class TestEndpoints:
    @pytest.mark.parametrize("config", [None, [], "x", 3])
    def test_config_must_be_an_object(self, services, config):
        with pytest.raises(gr.Error, match="must be an object"):
            endpoints.on_start_run(services, config)

    @pytest.mark.parametrize("save", [None, 1, "yes"])
    def test_save_must_be_true_or_false(self, services, save):
        with pytest.raises(gr.Error, match="must be true or false"):
            endpoints.on_stop_run(services, "run", save)

    @pytest.mark.parametrize("run_id", ["nope", None, 5, "<b>"])
    def test_an_unknown_run_is_named(self, services, run_id):
        with pytest.raises(gr.Error, match="There is no run") as caught:
            endpoints.on_run_status(services, run_id)
        assert "<b>" not in caught.value.message

    def test_runs_are_plain_json(self, services, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name="first try"))
        (listed,) = endpoints.on_list_runs(services)["runs"]
        assert listed["run_id"] == run.run_id
        assert listed["state"] == "finished"
        assert listed["name"] == "first try"
        status = endpoints.on_run_status(services, run.run_id)
        assert status["state"] == "finished"
        assert status["step"] == 90
        assert len(status["losses"]) == 90
        assert [evaluation["epoch"] for evaluation in status["evaluations"]] == [0, 1, 2, 3]


def test_status_file_of_nobody_does_not_break_the_board(board, tmp_path):
    run = write_ended(tmp_path)
    run.paths.events.write_bytes(b'{"torn": \n\xff\xfe garbage\n')
    write_model(run.paths.status, RunStatus(outcome="finished"))
    assert "2 lines of this run&#x27;s record cannot be read." in board.parts(run.run_id).status
