import json

import pytest

from mrpc.app.train.curves import take_series
from mrpc.app.train.overlay import (
    NUM_SLOTS,
    RUN_COLORS,
    RUN_DASHES,
    RUN_SYMBOLS,
    OverlaidRun,
    differing_settings,
    overlay_figures,
    overlay_html,
    pinned_figure,
    pinned_html,
    read_slots,
)
from mrpc.app.train.repeats import seeds_figure, seeds_html
from mrpc.app.train.runs import list_runs
from mrpc.core.data.pairs import WORDS
from mrpc.runs import events as ev
from mrpc.runs.layout import PinnedPair
from mrpc.runs.record import RunRecord
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from tests.html import parse
from tests.written_run import evaluation_event, write_ended, write_events, write_status

EVIL = "<img src=x onerror=alert(1)>"


def overlaid(run: Run, slot: int, name: str = "") -> OverlaidRun:
    history = RunRecord(run.paths.events)
    history.read_on()
    return OverlaidRun(slot, name or run.run_id, run.config, take_series(history), f"Run {run.run_id}")


class TestOverlay:
    def test_a_run_looks_the_same_in_all_plots_and_no_two_alike(self, tmp_path):
        runs = [overlaid(write_ended(tmp_path, seed=slot), slot) for slot in range(NUM_SLOTS)]
        figures = overlay_figures(runs)
        caption = figures.pop("caption")
        for figure in figures.values():
            looks = [(trace["line"]["color"], trace["line"]["dash"]) for trace in figure["data"]]
            assert looks == list(zip(RUN_COLORS, RUN_DASHES, strict=True))
        assert len(set(RUN_COLORS)) == len(set(RUN_DASHES)) == len(set(RUN_SYMBOLS)) == NUM_SLOTS
        assert caption.count("\n") == NUM_SLOTS - 1

    def test_an_update_is_small(self, tmp_path):
        runs = [
            overlaid(write_ended(tmp_path, num_steps=3_000, seed=slot), slot) for slot in range(NUM_SLOTS)
        ]
        assert len(json.dumps(overlay_figures(runs))) < 30_000

    def test_a_colour_stays_when_another_run_is_let_go(self, tmp_path):
        figures = overlay_figures([overlaid(write_ended(tmp_path), 2)])
        assert figures["f1"]["data"][0]["line"]["color"] == RUN_COLORS[2]

    def test_only_settings_that_differ_are_shown(self, tmp_path):
        first, second = write_ended(tmp_path, seed=1), write_ended(tmp_path, seed=2, learning_rate=1e-3)
        differing = differing_settings([first.config, second.config])
        assert differing == {"learning_rate": [5e-5, 1e-3], "seed": [1, 2]}
        shown = parse(overlay_html([overlaid(first, 0), overlaid(second, 1)]))
        assert [head.text for head in shown.one("thead").all("th")] == [
            "Run",
            "best F1",
            "Learning rate",
            "Seed",
        ]
        assert [row[2:] for row in shown.rows()] == [["5e-5", "1"], ["0.001", "2"]]
        assert "same settings" in parse(overlay_html([overlaid(first, 0), overlaid(first, 1)])).text
        assert "Choose another" in parse(overlay_html([overlaid(first, 0)])).text

    def test_names_are_escaped(self, tmp_path):
        run = overlaid(write_ended(tmp_path), 0, EVIL)
        assert not parse(overlay_html([run])).all("img")
        assert "<img" not in overlay_figures([run])["loss"]["data"][0]["name"]


class TestSeeds:
    def members(self, tmp_path, scores):
        for seed, (f1, num_equivalent) in enumerate(scores):
            run = write_ended(tmp_path, seed=seed)
            write_status(run, 90, 90, outcome="finished", best_epoch=3, best_accuracy=0.8, best_f1=f1)
            write_events(run, [evaluation_event(3, 90, f1=f1, num_predicted_equivalent=num_equivalent)])
        return sorted(list_runs(RunStore(tmp_path)), key=lambda member: member.seed)

    def test_mean_and_spread_beside_the_single_runs(self, tmp_path):
        members = self.members(tmp_path, [(0.80, 20), (0.82, 20), (0.84, 20)])
        assert "F1 82.0 ± 2.0" in seeds_html(members)
        figure = seeds_figure(members, "g")
        points = next(trace for trace in figure["data"] if trace["name"] == "F1")
        mean = next(trace for trace in figure["data"] if trace["name"] == "mean of F1")
        assert points["x"] == [80.0, 82.0, 84.0]
        assert (mean["x"], mean["error_x"]["array"]) == ([82.0], [2.0])

    @pytest.mark.parametrize("num_equivalent", [0, 40])
    def test_a_model_with_one_answer_is_flagged(self, tmp_path, num_equivalent):
        members = self.members(tmp_path, [(0.80, 20), (0.81, num_equivalent)])
        assert [member.collapsed for member in members] == [False, True]
        assert "with seed 1 the model gives every validation pair the same answer" in seeds_html(members)
        points = seeds_figure(members, "g")["data"][0]
        assert points["marker"]["symbol"] == ["circle", "x"]

    def test_runs_without_a_score(self, tmp_path):
        write_ended(tmp_path, "interrupted")
        members = list_runs(RunStore(tmp_path))
        assert "No run of this group has a score yet." in seeds_html(members)
        assert seeds_figure(members, "g")["data"] == []


class TestPinned:
    pairs = (
        PinnedPair(pair_id="pa", sentence1=EVIL, sentence2="b"),
        PinnedPair(pair_id="pb", sentence1="c", sentence2="d"),
    )

    def test_probabilities_over_the_steps(self):
        events = {
            0: ev.PinnedPairEvent(step=0, epoch=0, probabilities={"pa": 0.4}),
            1: ev.PinnedPairEvent(step=30, epoch=1, probabilities={"pa": 0.8, "pb": 0.1, "gone": 0.5}),
        }
        first, second = pinned_figure(self.pairs, events, "run")["data"]
        assert (first["x"], first["y"]) == ([0, 30], [0.4, 0.8])
        assert (second["x"], second["y"]) == ([30], [0.1])
        page = pinned_html(self.pairs, events, is_over=False, words=("different", "same"))
        shown = parse(page).all("li")
        assert "same: 0.800" in shown[0].text
        assert EVIL in shown[0].text
        assert shown[0].one("button").attributes["data-pair-id"] == "pa"

    def test_before_the_first_evaluation(self):
        shown = parse(pinned_html(self.pairs, {}, False, WORDS))
        assert "after the next evaluation" in shown.text
        assert pinned_figure(self.pairs, {}, "run")["data"][0]["x"] == []

    def test_a_run_that_is_over_offers_no_pin(self):
        for pairs in (self.pairs, ()):
            shown = parse(pinned_html(pairs, {}, is_over=True, words=WORDS))
            assert not shown.all("button")
            assert "This run is over" in shown.text


@pytest.mark.parametrize(
    ("chosen", "slots"), [("a,,b", [(0, "a"), (2, "b")]), ("a,a", [(0, "a")]), (None, []), ("", [])]
)
def test_chosen_runs_have_places(chosen, slots):
    assert read_slots(chosen) == slots
    assert len(read_slots(",".join(map(str, range(30))))) == 8
