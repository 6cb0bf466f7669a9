"""How far long work is: the work tells it to a function that its caller gives."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]
"""Takes what is being done, in words, how many are done, and how many there are; may raise to end it."""


def silent(what: str, num_done: int, num_total: int) -> None:
    """Tell nobody how far the work is."""
