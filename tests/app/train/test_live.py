"""What a page is sent that follows what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from mrpc.app.templates import render
from mrpc.app.theme import ASSETS_DIR
from mrpc.app.train.live import (
    BESIDE_AGE_S,
    LOOK_AGE_S,
    MAX_QUESTIONS_PER_S,
    MAX_WAIT_S,
    RUN_PARTS,
    Live,
    Part,
    RunBoard,
)
from mrpc.app.train.overlay import NUM_SLOTS
from mrpc.app.train.take_away import usage_code
from mrpc.files import write_model
from mrpc.runs.events import CheckpointEvent
from mrpc.runs.layout import RunLabel, RunStatus
from tests.html import Element, parse
from tests.written_run import step_event, write_ended, write_events, write_running, write_status

EVIL = "<img src=x onerror=alert(1)>"


class Page:
    """Asks as a page does, and keeps what it was told."""

    def __init__(
        self, live: Live, name: str = "page", run_id: Any = "", chosen: Any = "", seen: Any = None
    ) -> None:
        self.live, self.name, self.run_id, self.chosen, self.seen = live, name, run_id, chosen, seen
        self.has: dict[str, str] = {}
        self.answer: dict[str, Any] = {}

    def ask(self) -> dict[str, Any]:
        """Return the content of the parts that are new."""
        asked = {
            **{"page": self.name, "run_id": self.run_id, "chosen": self.chosen},
            **{"has": self.has, "seen": self.seen},
        }
        self.live._looks.trim(0)  # as if some time had passed
        self.answer = json.loads(self.live.answer(asked))
        self.has |= {name: mark for name, (mark, _) in self.answer["parts"].items()}
        return {name: content for name, (_, content) in self.answer["parts"].items()}


def acts(actions: str) -> set[str]:
    buttons = parse(actions).all("button", cls="act")
    return {button.attributes["data-act"] for button in buttons if "data-act" in button.attributes}


def test_each_part_has_one_name_and_one_place():
    places = [
        render(f"train/{name}.html", Part=Part, num_slots=NUM_SLOTS)
        for name in ("run_live", "runs_live", "foreign_live")
    ]
    named = re.findall(r'data-part="([\w-]+)"', "".join(places))
    assert sorted(named) == sorted(Part)
    assert set(Part) > RUN_PARTS
    for asset in ("live.js", "app.css"):
        text = (ASSETS_DIR / asset).read_text(encoding="utf-8")
        assert not re.search(r"data-part=[\"']?[\w-]+", text), f"{asset} names a part"


class TestParts:
    def test_all_is_sent_once(self, live, tmp_path):
        run = write_ended(tmp_path)
        page = Page(live, run_id=run.run_id)
        parts = page.ask()
        assert "finished" in parts[Part.STATUS]
        assert "text_pair" in parts[Part.USAGE]
        assert parts[Part.RUNS]["rows"][0]["id"] == run.run_id
        assert page.answer["run_id"] == run.run_id
        assert page.ask() == {}

    def test_only_what_is_in_sight_is_made_and_sent(self, live, tmp_path, monkeypatch):
        run = write_ended(tmp_path)
        monkeypatch.setattr("mrpc.app.train.live.runs_table", lambda *arguments: pytest.fail("not in sight"))
        page = Page(live, run_id=run.run_id, seen=[Part.STATUS, Part.QUEUE, "more", 3])
        assert page.ask().keys() == {Part.STATUS, Part.QUEUE}

    def test_new_steps_send_figures_but_not_the_log(self, live, tmp_path):
        run = write_running(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        write_events(run, [step_event(31, 90)])
        parts = page.ask()
        assert parts.keys() == {Part.STATUS, Part.PLOTS}
        assert parts[Part.PLOTS]["loss"]["data"][0]["x"][-1] == 31

    def test_the_end_brings_other_buttons(self, live, tmp_path):
        run = write_running(tmp_path)
        page = Page(live, run_id=run.run_id)
        assert acts(page.ask()[Part.ACTIONS]) == {"keep", "discard"}
        wait_s = page.answer["wait_s"]
        write_status(run, 90, 90, outcome="finished")
        assert acts(page.ask()[Part.ACTIONS]) == set()
        assert page.answer["wait_s"] > wait_s, "nothing more is to come"

    def test_a_page_without_a_run_is_told_of_one_that_started_elsewhere(self, board, live, tmp_path):
        page = Page(live)
        assert "No run yet" in page.ask()[Part.STATUS]
        mark = page.answer["runs"]
        assert page.ask() == {}
        write_running(tmp_path)
        board.forget_summaries()
        page.ask()
        assert page.answer["runs"] != mark

    def test_another_name_changes_the_list_of_runs(self, board, live, tmp_path):
        run = write_ended(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        mark = page.answer["runs"]
        write_model(run.paths.label, RunLabel(name="mine"))
        board.forget_summaries()
        assert parse(page.ask()[Part.STATUS]).one("h2").text == "mine"
        assert page.answer["runs"] != mark

    def test_a_run_that_is_gone_is_said_to_be(self, live, tmp_path):
        page = Page(live, run_id="20260101-000000-gone-0000")
        page.ask()
        assert page.answer["run_id"] == ""

    def test_many_pages_cost_one_rendering(self, board, live, tmp_path, monkeypatch):
        run = write_running(tmp_path)
        renderings = []
        render = board._put_together
        monkeypatch.setattr(board, "_put_together", lambda view: renderings.append(1) or render(view))
        for number in range(50):
            Page(live, f"page {number}", run.run_id).ask()
        assert len(renderings) == 1

    def test_many_pages_share_what_may_be_asked(self, live, tmp_path):
        run = write_running(tmp_path)
        pages = [Page(live, f"page {number}", run.run_id) for number in range(50)]
        for page in pages:
            page.ask()
        assert pages[0].answer["wait_s"] == 1.0
        assert pages[-1].answer["wait_s"] == min(MAX_WAIT_S, max(1.0, 50 / MAX_QUESTIONS_PER_S))

    @pytest.mark.slow
    def test_two_thousand_questions_of_many_pages_leave_memory_and_handles_flat(self, live, tmp_path):
        runs = [write_ended(tmp_path, num_steps=20, seed=seed) for seed in range(50)]

        def ask(times: int) -> None:
            for number in range(times):
                run_id = runs[number % 50].run_id
                chosen = f"{run_id},{runs[number % 7].run_id}" if number % 20 == 0 else ""
                live.answer({"page": f"page {number}", "run_id": run_id, "chosen": chosen, "has": {}})

        ask(500)
        process = psutil.Process()
        memory, handles = process.memory_info().rss, process.num_fds()
        ask(2_000)
        assert process.num_fds() <= handles  # those of earlier tests may be closed meanwhile
        assert process.memory_info().rss - memory < 4_000_000

    def test_what_was_looked_up_is_fresh_again_soon(self):
        assert LOOK_AGE_S < BESIDE_AGE_S <= 1.0

    @pytest.mark.parametrize(
        "value", [None, 3, "a,b", [None], [[]], {"status": []}, "../..," + EVIL, ",".join("x" * 50)]
    )
    def test_whatever_a_browser_sends(self, live, tmp_path, value):
        write_ended(tmp_path)
        for asked in (
            value,
            {"page": value, "run_id": value, "chosen": value, "has": value, "seen": value},
            {"run_id": "", "has": {"status": value}},
        ):
            assert "<img" not in live.answer(asked)

    def test_an_overlay_is_small(self, live, tmp_path):
        runs = [write_ended(tmp_path, num_steps=2_000, seed=seed) for seed in range(8)]
        chosen = ",".join(run.run_id for run in runs)
        parts = Page(live, run_id=runs[0].run_id, chosen=chosen).ask()
        assert len(parts[Part.OVERLAY_PLOTS]["loss"]["data"]) == 8
        assert len(json.dumps(parts[Part.OVERLAY_PLOTS])) < 30_000
        assert len(parse(parts[Part.OVERLAY]).rows()) == 8

    def test_what_is_pinned_is_sent_alone(self, services, live, tmp_path):
        run = write_running(tmp_path)
        page = Page(live, run_id=run.run_id)
        page.ask()
        run.pin_pairs([("a", "b")])
        live.forget()
        parts = page.ask()
        assert parts.keys() == {Part.PINNED, Part.PINNED_PLOT}
        assert "seed 42" in parts[Part.PINNED_PLOT]["caption"]

    def test_foreign_things_are_named_with_the_reason(self, live, tmp_path):
        (tmp_path / EVIL.replace("/", "")).mkdir()
        (tmp_path / "link").symlink_to("/etc")
        shown = parse(Page(live).ask()[Part.FOREIGN])
        assert "a link, not followed" in shown.text
        assert "has no config.json" in shown.text
        assert not shown.all("img")

    def test_repeats_are_shown_for_the_run_that_is_looked_at(self, live, tmp_path):
        source = write_ended(tmp_path, seed=1)
        assert Page(live, run_id=source.run_id).ask()[Part.SEEDS] == ""
        repeat = write_ended(tmp_path, seed=2)
        write_model(repeat.paths.config, repeat.config.model_copy(update={"group": source.run_id}))
        live.forget()
        for run in (source, repeat):
            parts = Page(live, run_id=run.run_id).ask()
            assert "Mean and standard deviation of 2 of 2 runs" in parts[Part.SEEDS]
            assert parts[Part.SEEDS_PLOT]["seeds"]["data"]


class TestActions:
    def shown(self, board: RunBoard, run: Any) -> Element:
        return parse(str(board.show(run.run_id).parts[Part.ACTIONS]))

    def test_end_now_is_offered_while_it_saves(self, board, tmp_path):
        run = write_running(tmp_path, step=30)
        write_events(run, [CheckpointEvent(step=20, num_bytes=1, duration_s=1)])
        run.request_stop(save=True)
        (button,) = self.shown(board, run).all("button")
        assert (button.attributes["data-act"], button.text) == ("end-now", "End now, lose 10 steps")

    @pytest.mark.parametrize("outcome", ["stopped", "failed", "interrupted"])
    def test_what_was_cut_can_be_resumed(self, board, tmp_path, outcome):
        shown = self.shown(board, write_ended(tmp_path, outcome))
        assert shown.all("button", data_act="resume")

    def test_what_cannot_go_on_is_not_offered_to(self, board, tmp_path):
        for run in (write_ended(tmp_path, "stopped", loop="trainer"), write_ended(tmp_path, "discarded")):
            assert not self.shown(board, run).all("button", data_act="resume")

    def test_a_finished_run_leads_to_compare_and_asks_before_test(self, board, tmp_path):
        shown = self.shown(board, write_ended(tmp_path))
        assert shown.one("a").attributes["data-go"] == "compare/pair"
        assert "Look at test once" in shown.one("details").text
        assert shown.one("details").one("button").attributes["data-act"] == "predict-test"
        assert shown.all("button", data_take="model")

    def test_only_the_owner_sees_what_changes_something_bright(self, board, tmp_path):
        for run in (write_ended(tmp_path), write_running(tmp_path), write_ended(tmp_path, "stopped")):
            for button in self.shown(board, run).all("button"):
                assert bool({"owners", "ending"} & set(button.classes)) == ("data-act" in button.attributes)


def test_the_numbers_behind_the_plots_are_a_table(board: RunBoard, tmp_path: Path) -> None:
    run = write_ended(tmp_path)
    rows = parse(str(board.show(run.run_id).parts[Part.READING])).rows()
    assert [row[0] for row in rows] == ["untrained", "1", "2", "3"]
    assert rows[-1] == ["3", "0.390", "84.0", "85.0", "25 of 40"]


def test_code_that_uses_a_model_names_no_folder_of_the_server(board: RunBoard, tmp_path: Path) -> None:
    run = write_ended(tmp_path)
    shown = parse(str(board.show(run.run_id).parts[Part.USAGE])).one("code")
    assert shown.raw_text == usage_code(f"{run.run_id}-best")
    compile(shown.raw_text, "usage", "exec")
    assert str(tmp_path) not in shown.raw_text


def test_the_log_is_text(board: RunBoard, tmp_path: Path) -> None:
    run = write_ended(tmp_path)
    assert "Nothing was printed yet" in str(board.show(run.run_id).parts[Part.LOG])
    run.paths.log.write_text("<b>loud</b>")
    assert parse(str(board.show(run.run_id).parts[Part.LOG])).one("pre").text == "<b>loud</b>"


def test_a_record_that_cannot_be_read_is_counted(board: RunBoard, tmp_path: Path) -> None:
    run = write_ended(tmp_path)
    run.paths.events.write_bytes(b'{"torn": \n\xff\xfe garbage\n')
    write_model(run.paths.status, RunStatus(outcome="finished"))
    shown = parse(str(board.show(run.run_id).parts[Part.STATUS]))
    assert "2 lines of this run's record cannot be read." in shown.text
