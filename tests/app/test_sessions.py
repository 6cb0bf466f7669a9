"""What is remembered of each page is little, and is enough."""

from __future__ import annotations

import gradio as gr
from anyio.from_thread import start_blocking_portal
from gradio.state_holder import SessionState, StateHolder

from mrpc.app.access import Access
from mrpc.app.page import Page
from mrpc.settings import Settings


def page() -> tuple[Page, gr.Dropdown, gr.State]:
    async def build() -> tuple[Page, gr.Dropdown, gr.State]:  # Gradio leaves a loop open where none runs
        with Page(Access(Settings())) as demo:
            choice, memory = gr.Dropdown(["a"], value="a"), gr.State([1])
        return demo, choice, memory

    with start_blocking_portal() as portal:  # in a thread: Playwright's loop may be running in this one
        return portal.call(build)


def test_a_session_keeps_the_widgets_that_were_changed_in_it_and_no_others() -> None:
    demo, choice, memory = page()
    session = demo.new_session()
    assert not session.config_values
    assert SessionState(demo).config_values  # as Gradio makes it
    assert session[choice._id] is choice
    assert session[memory._id] == [1]
    session._update_config(choice._id)  # as after an event that changed it
    assert list(session.config_values) == [choice._id]
    assert demo.new_session()[choice._id] is choice


def test_a_served_page_makes_such_sessions() -> None:
    demo, choice, _ = page()
    holder = StateHolder()
    holder.set_blocks(demo)
    demo.keep_sessions_small()
    session = holder["someone"]
    assert not session.config_values
    assert choice._id in session
    assert holder["someone"] is session
