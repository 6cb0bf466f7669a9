"""What a person does with runs: each act with what a browser may send along."""

from __future__ import annotations

from typing import Any

import pytest

from mrpc.app.train.acts import Act, act_on
from mrpc.errors import InputError, MrpcError, RunStateError
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from tests.app.train.services import FakeServices
from tests.written_run import write_ended, write_running

EVIL = "<img src=x onerror=alert(1)>"
BAD_IDS = ["", None, 3, "../..", EVIL, ["x"], {"a": 1}]


def act(services: FakeServices, what: str, run_id: Any = "", **fields: Any) -> str:
    return act_on(services, Act(what, run_id, fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", EVIL, "start", "stop"])
def test_what_is_no_act_is_refused(services: FakeServices, name: str) -> None:
    with pytest.raises(InputError, match="not something that can be done"):
        act(services, name)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("keep", ("stop", "run", True)),
        ("discard", ("stop", "run", False)),
        ("end-now", ("kill", "run")),
        ("resume", ("resume", "run")),
        ("predict-test", ("evaluate_test", "run")),
    ],
)
def test_a_training_is_ended_and_resumed(services: FakeServices, name: str, call: tuple[Any, ...]) -> None:
    act(services, name, "run")
    assert services.launcher.calls == [call]
    services.launcher.error = RunStateError("It is <i>over</i>.")
    with pytest.raises(RunStateError, match="<i>over"):
        act(services, name, "run")


class TestQueue:
    def queued(self, services: FakeServices, num: int) -> list[str]:
        return [services.launcher.add_to_queue({"seed": seed}) for seed in range(num)]

    def test_moves_and_removes(self, services):
        first, second, third = self.queued(services, 3)
        assert act(services, "up", third) == ""
        assert services.launcher.queue.read() == [first, third, second]
        act(services, "down", first)
        assert services.launcher.queue.read() == [third, first, second]
        act(services, "leave-queue", first)
        assert services.launcher.queue.read() == [third, second]

    @pytest.mark.parametrize("name", ["up", "down", "leave-queue"])
    def test_what_does_not_wait_cannot_be_moved(self, services, name):
        with pytest.raises(MrpcError, match="does not wait"):
            act(services, name, EVIL)


class TestManage:
    def test_name_and_note(self, services, tmp_path):
        run = write_ended(tmp_path)
        assert act(services, "label", run.run_id, name="new", note="why") == "Saved."
        assert run.read_label() == RunLabel(name="new", note="why")
        with pytest.raises(InputError, match="80 characters"):
            act(services, "label", run.run_id, name="x" * 81, note="")

    @pytest.mark.parametrize("num", ["0", "21", "2.5", None, "x", True, "nan", ""])
    def test_a_number_of_seeds_that_cannot_be(self, services, tmp_path, num):
        run = write_ended(tmp_path)
        for name in ("repeat", "grid"):
            with pytest.raises(InputError, match="from 1 to 20"):
                act(services, name, run.run_id, num_seeds=num, setting1="seed", values1="1")
        assert services.launcher.calls == []

    def test_seeds(self, services, tmp_path):
        run = write_ended(tmp_path)
        assert act(services, "repeat", run.run_id, num_seeds="3") == "3 runs wait in the queue."
        calls = [(values["seed"], group) for _, values, group in services.launcher.calls]
        first = run.config.hyperparameters.seed
        assert calls == [(first + number, run.run_id) for number in (1, 2, 3)]

    def test_a_grid_queues_each_combination_with_its_seeds_as_a_group(self, services, tmp_path):
        run = write_ended(tmp_path, seed=5)
        said = act(
            services, "grid", run.run_id, num_seeds="2",
            setting1="learning_rate", values1="5e-5, 1e-4", setting2="num_epochs", values2="1,2,2",
        )  # fmt: skip
        assert said == "8 runs wait in the queue."
        calls = [(values["learning_rate"], values["num_epochs"], values["seed"], group)
                 for _, values, group in services.launcher.calls]  # fmt: skip
        assert [call[:3] for call in calls] == [
            (rate, epochs, seed) for rate in ("5e-5", "1e-4") for epochs in ("1", "2") for seed in (5, 6)
        ]
        groups = [call[3] for call in calls]
        assert groups[0::2] == [None] * 4
        assert len(set(groups[1::2])) == 4

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({}, "Choose a setting"),
            ({"setting1": EVIL, "values1": "1"}, "no setting"),
            ({"setting1": "num_epochs", "values1": " , "}, "separated by commas"),
            ({"setting1": "num_epochs", "values1": "1,99"}, "Epochs is '99'"),
            ({"setting1": "num_epochs", "values1": ",".join(map(str, range(1, 30)))}, "at most 20"),
        ],
    )
    def test_a_grid_that_cannot_be_queues_nothing(self, services, tmp_path, fields, words):
        run = write_ended(tmp_path)
        with pytest.raises(InputError, match=words):
            act(services, "grid", run.run_id, num_seeds="1", **fields)
        assert services.launcher.calls == []

    def test_delete(self, services, tmp_path):
        run = write_ended(tmp_path)
        assert "Moved to the trash" in act(services, "delete", run.run_id)
        assert services.store.list() == []

    def test_a_run_under_way_stays(self, services, tmp_path):
        run = write_running(tmp_path)
        with pytest.raises(RunStateError, match="stop it before deleting"):
            act(services, "delete", run.run_id)

    @pytest.mark.parametrize("run_id", BAD_IDS)
    @pytest.mark.parametrize("name", ["label", "grid", "delete", "pin", "unpin"])
    def test_runs_that_are_not_there(self, services, name, run_id):
        with pytest.raises(InputError, match="There is no run"):
            act(services, name, run_id, sentence1="a", sentence2="b")


