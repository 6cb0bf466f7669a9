import ast

from mrpc.app.train.monitoring import Monitoring
from mrpc.app.train.render_runs import render_log, render_runs, render_snippet, usage_snippet
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from mrpc.runs.store import RunState, RunStore
from tests.written_run import write_ended, write_running


def test_list_shows_what_runs_are_and_which_is_selected(tmp_path):
    ended = write_ended(tmp_path, seed=7)
    running = write_running(tmp_path)
    shown = render_runs(Monitoring(RunStore(tmp_path)).list_runs(), ended.run_id)
    assert shown.count("<tr") == 3
    assert f'data-run="{running.run_id}" aria-pressed="false"' in shown
    assert f'data-run="{ended.run_id}" aria-pressed="true"' in shown
    assert "course, seed 7" in shown
    assert "84.0" in shown
    assert ">33%</small>" in shown


def test_the_list_does_not_change_with_every_second_of_a_training(tmp_path):
    running = write_running(tmp_path, step=30)
    (before,) = Monitoring(RunStore(tmp_path)).list_runs()
    later = before.model_copy(update={"train_s": before.train_s + 7})
    ended = later.model_copy(update={"state": RunState.STOPPED})
    assert render_runs([later], running.run_id) == render_runs([before], running.run_id)
    assert "<td>22 s</td>" in render_runs([ended], running.run_id)


def test_names_are_escaped(tmp_path):
    run = write_ended(tmp_path)
    write_model(run.paths.label, RunLabel(name='"><img src=x onerror=alert(1)>'))
    shown = render_runs(Monitoring(RunStore(tmp_path)).list_runs(), "")
    assert "<img" not in shown
    assert "&lt;img src=x" in shown


def test_no_runs():
    assert "<table" not in render_runs([], "")


def test_snippet_is_python_and_escaped():
    code = usage_snippet("/somewhere/with 'quotes'/best")
    ast.parse(code)
    assert "text_pair" in code
    assert "&#x27;text&#x27;" in render_snippet(code) or "&quot;text&quot;" in render_snippet(code)


def test_log_is_escaped():
    assert "&lt;b&gt;" in render_log("<b>loud</b>")
    assert "Nothing was printed yet" in render_log(" \n")
