"""What a script of ours in the page tells with an event.

It is untrusted, and absent when it was the server that changed the value.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


def told(event: gr.EventData, name: str) -> Any:
    """Return one entry of an event's data; None where there is none."""
    data = event._data  # the public attribute access of EventData fails on an event without data
    return data.get(name) if isinstance(data, dict) else None