class TestPinned:
    def test_pin_and_let_go(self, services, tmp_path):
        run = write_running(tmp_path)
        assert act(services, "pin", run.run_id, sentence1=" a ", sentence2="b") == ""
        (pair,) = run.read_pinned()
        assert pair.sentence1 == "a"
        act(services, "unpin", run.run_id, pair_id=pair.pair_id)
        assert run.read_pinned() == []

    @pytest.mark.parametrize("pair", [("a", " "), (None, "b"), (3, "b"), ("a" * 2001, "b")])
    def test_what_cannot_be_pinned(self, services, tmp_path, pair):
        run = write_running(tmp_path)
        with pytest.raises(InputError, match="must have 1 to 2,000"):
            act(services, "pin", run.run_id, sentence1=pair[0], sentence2=pair[1])

    def test_the_record_of_a_finished_run_stays(self, services, tmp_path):
        run = write_ended(tmp_path)
        for name in ("pin", "unpin"):
            with pytest.raises(RunStateError, match="its record stays as it is"):
                act(services, name, run.run_id, sentence1="a", sentence2="b", pair_id="x")

    def test_at_most_five(self, services, tmp_path):
        run = write_running(tmp_path)
        for number in range(5):
            act(services, "pin", run.run_id, sentence1="a", sentence2=str(number))
        with pytest.raises(InputError, match="At most 5 pairs"):
            act(services, "pin", run.run_id, sentence1="a", sentence2="5")


class TestDisk:
    def test_only_what_was_shown_goes_then_the_trash_is_emptied(self, services, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name=EVIL))
        assert "0 runs" in act(services, "retain", limit_gb="0", run_ids="another")
        assert len(services.store.list()) == 1
        assert "1 run, " in act(services, "retain", limit_gb="0", run_ids=f"another,{run.run_id}")
        assert services.store.list() == []
        assert "were freed" in act(services, "empty-trash")
        assert services.store.trash_bytes() == 0

    @pytest.mark.parametrize("limit", [None, "-1", "x", "nan", "inf", True, 5])
    def test_limits_that_cannot_be(self, services, tmp_path, limit):
        run = write_ended(tmp_path)
        with pytest.raises(InputError, match="must be a number"):
            act(services, "retain", limit_gb=limit, run_ids=run.run_id)
        assert len(services.store.list()) == 1
