from pathlib import Path

import pytest

from mrpc.app.format import render_bytes, render_duration, render_percent
from mrpc.app.train.render_progress import (
    describe_outcome,
    num_steps_at_risk,
    recent_speed,
    render_run,
    render_state,
    run_caption,
)
from mrpc.files import write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import RunLabel, StopRequest
from mrpc.runs.record import RunRecord
from mrpc.runs.store import Run, RunState
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


def render(run: Run) -> str:
    return render_run(run, run.state(), run.read_status(), history_of(run))


def outcome(run: Run) -> str:
    notices = describe_outcome(run, run.state(), run.read_status(), history_of(run))
    return " ".join(text for _, text in notices)


class TestRun:
    def test_a_running_one(self, tmp_path):
        shown = render(write_running(tmp_path, step=30, num_steps=90))
        assert ">running</span>" in shown
        assert "step 30 of 90 · epoch 1.00 of 3" in shown
        assert 'aria-valuenow="30"' in shown
        assert "16.0<small>pairs per second" in shown
        assert "800<small>real per second, +25 % padding" in shown
        assert "time left" in shown
        assert "34 s" in shown  # 60 steps of 0.5 s, and two evaluations of 2 s

    def test_one_that_only_starts(self, tmp_path):
        shown = render(create_run(tmp_path))
        assert ">starting</span>" in shown
        assert "bar-waiting" in shown

    def test_finished(self, tmp_path):
        shown = render(write_ended(tmp_path))
        assert "Finished in 1 min 01 s. Best epoch 3: accuracy 84.0, F1 85.0 on validation." in shown
        assert "time left" not in shown

    def test_scores_on_test_once_they_are_there(self, tmp_path):
        run = write_ended(tmp_path)
        write_events(
            run,
            [
                evaluation_event(0, 90, split="test", accuracy=0.5, f1=0.6, is_best=False),
                evaluation_event(3, 90, split="test", accuracy=0.82, f1=0.88, is_best=True),
            ],
        )
        assert "82.0<small>untrained 50.0" in render(run)

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("stopped", "Stopped after step 45. Its weights and a checkpoint are kept."),
            ("discarded", "its weights are deleted, log and curves are kept"),
            ("failed", "The disk is full. What you can do: Free 300 MB and resume."),
            ("interrupted", "The process ended without a word after step 45"),
        ],
    )
    def test_how_it_ended(self, tmp_path, how, words):
        assert words in outcome(write_ended(tmp_path, how))

    def test_a_failure_shows_its_last_lines_escaped(self, tmp_path):
        shown = render(write_ended(tmp_path, "failed"))
        assert "OSError: [Errno 28] &lt;b&gt;No space&lt;/b&gt;</pre>" in shown

    def test_a_dead_process_is_never_running(self, tmp_path):
        run = write_ended(tmp_path, "interrupted")
        assert ">interrupted</span>" in render(run)
        assert "bar-waiting" not in render(run)

    def test_stopping(self, tmp_path):
        run = write_running(tmp_path)
        write_model(run.paths.stop, StopRequest(attempt=1, save=True, requested_at=0))
        assert ">stopping</span>" in render(run)

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
        caption = run_caption(run, history_of(run))
        assert caption == f"Run {run.run_id} (first) · seed 7 · data sample 0123456789ab · cpu, 1 thread"

    def test_stalled(self, tmp_path):
        run = write_running(tmp_path)
        status = run.read_status().model_copy(update={"updated_at": 1.0})
        write_model(run.paths.status, status)
        assert run.state() is RunState.STALLED
        assert "has said nothing since" in outcome(run)

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
        assert "<script" not in shown
        assert "<img" not in shown
        assert "&lt;script&gt;" in shown


def test_every_state_has_a_sign():
    for state in RunState:
        assert f"state-{state}" in render_state(state)


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
