"""How many pairs it takes: which runs make the curve, what is queued, and what the curve claims."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.train.acts import Act, act_on
from mrpc.app.train.estimates import Estimates
from mrpc.app.train.repeats import ShownSizes, describe_curve, show_sizes, size_figure
from mrpc.app.train.runs import list_runs, manage_html
from mrpc.app.train.sizes import find_sizes, propose_sizes
from mrpc.errors import InputError
from mrpc.files import write_model
from mrpc.runs.run import Run
from tests.app.train.services import FakeServices
from tests.html import parse
from tests.written_run import create_run, write_ended, write_running, write_status

NUM_PAIRS = 160


class ServicesWithData(FakeServices):
    """Services whose data have as many training pairs as the bundled sample."""

    @property
    def data(self):
        return SimpleNamespace(
            fingerprint="0123456789abcdef", dataset={"train": SimpleNamespace(num_rows=NUM_PAIRS)}
        )

    @property
    def estimates(self) -> Estimates:
        return Estimates(self.store, CheckpointShelf(()))


@pytest.fixture
def services(tmp_path: Path) -> ServicesWithData:
    return ServicesWithData(tmp_path)


def finished(tmp_path: Path, num_pairs: int, seed: int, accuracy: float, **settings: object) -> Run:
    run = write_ended(tmp_path, num_train_pairs=num_pairs, seed=seed, **settings)
    best = {"best_epoch": 3, "best_accuracy": accuracy, "best_f1": accuracy + 0.05}
    write_status(run, 90, 90, train_s=61.0, outcome="finished", num_train_pairs=num_pairs, **best)
    return run


def sizes_of(services: FakeServices, run: Run):
    return find_sizes(list_runs(services.store), run.run_id, NUM_PAIRS)


def shown(services: FakeServices, run: Run) -> ShownSizes:
    return show_sizes(services, list_runs(services.store), run.run_id)


def act(services: FakeServices, name: str, run: Run, **fields: str) -> str:
    return act_on(services, Act(name, run.run_id, fields))


@pytest.mark.parametrize(
    ("num_pairs", "sizes"),
    [
        (3_668, [230, 460, 920, 1_800, 3_668]),
        (160, [10, 20, 40, 80, 160]),
        (20, [10, 20]),
        (40_000, [2_500, 5_000, 10_000, 20_000, 40_000]),
    ],
)
def test_sizes_double_up_to_all_pairs(num_pairs, sizes):
    assert propose_sizes(num_pairs) == sizes


class TestWhichRuns:
    def test_all_that_differ_in_pairs_and_seed_alone(self, services, tmp_path):
        own = finished(tmp_path, 80, 1, 0.75, learning_rate=3e-5)
        finished(tmp_path, 20, 1, 0.6, learning_rate=3e-5)
        finished(tmp_path, 20, 2, 0.7, learning_rate=3e-5, keep_epochs="all")
        finished(tmp_path, 40, 1, 0.99, learning_rate=5e-5)
        found = {size.num_pairs: [run.seed for run in size.runs] for size in sizes_of(services, own)}
        assert found == {10: [], 20: [1, 2], 40: [], 80: [1], 160: []}

    def test_all_pairs_are_one_size_however_they_were_asked_for(self, services, tmp_path):
        own = write_ended(tmp_path, num_train_pairs=0, seed=1)
        write_ended(tmp_path, num_train_pairs=5_000, seed=2)
        last = sizes_of(services, own)[-1]
        assert (last.num_pairs, last.is_all, [run.seed for run in last.runs]) == (160, True, [1, 2])

    def test_a_run_under_way_has_no_score_yet(self, services, tmp_path):
        own = finished(tmp_path, 80, 1, 0.75)
        running = write_running(tmp_path, num_train_pairs=40)
        write_status(running, 30, 90, best_epoch=1, best_accuracy=0.7, best_f1=0.8)
        size = sizes_of(services, own)[2]
        assert (size.num_pairs, size.num_open, size.said("accuracy")) == (40, 1, "–")

    def test_runs_on_other_data_stay_out_and_nothing_is_offered(self, services, tmp_path):
        own = finished(tmp_path, 80, 1, 0.75)
        other = finished(tmp_path, 20, 1, 0.6)
        changed = other.config.data.model_copy(update={"fingerprint": "fedcba9876543210"})
        write_model(other.paths.config, other.config.model_copy(update={"data": changed}))
        assert [size.num_pairs for size in sizes_of(services, own) if size.runs] == [80]
        shown_sizes = shown(services, other)
        assert not shown_sizes.offers
        assert "other data" in shown_sizes.no_offer


class TestQueue:
    def test_one_seed_of_each_size_the_smallest_first(self, services, tmp_path):
        own = finished(tmp_path, 80, 7, 0.75)
        assert act(services, "sizes", own, num_seeds="1") == "4 runs wait in the queue."
        queued = [(values["num_train_pairs"], values["seed"]) for _, values, _ in services.launcher.calls]
        assert queued == [(10, 7), (20, 7), (40, 7), (0, 7)]

    def test_three_seeds_come_seed_by_seed_and_nothing_twice(self, services, tmp_path):
        own = finished(tmp_path, 80, 7, 0.75)
        finished(tmp_path, 20, 8, 0.6)
        act(services, "sizes", own, num_seeds="3")
        queued = [(values["num_train_pairs"], values["seed"]) for _, values, _ in services.launcher.calls]
        assert queued == [
            *((10, 7), (20, 7), (40, 7), (0, 7)),
            *((10, 8), (40, 8), (80, 8), (0, 8)),
            *((10, 9), (20, 9), (40, 9), (80, 9), (0, 9)),
        ]

    def test_a_run_on_data_of_ones_own_gets_the_sizes_of_that_data(self, services, tmp_path):
        lines = [f"Is road {at} open?,Where is road {at}?,{at % 2}" for at in range(100)]
        file = tmp_path / "roads.csv"
        file.write_text("\n".join(["sentence1,sentence2,label", *lines]))
        name = services.own_data.keep([str(file)])
        data = services.own_data.ref(name)
        own = finished(tmp_path, 0, 7, 0.75)
        write_model(own.paths.config, own.config.model_copy(update={"data": data}))
        assert [offer.num_runs for offer in shown(services, own).offers] == [3, 11]
        assert act(services, "sizes", own, num_seeds="1") == "3 runs wait in the queue."
        act(services, "one-more", own, num_pairs="45")
        queued = [values["num_train_pairs"] for _, values, _ in services.launcher.calls]
        assert queued == [11, 22, 45, 45], "its train split has 90 pairs, the app's data 160"
        assert services.launcher.trained_on == [data] * 4

    def test_what_failed_is_tried_again(self, services, tmp_path):
        own = finished(tmp_path, 80, 7, 0.75)
        write_ended(tmp_path, "failed", num_train_pairs=20, seed=7)
        act(services, "sizes", own, num_seeds="1")
        assert (20, 7) in [(call[1]["num_train_pairs"], call[1]["seed"]) for call in services.launcher.calls]

    def test_one_more_seed_of_a_size(self, services, tmp_path):
        own = finished(tmp_path, 80, 7, 0.75)
        act(services, "one-more", own, num_pairs="80")
        act(services, "one-more", own, num_pairs="20")
        queued = [(call[1]["num_train_pairs"], call[1]["seed"]) for call in services.launcher.calls]
        assert queued == [(80, 8), (20, 7)]

    @pytest.mark.parametrize(
        ("name", "fields", "words"),
        [
            ("sizes", {"num_seeds": "0"}, "from 1 to 3"),
            ("sizes", {"num_seeds": "999"}, "from 1 to 3"),
            ("sizes", {}, "number of seeds"),
            ("one-more", {"num_pairs": "33"}, "no size of 33 pairs"),
            ("one-more", {"num_pairs": "nan"}, "number of pairs"),
            ("one-more", {}, "number of pairs"),
        ],
    )
    def test_what_cannot_be_queues_nothing(self, services, tmp_path, name, fields, words):
        own = finished(tmp_path, 80, 7, 0.75)
        with pytest.raises(InputError, match=words):
            act(services, name, own, **fields)
        assert services.launcher.calls == []

    def test_the_button_says_how_many_runs_and_how_long(self, services, tmp_path):
        own = finished(tmp_path, 80, 7, 0.75)
        page = manage_html(services, lambda run_id: shown(services, own), own.run_id)
        (button, _) = [one for one in parse(page).all("button") if one.attributes.get("data-act") == "sizes"]
        assert button.text == "Queue 1 seed of each size"
        assert "4 runs: " in page
        for num_pairs in (10, 20, 40, 160):
            finished(tmp_path, num_pairs, 7, 0.7)
        page = manage_html(services, lambda run_id: shown(services, own), own.run_id)
        assert "1 seed of each size: all done or in the queue." in page


class TestCurve:
    def test_nothing_is_drawn_of_one_size(self, services, tmp_path):
        own = finished(tmp_path, 80, 1, 0.75)
        assert (shown(services, own).page, shown(services, own).plots) == ("", None)

    def test_a_table_stands_behind_the_plots(self, services, tmp_path):
        own = finished(tmp_path, 80, 1, 0.75)
        finished(tmp_path, 80, 2, 0.79)
        finished(tmp_path, 20, 1, 0.6)
        create_run(tmp_path, num_train_pairs=40)
        curve = shown(services, own)
        cells = [[cell.text for cell in row.all("td")] for row in parse(curve.page).all("tr")[1:]]
        assert cells[1][:2] == ["seed 1", "60.0"]
        assert cells[3][:2] == ["seed 1, 2", "77.0 ± 2.8"]
        figure = curve.plots["sizes-accuracy"]
        assert figure["data"][0]["x"] == [20, 80, 80]
        assert figure["data"][1]["y"] == [60.0, 77.0]
        assert figure["data"][1]["error_y"]["array"] == [0, 2.83]
        assert figure["data"][2]["name"] == "always the majority"
        assert figure["layout"]["xaxis"]["type"] == "log"

    def test_a_single_seed_claims_nothing(self, services, tmp_path):
        own = finished(tmp_path, 20, 1, 0.70)
        finished(tmp_path, 80, 1, 0.72)
        words = describe_curve(sizes_of(services, own), None)
        assert "rises by 2.0 points" in words[0]
        assert "does not show how much of that is chance" in words[0]

    @pytest.mark.parametrize(
        ("larger", "words"),
        [((0.71, 0.73), "have not been shown to help"), ((0.80, 0.81), "more than seeds alone move it")],
    )
    def test_a_rise_is_held_against_the_spread_of_seeds(self, services, tmp_path, larger, words):
        own = finished(tmp_path, 20, 1, 0.69)
        finished(tmp_path, 20, 2, 0.72)
        for seed, accuracy in enumerate(larger, start=1):
            finished(tmp_path, 80, seed, accuracy)
        assert words in describe_curve(sizes_of(services, own), None)[0]

    def test_one_answer_is_flagged(self, services, tmp_path):
        own = finished(tmp_path, 20, 1, 0.69)
        sizes = sizes_of(services, own)
        collapsed = sizes[1].runs[0].model_copy(update={"collapsed": True})
        size = type(sizes[0])(20, False, [collapsed])
        assert size.num_collapsed == 1
        figure = size_figure([size], "accuracy", None, "x")
        assert figure["data"][0]["marker"]["symbol"] == ["x"]
        assert "one answer only" in figure["data"][0]["text"][0]
