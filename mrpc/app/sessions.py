"""What Gradio remembers of a page that somebody opened: the widgets that were changed there, and no more.

Gradio also keeps the configuration of every widget for each page, and for each call of a script, so that its
deep links can restore it. This page has its own address for that. For a page of 317 widgets they are half a
megabyte and 40 ms of the thread that answers everybody.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.state_holder import SessionState

MAX_SESSIONS = 2000
"""Pages and scripts that are remembered, those used last; each takes 0.02 MB. A page that was forgotten works
on, with the lists of choices that a new page has."""


class _Widgets:
    """As much of a page as Gradio makes a session from, and no widgets to keep the configuration of."""

    def __init__(self, demo: gr.Blocks) -> None:
        self.default_config = demo.default_config
        self.blocks: dict[int, gr.blocks.Block] = {}


def new_session(demo: gr.Blocks) -> SessionState:
    """Return what is remembered of a page that was just opened."""
    widgets: Any = _Widgets(demo)
    return SessionState(widgets)


def keep_sessions_small(demo: gr.Blocks) -> None:
    """Let a page that is served make its sessions so, too."""
    holder: Any = demo.state_holder
    holder.blocks = _Widgets(demo)
