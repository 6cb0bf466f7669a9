"""The table of runs, what can be done with one, the queue, and the disk."""

from __future__ import annotations

import pytest

from mrpc.app.train.live import RunBoard
from mrpc.app.train.repeats import seeds_html
from mrpc.app.train.runs import list_runs, manage_html, queue_html, run_status, runs_table
from mrpc.app.train.runs_view import disk_html
from mrpc.errors import InputError
from mrpc.files import write_model
from mrpc.runs.layout import RunLabel
from mrpc.runs.run import RunState
from mrpc.runs.store import RunStore
from tests.app.train.services import FakeServices
from tests.html import parse
from tests.written_run import evaluation_event, write_ended, write_events, write_running, write_status

EVIL = "<img src=x onerror=alert(1)>"


def table_of(tmp_path):
    return runs_table(list_runs(RunStore(tmp_path)))


def test_the_table_says_what_runs_are(tmp_path):
    ended = write_ended(tmp_path, seed=7, weight_decay=0.01)
    running = write_running(tmp_path)
    shown = table_of(tmp_path)
    rows = {row["id"]: row for row in shown["rows"]}
    assert list(rows) == [running.run_id, ended.run_id]
    assert rows[ended.run_id]["title"] == "course · all pairs · 3 epochs · seed 7"
    assert rows[ended.run_id]["state"] == "finished"
    assert rows[ended.run_id]["accuracy"] == 0.84
    assert rows[running.run_id]["done"] == 0.33
    assert rows[ended.run_id]["weight_decay"] == "0.01"
    keys = [column["key"] for column in shown["columns"]]
    assert {"learning_rate", "weight_decay", "seed"} <= set(keys)
    assert "warmup_ratio" not in keys, "they do not differ in it"


def test_more_runs_are_listed_than_wait_in_the_queue(tmp_path):
    write_ended(tmp_path)
    (one,) = list_runs(RunStore(tmp_path))
    runs = [one.model_copy(update={"run_id": f"run-{number}"}) for number in range(600)]
    assert [row["id"] for row in runs_table(runs)["rows"]] == [run.run_id for run in runs[:500]]


def test_a_run_whose_gpu_time_is_used_is_paused_wherever_its_state_stands(tmp_path):
    stopped, paused = write_ended(tmp_path, "stopped"), write_ended(tmp_path, "stopped")
    stopped.request_stop(save=True)
    paused.request_stop(save=True, reason="gpu time")
    words = "paused: GPU time used"
    rows = {row["id"]: row["state"] for row in table_of(tmp_path)["rows"]}
    assert rows == {stopped.run_id: "stopped", paused.run_id: words}
    listed = {one.run_id: one for one in list_runs(RunStore(tmp_path))}
    assert (listed[paused.run_id].state, listed[paused.run_id].state_words) == (RunState.STOPPED, words)
    assert run_status(RunStore(tmp_path), paused.run_id)["state_words"] == words
    assert words in seeds_html([listed[paused.run_id]])


def test_numbers_are_sorted_as_numbers(tmp_path):
    write_ended(tmp_path, num_train_pairs=1_200)
    column = next(one for one in table_of(tmp_path)["columns"] if one["key"] == "num_train_pairs")
    (row,) = table_of(tmp_path)["rows"]
    assert (row["num_train_pairs"], row[column["sort"]]) == ("1,200", 1_200)


def test_the_table_does_not_change_with_every_second_of_a_training(tmp_path):
    write_running(tmp_path, step=30)
    (before,) = list_runs(RunStore(tmp_path))
    later = before.model_copy(update={"train_s": before.train_s + 7})
    ended = later.model_copy(update={"state": RunState.STOPPED})
    assert runs_table([later]) == runs_table([before])
    assert runs_table([ended])["rows"][0]["trained"] == "22 s"


def test_a_model_with_one_answer_is_flagged(tmp_path):
    run = write_ended(tmp_path)
    assert "warning" not in [column["key"] for column in table_of(tmp_path)["columns"]]
    write_events(run, [evaluation_event(3, 90, num_predicted_equivalent=40)])
    (row,) = table_of(tmp_path)["rows"]
    assert row["warning"] == "one answer only"


def test_a_title_counts_the_pairs_that_were_used(tmp_path):
    run = write_ended(tmp_path, num_train_pairs=3_600)
    write_status(run, 90, 90, outcome="finished", num_train_pairs=160)
    (row,) = table_of(tmp_path)["rows"]
    assert row["title"] == "course · 160 pairs · 3 epochs · seed 42"
    assert row["num_train_pairs"] == "160"


def test_no_runs(tmp_path):
    assert table_of(tmp_path) is None


def test_what_can_be_done_with_a_run(services: FakeServices, tmp_path):
    run = write_ended(tmp_path)
    write_model(run.paths.label, RunLabel(name='"><img src=x>', note=EVIL))
    shown = parse(manage_html(services, RunBoard(services).sizes, run.run_id))
    assert not shown.all("img")
    assert shown.one("input", name="name").attributes["value"] == '"><img src=x>'
    assert shown.one("textarea").text == EVIL
    assert {form.attributes["data-act"] for form in shown.all("form")} == {"label", "repeat", "grid"}
    options = shown.one("select", name="setting1").all("option")
    assert "learning_rate" in [option.attributes["value"] for option in options]
    assert manage_html(services, RunBoard(services).sizes, "gone") == ""


def test_the_queue_shows_its_order_and_that_it_waits_for_an_app(services: FakeServices, board: RunBoard):
    assert queue_html(services, board.summaries()) == ""
    first, second = (services.launcher.add_to_queue({"seed": seed}) for seed in (1, 2))
    board.forget_summaries()
    shown = parse(queue_html(services, board.summaries()))
    assert [item.attributes["data-run-id"] for item in shown.all("li")] == [first, second]
    assert "without it the queue waits" in shown.text
    assert [button.attributes["data-act"] for button in shown.all("li")[0].all("button")] == [
        "up",
        "down",
        "leave-queue",
    ]


class TestDisk:
    def test_what_would_go_is_shown_first(self, services, tmp_path):
        run = write_ended(tmp_path)
        write_model(run.paths.label, RunLabel(name=EVIL))
        shown = parse(disk_html(services, 0))
        assert "1 run holds" in shown.text
        assert EVIL in shown.one("ol").text
        assert shown.one("button").attributes["data-run-ids"] == run.run_id
        assert services.store.list()

    def test_a_limit_that_holds_and_a_trash_that_can_be_emptied(self, services, tmp_path):
        services.store.move_to_trash(write_ended(tmp_path))
        shown = parse(disk_html(services, 20))
        assert "nothing would go" in shown.text
        assert shown.one("button").attributes["data-act"] == "empty-trash"

    @pytest.mark.parametrize("limit", [None, -1, "x", float("nan"), float("inf"), True])
    def test_limits_that_cannot_be(self, services, limit):
        with pytest.raises(InputError, match="must be a number"):
            disk_html(services, limit)
