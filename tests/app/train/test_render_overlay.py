import json

import pytest

from mrpc.app.train.monitoring import Monitoring
from mrpc.app.train.render_curves import take_series
from mrpc.app.train.render_overlay import (
    NUM_SLOTS,
    RUN_COLORS,
    RUN_DASHES,
    RUN_SYMBOLS,
    OverlaidRun,
    differing_settings,
    overlay_figures,
    render_differences,
)
from mrpc.app.train.render_probes import probes_figure, render_probes
from mrpc.app.train.render_seeds import render_seeds, seeds_figure
from mrpc.runs import events as ev
from mrpc.runs.layout import PinnedPair
from mrpc.runs.record import RunRecord
from mrpc.runs.store import Run, RunStore
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
        shown = render_differences([overlaid(first, 0), overlaid(second, 1)])
        assert "learning rate" in shown
        assert "batch size" not in shown
        assert "same settings" in render_differences([overlaid(first, 0), overlaid(first, 1)])

    def test_names_are_escaped(self, tmp_path):
        run = overlaid(write_ended(tmp_path), 0, EVIL)
        assert "<img" not in render_differences([run])
        assert "<img" not in overlay_figures([run])["loss"]["data"][0]["name"]


class TestSeeds:
    def members(self, tmp_path, scores):
        for seed, (f1, num_equivalent) in enumerate(scores):
            run = write_ended(tmp_path, seed=seed)
            write_status(run, 90, 90, outcome="finished", best_epoch=3, best_accuracy=0.8, best_f1=f1)
            write_events(run, [evaluation_event(3, 90, f1=f1, num_predicted_equivalent=num_equivalent)])
        return sorted(Monitoring(RunStore(tmp_path)).list_runs(), key=lambda member: member.seed)

    def test_mean_and_spread_beside_the_single_runs(self, tmp_path):
        members = self.members(tmp_path, [(0.80, 20), (0.82, 20), (0.84, 20)])
        assert "F1 82.0 ± 2.0" in render_seeds(members)
        figure = seeds_figure(members, "g")
        points = next(trace for trace in figure["data"] if trace["name"] == "F1")
        mean = next(trace for trace in figure["data"] if trace["name"] == "mean of F1")
        assert points["x"] == [80.0, 82.0, 84.0]
        assert (mean["x"], mean["error_x"]["array"]) == ([82.0], [2.0])

    @pytest.mark.parametrize("num_equivalent", [0, 40])
    def test_a_model_with_one_answer_is_flagged(self, tmp_path, num_equivalent):
        members = self.members(tmp_path, [(0.80, 20), (0.81, num_equivalent)])
        assert [member.collapsed for member in members] == [False, True]
        assert "with seed 1 the model gives every validation pair the same answer" in render_seeds(members)
        points = seeds_figure(members, "g")["data"][0]
        assert points["marker"]["symbol"] == ["circle", "x"]

    def test_runs_without_a_score(self, tmp_path):
        write_ended(tmp_path, "interrupted")
        members = Monitoring(RunStore(tmp_path)).list_runs()
        assert "No run of this group has a score yet." in render_seeds(members)
        assert seeds_figure(members, "g")["data"] == []


class TestProbes:
    probes = (
        PinnedPair(pair_id="pa", sentence1=EVIL, sentence2="b"),
        PinnedPair(pair_id="pb", sentence1="c", sentence2="d"),
    )

    def test_probabilities_over_the_steps(self):
        events = {
            0: ev.PinnedPairEvent(step=0, epoch=0, probabilities={"pa": 0.4}),
            1: ev.PinnedPairEvent(step=30, epoch=1, probabilities={"pa": 0.8, "pb": 0.1, "gone": 0.5}),
        }
        first, second = probes_figure(self.probes, events, "run")["data"]
        assert (first["x"], first["y"]) == ([0, 30], [0.4, 0.8])
        assert (second["x"], second["y"]) == ([30], [0.1])
        shown = render_probes(self.probes, events)
        assert "equivalent: 0.800" in shown
        assert "<img" not in shown

    def test_before_the_first_evaluation(self):
        assert "after the next evaluation" in render_probes(self.probes, {})
        assert probes_figure(self.probes, {}, "run")["data"][0]["x"] == []
