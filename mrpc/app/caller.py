"""Who asks for what is done now: the owner of the app, or which visitor. No gradio here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        is_owner: whether they may do everything.
        visitor: a mark of a visitor's browser; "" where it keeps no cookie.
        address: where the request comes from.
        is_app: whether nobody asks: the app does it by itself.
    """

    is_owner: bool
    visitor: str = ""
    address: str = ""
    is_app: bool = False


THIS_PROCESS = Caller(is_owner=True, is_app=True)
"""What is done without a request: by the app itself, or by a test."""

_caller: ContextVar[Caller] = ContextVar("caller", default=THIS_PROCESS)


def caller() -> Caller:
    """Return who asks for what this thread does now."""
    return _caller.get()


@contextmanager
def called_by(who: Caller) -> Iterator[None]:
    """Do what is inside on behalf of somebody."""
    before = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(before)
