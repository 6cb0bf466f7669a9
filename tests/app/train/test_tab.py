"""The handlers of the tab as Gradio calls them: Start, the queue, the acts, downloads, endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from anyio.from_thread import start_blocking_portal

from mrpc.app.own_data import OwnData
from mrpc.app.spine import Spine, build_spine
from mrpc.app.train.live import Live, RunBoard
from mrpc.app.train.live_view import build_courier
from mrpc.app.train.start import fill_form
from mrpc.app.train.start_view import build_start_form
from mrpc.app.train.tab import add_endpoints
from mrpc.config import build_config
from mrpc.core.data.load import load_data
from mrpc.errors import BusyError, InputError, MrpcError, RunStateError
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from tests.app.endpoints import endpoints_of
from tests.app.train.services import FakeServices
from tests.html import parse
from tests.written_run import write_ended, write_running

EVIL = "<img src=x onerror=alert(1)>"


class Tab:
    """The form and the courier in Blocks of their own."""

    def __init__(self, services: FakeServices) -> None:
        self.services: Any = services
        with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
            portal.call(self._build)
        self.by_id = {block.elem_id: block for block in self.blocks.blocks.values() if block.elem_id}

    async def _build(self) -> None:  # Gradio makes an event loop where none runs, and never closes it
        with gr.Blocks() as self.blocks:
            self.spine: Spine = build_spine(self.services)
            self.form = build_start_form(self.services, self.spine)
            live = Live(self.services, RunBoard(self.services))
            build_courier(self.services, live, self.spine, self.form)

    def call(self, elem_id: str, event: str, data: Any = None, **values: Any) -> list[dict[str, Any]]:
        """Run the handler of an event, and return what it changes, by the id of the element."""
        block = self.by_id[elem_id]
        (handler,) = [
            fn for fn in self.blocks.fns.values() if fn.fn is not None and (block._id, event) in fn.targets
        ]
        given = [values.get(one.elem_id, getattr(one, "value", None)) for one in handler.inputs]
        answer = handler.fn(gr.EventData(None, data), *given)
        steps = [answer] if isinstance(answer, dict) else list(answer)
        return [{output.elem_id: value for output, value in step.items()} for step in steps]

    def act(self, name: str, run_id: str = "", **fields: Any) -> str:
        """Press a button of a run; return what is said."""
        (step,) = self.call("train-courier", "act", {"act": name, "run_id": run_id, "fields": fields})
        return step["train-courier"]


@pytest.fixture
def tab(services: FakeServices) -> Tab:
    return Tab(services)


class TestStart:
    def test_starts_shows_the_run_and_follows_the_current_pair(self, tab, services):
        first, last = tab.call("train-start", "click", sentence1=" One. ", sentence2="Two.")
        assert first["train-start"]["interactive"] is False
        assert last["train-start"]["interactive"] is True
        (run,) = services.store.list()
        assert last["run"]["value"] == run.run_id
        (pair,) = run.read_pinned()
        assert (pair.sentence1, pair.sentence2) == ("One.", "Two.")
        ((_, values),) = services.launcher.calls
        assert values["preset"] == "recommended"
        assert not {"follow", "sentence1"} & values.keys()

    def test_a_person_may_not_want_that(self, tab, services):
        tab.call("train-start", "click", **{"train-follow": False})
        (run,) = services.store.list()
        assert run.read_pinned() == []

    def test_a_pair_that_cannot_be_followed_does_not_stop_the_start(self, tab, services):
        _, last = tab.call("train-start", "click", sentence1=" ", sentence2="Two.")
        assert "The current pair is not followed" in last["train-message"]
        assert services.store.list()

    def test_says_who_is_busy_and_keeps_the_page(self, tab, services):
        services.launcher.error = BusyError("Run <b>x</b> is under way.", "x")
        _, last = tab.call("train-start", "click")
        assert parse(last["train-message"]).one(role="alert").text == "Run <b>x</b> is under way."
        assert last["train-start"]["interactive"] is True
        assert "run" not in last

    def test_adds_what_the_form_holds_to_the_queue(self, tab, services):
        for words in ("as soon as nothing trains", "number 2 of those that wait"):
            (step,) = tab.call("train-queue", "click", **{"train-seed": 3})
            assert words in step["train-message"]
        assert len(services.launcher.queue.read()) == 2
        (step,) = tab.call("train-queue", "click", **{"train-seed": EVIL})
        assert "seed is" in parse(step["train-message"]).one(role="alert").text

    def test_only_the_owner_may(self, tab):
        for elem_id, event in (("train-start", "click"), ("train-queue", "click"), ("train-courier", "act")):
            block = tab.by_id[elem_id]
            for fn in tab.blocks.fns.values():
                if fn.fn is not None and (block._id, event) in fn.targets:
                    assert not getattr(fn.fn, "for_visitors", False), elem_id


class TestPresets:
    def test_a_preset_fills_the_form(self, tab):
        (step,) = tab.call("train-preset", "input", **{"train-preset": "course"})
        assert step["train-learning-rate"] == "5e-5"
        assert step["train-num-epochs"] == 3

    @pytest.mark.parametrize("preset", ["<b>", None, 3])
    def test_an_unknown_preset_changes_nothing(self, tab, preset):
        (step,) = tab.call("train-preset", "input", **{"train-preset": preset})
        assert list(step.values()) == [gr.skip()] * len(step)

    def test_another_checkpoint_changes_what_nobody_changed(self, tab):
        values = {"train-checkpoint": "google-bert/bert-base-uncased", "train-num-epochs": 7}
        (step,) = tab.call("train-checkpoint", "input", **values)
        assert step["train-learning-rate"] == "2e-5"
        assert "train-num-epochs" not in step


class TestCourier:
    def test_an_act_says_what_it_did_and_a_refusal_why(self, tab, services, tmp_path):
        run = write_running(tmp_path)
        assert tab.act("keep", run.run_id) == ""
        services.launcher.error = RunStateError("It is <i>over</i>.")
        assert parse(tab.act("resume", run.run_id)).one(role="alert").text == "It is <i>over</i>."
        services.launcher.error = None
        assert "in the background" in tab.act("predict-test", run.run_id)

    @pytest.mark.parametrize("data", [None, "x", {}, {"act": ["x"], "run_id": {}, "fields": "no"}])
    def test_whatever_a_browser_sends(self, tab, data):
        (step,) = tab.call("train-courier", "act", data)
        assert "not something that can be done" in step["train-courier"]

    def test_the_list_of_runs_follows_and_a_picked_run_is_shown(self, tab, tmp_path):
        first, second = write_ended(tmp_path, seed=1), write_ended(tmp_path, seed=2)
        (step,) = tab.call("train-courier", "runs", {}, run=first.run_id)
        assert [run_id for _, run_id in step["run"]["choices"]] == [second.run_id, first.run_id]
        assert "value" not in step["run"], "a run chosen meanwhile stays"
        (step,) = tab.call("train-courier", "runs", {"run_id": second.run_id}, run=first.run_id)
        assert step["run"]["value"] == second.run_id
        (step,) = tab.call("train-courier", "runs", {}, run="gone")
        assert step["run"]["value"] == second.run_id

    def test_the_settings_of_a_run_come_into_the_form(self, tab, tmp_path):
        run = write_ended(tmp_path, seed=11, learning_rate=3e-4, warmup_ratio=0.25)
        (step,) = tab.call("train-courier", "fill", {}, run=run.run_id)
        assert step["train-learning-rate"] == fill_form(run.config.hyperparameters)["learning_rate"]
        assert step["train-seed"] == 11

    def test_the_record_is_packed(self, tab, tmp_path):
        run = write_ended(tmp_path)
        (step,) = tab.call("train-courier", "take", {"what": "record"}, run=run.run_id)
        assert step["train-download"].endswith(f"{run.run_id}.zip")

    def test_what_was_not_exported_cannot_be_taken(self, tab, tmp_path):
        run = write_ended(tmp_path)
        (step,) = tab.call("train-courier", "take", {"what": "onnx"}, run=run.run_id)
        assert "was not exported to ONNX yet" in step["train-courier"]

    @pytest.mark.parametrize("what", [None, "weights", "../x", 3, ["model"]])
    def test_nothing_else_can_be_taken(self, tab, tmp_path, what):
        run = write_ended(tmp_path)
        (step,) = tab.call("train-courier", "take", {"what": what}, run=run.run_id)
        assert "cannot be downloaded" in step["train-courier"]

    @pytest.mark.parametrize("run_id", ["../../etc", "", None, 3])
    def test_a_run_that_is_not_there(self, tab, run_id):
        for event, data in (("take", {"what": "model"}), ("fill", {})):
            (step,) = tab.call("train-courier", event, data, run=run_id)
            assert "There is no run" in step["train-courier"]


class TestOwnData:
    """A file that is uploaded, until a run is queued on it."""

    @pytest.fixture(autouse=True)
    def _app_data(self, services: FakeServices, tiny_data_dir: Path) -> None:
        services.own_data = OwnData(services.store, lambda: load_data("folder", tiny_data_dir))

    def bring(self, tab: Tab, path: Path, columns: str = "") -> tuple[str, Any]:
        first, last = tab.call("data-file", "upload", **{"data-file": [str(path)], "data-columns": columns})
        assert "Reading" in first["data-message"]
        return last["data-message"], last.get("data-choice")

    def test_it_is_read_shown_and_trained_on(self, tab, services, tmp_path):
        lines = [f"Où est {at}?;Where is {at}?;{at % 2}" for at in range(40)]
        text = "\r\n".join(["question1;question2;is_duplicate", *lines])
        (tmp_path / "q.csv").write_bytes(text.encode("cp1252"))
        said, chosen = self.bring(tab, tmp_path / "q.csv")
        assert said == ""
        assert ("q.csv (40 pairs)", chosen["value"]) in chosen["choices"]
        (drawn,) = tab.call("train-data-report", "draw", {"asked": 1}, **{"data-choice": chosen["value"]})
        assert "delimiter: semicolon" in drawn["train-data-report"]
        tab.call("train-queue", "click", **{"data-choice": chosen["value"], "train-follow": False})
        (ref,) = services.launcher.trained_on
        assert ref.name == "q.csv"
        assert ref.data_dir == services.store.data_dir / chosen["value"]
        tab.call("train-queue", "click", **{"data-choice": "", "train-follow": False})
        assert services.launcher.trained_on[-1] is None, "the data of the app"

    def test_a_refusal_leaves_the_choice_alone(self, tab, tmp_path):
        (tmp_path / "q.csv").write_text("a,b\n1,2\n")
        said, chosen = self.bring(tab, tmp_path / "q.csv")
        assert "Found the columns &#39;a&#39;, &#39;b&#39;" in said
        assert chosen is None

    @pytest.mark.parametrize("name", ["0" * 16, "../x", [], {"a": 1}, 7])
    def test_a_choice_that_is_none_starts_nothing(self, tab, services, name):
        for elem_id in ("train-start", "train-queue"):
            answer = tab.call(elem_id, "click", **{"data-choice": name})[-1]
            said = answer["train-message"]
            assert "There is no data set" in said or name == []
        assert [call for call in services.launcher.calls if name] == []

    def test_the_settings_of_a_run_bring_its_data_along(self, tab, services, tmp_path):
        (tmp_path / "q.csv").write_text("sentence1,sentence2,label\na,b,1\nc,d,0\ne,f,1\n")
        _, chosen = self.bring(tab, tmp_path / "q.csv")
        run = services.store.create(build_config({}), services.own_data.ref(chosen["value"]))
        (filled,) = tab.call("train-courier", "fill", run=run.run_id)
        assert filled["data-choice"] == chosen["value"]


class TestEndpoints:
    @pytest.fixture
    def endpoints(self, services):
        return endpoints_of(add_endpoints, services)

    @pytest.mark.parametrize("config", [None, [], "x", 3])
    def test_config_must_be_an_object(self, endpoints, config):
        for name in ("start_run", "queue_run"):
            with pytest.raises(InputError, match="must be an object"):
                endpoints[name](config)

    def test_a_queued_run_is_given_back(self, endpoints, services):
        run_id = endpoints["queue_run"]({})["run_id"]
        assert services.launcher.queue.read() == [run_id]
        services.launcher.error = RunStateError("It is full.")
        with pytest.raises(RunStateError, match="full"):
            endpoints["queue_run"]({})

    @pytest.mark.parametrize("save", [None, 1, "yes"])
    def test_save_must_be_true_or_false(self, endpoints, save):
        with pytest.raises(InputError, match="must be true or false"):
            endpoints["stop_run"]("run", save)

    @pytest.mark.parametrize(
        ("run_id", "said"),
        [
            *(("nope", "There is no run"), ("<b>", "There is no run")),
            *((None, "must be text"), (5, "must be text")),
        ],
    )
    def test_an_unknown_run_is_named(self, endpoints, run_id, said):
        with pytest.raises(MrpcError, match=said):
            endpoints["run_status"](run_id)

    def test_runs_are_plain_json(self, endpoints, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name="first try"))
        (listed,) = endpoints["list_runs"]()["runs"]
        assert listed["run_id"] == run.run_id
        assert listed["state"] == "finished"
        assert listed["name"] == "first try"
        assert not {"title", "hyperparameters"} & listed.keys()
        status = endpoints["run_status"](run.run_id)
        assert status["state"] == "finished"
        assert status["step"] == 90
        assert len(status["losses"]) == 90
        assert [evaluation["epoch"] for evaluation in status["evaluations"]] == [0, 1, 2, 3]


def test_the_defaults_of_the_form_are_a_preset(tab: Tab) -> None:
    values = {name: widget.value for name, widget in tab.form.items() if name != "data"}
    assert build_config(values) == build_config({"preset": "recommended"})
