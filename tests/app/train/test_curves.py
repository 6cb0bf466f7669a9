import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from mrpc.app.train import curves
from mrpc.runs import events as ev
from mrpc.runs.record import RunRecord
from tests.written_run import NUM_EPOCHS, evaluation_event, started_event, step_event

MAX_UPDATE_BYTES = 30_000


def make_history(num_reported: int, num_steps: int | None = None) -> RunRecord:
    num_steps = num_steps or num_reported
    history = RunRecord(Path("none.jsonl"))
    history.fold([started_event(num_steps), evaluation_event(0, num_steps)])
    for step in range(1, num_reported + 1):
        loss = 0.7 - 0.3 * step / num_steps + 0.1 * math.sin(step * 1.7)
        rate = 1e-4 * (1 - step / num_steps)
        history.steps.put((step, NUM_EPOCHS * step / num_steps, loss, rate, 8, 400, 500, 0.5, 0.5 * step))
    return history


def figures_of(history: RunRecord) -> dict[str, curves.Figure]:
    return curves.run_figures(curves.take_series(history), "run-1")


def trace(figure: curves.Figure, start: str) -> curves.Figure:
    return next(trace for trace in figure["data"] if trace["name"].startswith(start))


class TestKeepExtremes:
    def test_a_short_curve_is_left_alone(self):
        steps, values = np.arange(1, 11), np.linspace(0, 1, 10)
        kept_steps, kept_values = curves.keep_extremes(steps, values, 20)
        assert kept_steps.tolist() == steps.tolist()
        assert kept_values.tolist() == values.tolist()

    @pytest.mark.parametrize("num", [801, 1_377, 10_000, 100_000])
    def test_no_more_points_than_allowed(self, num):
        rng = np.random.default_rng(0)
        steps, _ = curves.keep_extremes(np.arange(1, num + 1), rng.random(num), 800)
        assert 300 < len(steps) <= 800
        assert (np.diff(steps) > 0).all()

    def test_a_spike_and_both_ends_are_kept(self):
        values = np.full(50_000, 0.5)
        values[31_234] = 9.0
        values[44_000] = -3.0
        values[-1] = 0.6
        steps, kept = curves.keep_extremes(np.arange(1, 50_001), values, 400)
        assert {1, 31_235, 44_001, 50_000} <= set(steps.tolist())
        assert kept.max() == 9.0
        assert kept.min() == -3.0
        assert kept[-1] == 0.6

    def test_points_of_full_buckets_stay_when_new_ones_come(self):
        values = np.random.default_rng(1).random(6_000)
        steps = np.arange(1, 6_001)
        before, _ = curves.keep_extremes(steps[:5_000], values[:5_000], 800)
        after, _ = curves.keep_extremes(steps, values, 800)
        settled = set(before[before < 4_960].tolist())
        assert settled == set(after[after < 4_960].tolist())

    @pytest.mark.parametrize("max_points", [100, 800])
    def test_where_buckets_double_a_part_of_the_points_stays_and_none_moves(self, max_points):
        rng = np.random.default_rng(7)
        values, steps = rng.standard_normal(40_000), np.arange(1, 40_001)
        before: set[int] = set()
        for num in range(1_000, 40_001, 977):
            kept, kept_values = curves.keep_extremes(steps[:num], values[:num], max_points)
            assert kept_values.tolist() == values[kept - 1].tolist()
            settled = {step for step in kept.tolist() if step < num - 977 - 40_000 // max_points * 8}
            assert settled <= before | {1} or not before
            before = set(kept.tolist())

    def test_every_spike_of_its_own_bucket_is_kept(self):
        values = np.zeros(100_000)
        spikes = np.arange(500, 100_000, 1_000)
        values[spikes] = np.where(spikes % 2_000 == 500, 5.0, -5.0)
        steps, kept = curves.keep_extremes(np.arange(100_000), values, 800)
        assert set(spikes.tolist()) <= set(steps.tolist())
        assert np.count_nonzero(kept) == len(spikes)

    def test_a_number_that_is_not_finite_hides_no_spike(self):
        values = np.full(50_000, 0.5)
        values[31_000:31_010] = np.nan
        values[31_020] = 9.0
        steps, kept = curves.keep_extremes(np.arange(50_000), values, 400)
        assert {31_000, 31_020} <= set(steps.tolist())
        assert np.isnan(kept).sum() == 1

    def test_gaps_in_the_steps(self):
        steps = np.concatenate([np.arange(1, 2_000), np.arange(500_000, 502_000)])
        kept, _ = curves.keep_extremes(steps, np.sin(steps), 200)
        assert len(kept) <= 200
        assert kept[0] == 1
        assert kept[-1] == 501_999


class TestKeepEvery:
    def test_points_stay_while_new_ones_come(self):
        steps, values = np.arange(1, 9_001), np.linspace(1, 0, 9_000)
        before, _ = curves.keep_every(steps[:7_000], values[:7_000], 300)
        after, _ = curves.keep_every(steps, values, 300)
        assert set(before[:-1].tolist()) <= set(after.tolist())
        assert after[-1] == 9_000

    def test_steps_that_are_no_multiples_have_points_too(self):
        steps = np.arange(1, 40_000, 2)
        kept, _ = curves.keep_every(steps, steps / 1.0, 300)
        assert 100 < len(kept) <= 300


class TestSmooth:
    def test_a_constant_stays(self):
        assert curves.smooth(np.full(50, 0.7), 10) == pytest.approx(np.full(50, 0.7))

    def test_the_first_value_is_the_first(self):
        assert curves.smooth(np.array([3.0, 0.0]), 10)[0] == pytest.approx(3.0)

    def test_agrees_with_the_weighted_mean(self):
        values = np.array([1.0, 2.0, 4.0])
        weights = np.array([0.81, 0.9, 1.0])  # span 10: each older value counts 0.9 of the next
        assert curves.smooth(values, 10)[-1] == pytest.approx((values * weights).sum() / weights.sum())

    def test_earlier_points_do_not_move(self):
        values = np.random.default_rng(2).random(300)
        assert curves.smooth(values, 20)[:200].tolist() == curves.smooth(values[:200], 20).tolist()


class TestFigures:
    @pytest.mark.parametrize("num", [0, 1, 40, 1_377, 100_000])
    def test_plotly_takes_them(self, num):
        graph_objects = pytest.importorskip("plotly.graph_objects")
        for figure in figures_of(make_history(num, max(num, 10))).values():
            graph_objects.Figure(figure)

    @pytest.mark.parametrize("num", [1_377, 100_000])
    def test_an_update_is_small(self, num):
        sent = json.dumps(figures_of(make_history(num)))
        assert len(sent) < MAX_UPDATE_BYTES

    def test_sparse_evaluations_of_a_long_run_are_all_there(self):
        history = make_history(100_000)
        events = [evaluation_event(e, 100_000, step=2_000 * e, loss=1 / e) for e in range(1, 51)]
        history.fold(events)
        figures = figures_of(history)
        validation = trace(figures["loss"], "validation")
        assert validation["x"] == [0, *(event.step for event in events)]
        assert validation["y"][1:] == [float(f"{event.loss:.4g}") for event in events]
        assert trace(figures["scores"], "accuracy")["x"] == list(range(51))
        assert len(json.dumps(figures)) < MAX_UPDATE_BYTES

    def test_a_long_run_ends_in_its_last_step_in_every_curve(self):
        figures = figures_of(make_history(99_991, 100_000))
        for curve in (*figures["loss"]["data"][:2], figures["rate"]["data"][0]):
            assert curve["x"][-1] == 99_991

    def test_a_long_run_is_drawn_quickly(self):
        history = make_history(100_000)
        started_at = time.process_time()
        figures_of(history)
        assert time.process_time() - started_at < 0.5

    def test_every_number_is_finite_json(self):
        history = make_history(20)
        history.fold([step_event(7, 20).model_copy(update={"loss": float("nan")})])
        text = json.dumps(figures_of(history), allow_nan=False)
        assert "null" in text

    def test_loss_has_raw_smoothed_and_validation(self):
        history = make_history(60)
        history.fold([evaluation_event(epoch, 60) for epoch in (1, 2)])
        loss = figures_of(history)["loss"]
        assert len(trace(loss, "training, each step")["x"]) == 60
        assert trace(loss, "training, over 8 steps")["x"][-1] == 60
        assert trace(loss, "validation")["x"] == [0, 20, 40]
        assert trace(loss, "validation")["y"] == [0.69, 0.59, 0.49]

    def test_scores_are_percentages_beside_the_majority(self):
        history = make_history(60)
        scores = figures_of(history)["scores"]
        assert trace(scores, "accuracy")["y"] == [60.0]
        assert trace(scores, "F1 of always")["y"] == [75.0, 75.0]
        assert [note["text"] for note in scores["layout"]["annotations"]] == [
            "majority<br>60.0",
            "majority<br>75.0",
        ]

    def test_zoom_belongs_to_the_run(self):
        revisions = {figure["layout"]["uirevision"] for figure in figures_of(make_history(5)).values()}
        assert revisions == {"run-1"}

    def test_steps_to_come_have_their_place(self):
        assert figures_of(make_history(5, 200))["rate"]["layout"]["xaxis"]["range"] == [0, 200]

    def test_a_resumed_run_is_one_curve_with_a_mark(self):
        history = make_history(30, 60)
        history.fold([ev.ResumedEvent(step=20, cut_step=30)])
        history.fold([step_event(step, 60, loss=0.1) for step in range(21, 41)])
        loss = figures_of(history)["loss"]
        assert trace(loss, "training, each")["x"] == list(range(1, 41))
        assert trace(loss, "training, each")["y"][20:] == [0.1] * 20
        assert loss["layout"]["annotations"][0]["text"] == "cut at 30, resumed from 20"
        assert loss["layout"]["shapes"][0]["x0"] == 30

    def test_a_number_that_is_not_finite_is_marked_once_and_escaped(self):
        history = make_history(30)
        for step in (12, 13):
            history.fold([ev.NonFiniteEvent(step=step, what="loss <i>", value="nan")])
        notes = figures_of(history)["loss"]["layout"]["annotations"]
        assert [note["text"] for note in notes] == ["loss &lt;i&gt; is nan at step 12"]
