"""How handlers are attached: inputs by name, a field for each output, errors where they belong."""

from __future__ import annotations

import json
import time
from typing import Any

import gradio as gr
import pytest
from anyio.from_thread import start_blocking_portal

from mrpc.app.inputs import Linked, text
from mrpc.app.task import Task, Tasks
from mrpc.app.view import View, bind, bind_changes
from mrpc.app.widgets import place, stage
from mrpc.errors import InputError


@pytest.fixture
def blocks() -> Any:

    async def enter() -> gr.Blocks:  # Gradio makes an event loop, and leaves it open, where none runs
        return gr.Blocks().__enter__()

    async def leave(demo: gr.Blocks) -> None:
        demo.__exit__()

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
        demo = portal.call(enter)
        yield demo
        portal.call(leave, demo)


def call(demo: Any, number: int, *values: Any, data: Any = None) -> Any:
    event = gr.EventData(None, data)
    return demo.fns[number].fn(event, *values)


def test_inputs_by_name_and_what_is_skipped_stays(blocks: Any) -> None:
    one, two, button = gr.Textbox(), gr.Textbox(), gr.Button()
    main, aside = place(), place()
    bind(
        button.click,
        lambda second, first, row: {"main": f"{first}-{second}-{row}"},
        {"first": one, "second": two},
        {"main": main, "aside": aside},
        data=("row",),
    )
    assert call(blocks, 0, "a", "b", data={"row": 3, "else": 4}) == {main: "a-b-3"}
    assert call(blocks, 0, "a", "b", data="no dict") == {main: "a-b-None"}


def test_nothing_to_change_is_said_for_each_output(blocks: Any) -> None:
    button, main, aside = gr.Button(), place(), place()
    bind(button.click, lambda: {}, {}, {"main": main, "aside": aside})
    assert call(blocks, 0) == {main: gr.skip(), aside: gr.skip()}


def test_one_output_takes_a_plain_value_and_several_do_not(blocks: Any) -> None:
    button, main, aside = gr.Button(), place(), place()
    bind(button.click, lambda: "text", {}, {"main": main})
    bind(button.click, lambda: "text", {}, {"main": main, "aside": aside})
    assert call(blocks, 0) == {main: "text"}
    with pytest.raises(AssertionError):
        call(blocks, 1)


def test_an_error_is_shown_in_the_message_or_as_a_toast(blocks: Any) -> None:
    def refuse() -> None:
        raise InputError("a <b> is not allowed")

    button, message = gr.Button(), place()
    bind(button.click, refuse, {}, {"message": message})
    bind(button.click, refuse, {}, {})
    said = call(blocks, 0)[message]
    assert "a &lt;b&gt; is not allowed" in said
    assert 'role="alert"' in said
    with pytest.raises(InputError):
        call(blocks, 1)


def test_parts_come_one_after_the_other(blocks: Any) -> None:
    def parts() -> Any:
        yield {"main": "one"}
        yield {"main": "two", "aside": "aside"}

    button, main, aside = gr.Button(), place(), place()
    bind(button.click, parts, {}, {"main": main, "aside": aside})
    assert list(call(blocks, 0)) == [{main: "one"}, {main: "two", aside: "aside"}]


def test_a_view_stamps_its_stage_and_empties_the_rest_on_an_error(blocks: Any) -> None:
    def draw(text: str) -> dict[str, Any]:
        if not text:
            raise InputError("Type something.")
        return {"main": f"<p>{text}</p>", "aside": "aside"}

    text, main, aside = gr.Textbox(), stage("one"), place()
    View("one", {"text": text}, {"main": main, "aside": aside}, draw).bind()
    drawing = next(number for number, fn in blocks.fns.items() if fn.fn is not None)
    assert call(blocks, drawing, "hi", data={"asked": 7}) == {main: "<p>hi</p><!--7-->", aside: "aside"}
    answer = call(blocks, drawing, "", data={"asked": "<script>"})
    assert "Type something." in answer[main]
    assert "<!--" not in answer[main]  # the page told no number
    assert answer[aside] == ""


def test_all_changes_are_noticed_by_one_event(blocks: Any) -> None:
    one, two, three, button = gr.Textbox(), gr.Textbox(), gr.Textbox(), gr.Button(elem_classes="mine")
    View("first", {"one": one, "two": two}, {"main": stage("first")}, lambda **values: "").bind()
    View(
        "second",
        {"one": one, "two": two, "three": three},
        {"main": stage("second", follows=False)},
        lambda **values: "",
        on_demand=button,
    ).bind()
    four = gr.Textbox("usual")
    bind_changes(blocks, [Linked("one", one, text(9)), Linked("four", four, text(9))])
    (noticed,) = [fn for fn in blocks.fns.values() if fn.fn is None]
    watched = [one, two, three, four]
    assert noticed.targets == [(each._id, "change") for each in watched]
    assert noticed.inputs == watched
    told = json.loads(str(noticed.js).removeprefix("(...values) => mrpc.noticed(").removesuffix(", values)"))
    assert told == [
        [["first", "second"], "one", None],
        [["first", "second"], "", None],
        [["second"], "", None],
        [[], "four", "usual"],
    ]
    assert button.elem_classes == ["mine", "draws-second"]


def test_long_work_shows_how_far_it_is(blocks: Any) -> None:
    def work(task: Task) -> dict[str, Any]:
        task.progress("Counting", 1, 3)
        time.sleep(0.5)
        return {"main": "done"}

    button, main, aside = gr.Button(), place(), place()
    bind(button.click, work, {}, {"main": main, "aside": aside}, tasks=Tasks())
    request = gr.Request(session_hash="x")
    steps = list(blocks.fns[0].fn(gr.EventData(None, None), request))
    assert "Counting: 1 of 3" in steps[0][main]
    assert "data-cancel" in steps[0][main]
    assert steps[-1] == {main: "done"}


def test_what_changes_something_is_the_owners_unless_said_otherwise(blocks: Any) -> None:
    button, other = gr.Button(), gr.Button()
    bind(button.click, lambda: None, {}, {}, changes=True)
    bind(other.click, lambda: None, {}, {})
    assert not getattr(blocks.fns[0].fn, "for_visitors", False)
    assert blocks.fns[1].fn.for_visitors
    assert "owners" in button.elem_classes
    assert "owners" not in other.elem_classes
