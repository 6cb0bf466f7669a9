from pathlib import Path

import pytest

from mrpc.app.format import render_bytes, render_duration, render_percent
from mrpc.app.train.run_facts import (
    STATE_SIGNS,
    describe_outcome,
    describe_settings,
    list_figures,
    num_steps_at_risk,
    recent_speed,
    run_caption,
    status_html,
)
from mrpc.app.train.runs import RunView, watch
from mrpc.files import write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import RunLabel, StopRequest
from mrpc.runs.record import RunRecord
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from tests.html import Element, parse
from tests.written_run import (
    create_run,
    evaluation_event,
    step_event,
    write_ended,
    write_events,
    write_running,
)


def history_of(run: Run) -> RunRecord:
    history = RunRecord(run.paths.events)
    history.read_on()
    return history


def view_of(run: Run) -> RunView:
    return watch(RunStore(run.paths.run_dir.parent), run.run_id)


def settings(run: Run, num_split_pairs: int | None = None) -> list[str]:
    return describe_settings(view_of(run), num_split_pairs)


def render(run: Run) -> Element:
    return parse(status_html(view_of(run)))


def figures(run: Run) -> dict[str, tuple[str, str]]:
    return {name: (value, of) for name, value, of in list_figures(view_of(run))}


def outcome(run: Run) -> str:
    return " ".join(text for _, text in describe_outcome(view_of(run)))


class TestRun:
    def test_a_running_one(self, tmp_path):
        run = write_running(tmp_path, step=30, num_steps=90)
        shown = render(run)
        assert shown.one(cls="state").text == "●running"
        assert shown.one(cls="bar-words").text == "step 30 of 90 · epoch 1.00 of 3"
        assert shown.one(role="progressbar").attributes["aria-valuenow"] == "30"
        assert figures(run)["speed"] == ("16.0", "pairs per second")
        assert figures(run)["tokens"] == ("800", "real per second, +25 % padding")
        assert figures(run)["time left"][0] == "34 s"  # 60 steps of 0.5 s, and two evaluations of 2 s

    def test_one_that_only_starts(self, tmp_path):
        shown = render(create_run(tmp_path))
        assert shown.one(cls="state").text == "◌starting"
        assert shown.all(cls="bar-waiting")

    def test_finished(self, tmp_path):
        run = write_ended(tmp_path)
        assert "Finished in 1 min 01 s. Best epoch 3: accuracy 84.0, F1 85.0 on validation." in outcome(run)
        assert "time left" not in figures(run)

    def test_scores_on_test_once_they_are_there(self, tmp_path):
        run = write_ended(tmp_path)
        write_events(
            run,
            [
                evaluation_event(0, 90, split="test", accuracy=0.5, f1=0.6, is_best=False),
                evaluation_event(3, 90, split="test", accuracy=0.82, f1=0.88, is_best=True),
            ],
        )
        assert figures(run)["accuracy, test"] == ("82.0", "untrained 50.0")

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("stopped", "Stopped after step 45. Its weights and a checkpoint are kept."),
            ("discarded", "its weights are deleted, log and curves are kept"),
            ("failed", "The disk is full. What you can do: Free 300 MB and resume."),
            ("interrupted", "The process ended after step 45 and did not report why"),
        ],
    )
    def test_how_it_ended(self, tmp_path, how, words):
        assert words in outcome(write_ended(tmp_path, how))

    def test_a_failure_shows_its_last_lines_escaped(self, tmp_path):
        shown = render(write_ended(tmp_path, "failed"))
        assert shown.one("pre").text == "OSError: [Errno 28] <b>No space</b>"

    def test_a_dead_process_is_never_running(self, tmp_path):
        shown = render(write_ended(tmp_path, "interrupted"))
        assert shown.one(cls="state").text == "!interrupted"
        assert not shown.all(cls="bar-waiting")

    def test_stopping(self, tmp_path):
        run = write_running(tmp_path)
        write_model(run.paths.stop, StopRequest(attempt=1, save=True, requested_at=0))
        assert render(run).one(cls="state").text == "◌stopping"

    def test_stopping_says_what_it_waits_for(self, tmp_path):
        run = write_running(tmp_path)
        write_events(run, [ev.CheckpointEvent(step=20, num_bytes=1, duration_s=1)])
        write_model(run.paths.stop, StopRequest(attempt=1, save=True, requested_at=0))
        assert "Finishing the step, writing the checkpoint. The last checkpoint is of step 20." in outcome(
            run
        )
        assert num_steps_at_risk(history_of(run)) == 10
        write_model(run.paths.stop, StopRequest(attempt=1, save=False, requested_at=0))
        assert "Discarding: the process ends within seconds" in outcome(run)

    @pytest.mark.parametrize(
        ("save", "checkpoint", "words"),
        [
            (True, 40, "The checkpoint of step 40 is kept; Resume goes on from there and repeats 5 steps."),
            (True, None, "before it could save: there is no checkpoint"),
            (False, 40, "Stopped and discarded"),
        ],
    )
    def test_a_process_that_was_ended_before_it_could_save(self, tmp_path, save, checkpoint, words):
        run = write_ended(tmp_path, "interrupted")
        if checkpoint:
            write_events(run, [ev.CheckpointEvent(step=checkpoint, num_bytes=1, duration_s=1)])
        write_model(run.paths.stop, StopRequest(attempt=1, save=save, requested_at=0))
        assert run.state() is RunState.STOPPED
        assert words in outcome(run)

    def test_the_caption_says_where_a_plot_comes_from(self, tmp_path):
        run = write_ended(tmp_path, seed=7)
        write_model(run.paths.label, RunLabel(name="first"))
        caption = run_caption(view_of(run))
        assert (
            caption
            == f"Run {run.run_id} (first) · seed 7 · data sample 0123456789ab · cpu, 1 thread, float32"
        )

    def test_stalled(self, tmp_path):
        run = write_running(tmp_path)
        status = run.read_status().model_copy(update={"updated_at": 1.0})
        write_model(run.paths.status, status)
        assert run.state() is RunState.STALLED
        assert "has reported nothing since" in outcome(run)

    def test_not_finite_numbers_cuts_and_warnings_are_said(self, tmp_path):
        run = write_running(tmp_path)
        write_events(
            run,
            [
                ev.NonFiniteEvent(step=7, what="loss", value="nan"),
                ev.NonFiniteEvent(step=8, what="loss", value="nan"),
                ev.ResumedEvent(step=20, cut_step=30),
                ev.WarningEvent(message="Only one CPU core."),
            ],
        )
        said = outcome(run)
        assert "Not a number: loss was nan at step 7 and 1 more times." in said
        assert "Cut at step 30, resumed from checkpoint 20, 10 steps repeated." in said
        assert "Only one CPU core." in said

    def test_what_a_person_wrote_is_escaped(self, tmp_path):
        run = write_running(tmp_path)
        write_model(run.paths.label, RunLabel(name="<script>alert(1)</script>"))
        write_events(run, [ev.WarningEvent(message="<img src=x onerror=alert(1)>")])
        shown = render(run)
        assert not shown.all("script")
        assert not shown.all("img")
        assert shown.one("h2").text == "<script>alert(1)</script>"

    def test_the_pairs_that_it_really_used(self, tmp_path):
        run = write_ended(tmp_path, num_train_pairs=3_600)  # the written run used 240
        assert "240 of 3,668 pairs" in settings(run, 3_668)
        assert "all 240 pairs" in settings(run, 240)
        assert "240 pairs" in settings(run)
        assert "up to 3,600 pairs" in settings(create_run(tmp_path, num_train_pairs=3_600))

    def test_a_model_with_one_answer_is_not_told_in_green(self, tmp_path):
        run = write_ended(tmp_path)
        write_events(run, [evaluation_event(3, 90, num_predicted_equivalent=40)])
        assert next(describe_outcome(view_of(run)))[0] == "warn"

    def test_a_run_that_was_stopped_before_its_first_step(self, tmp_path):
        run = write_ended(tmp_path, "stopped")
        write_model(run.paths.status, run.read_status().model_copy(update={"step": 0}))
        assert "Stopped before the first step." in outcome(run)


def test_every_state_has_a_sign():
    assert set(STATE_SIGNS) == set(RunState)


def test_speed_is_of_the_newest_steps():
    history = RunRecord(Path("none.jsonl"))
    assert recent_speed(history) is None
    history.fold([step_event(step, 200) for step in range(1, 101)])
    slow = [step_event(step, 200).model_copy(update={"duration_s": 1.0}) for step in range(101, 151)]
    history.fold(slow)
    assert recent_speed(history) == (8.0, 400.0, 500.0)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7_830, "2 h 10 min")]
)
def test_durations(seconds, words):
    assert render_duration(seconds) == words


def test_other_numbers():
    assert render_percent(0.8214) == "82.1"
    assert render_percent(None) == "–"
    assert [render_bytes(size) for size in (12, 850_000, 1_500_000_000)] == ["12 bytes", "850 kB", "1.5 GB"]
