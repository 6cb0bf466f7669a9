"""What is typed and picked, in the page's address: read when a page opens, written when something changes.

The browser writes (``assets/page.js``); here an address is read, and what cannot be used in it is left
out, so that the widget keeps its own value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from gradio.components.base import FormComponent

MAX_ADDRESS_CHARS = 20_000


@dataclass(frozen=True)
class Linked:
    """One widget whose value stands in the address.

    Attributes:
        key: its name there.
        widget: the widget.
        parse: reads the text of an address; None where it cannot be used.
    """

    key: str
    widget: FormComponent
    parse: Callable[[str], Any]


def text(max_chars: int) -> Callable[[str], str | None]:
    """Read a text of limited length."""
    return lambda value: value if len(value) <= max_chars else None


def choice(*options: str) -> Callable[[str], str | None]:
    """Read one of some names."""
    return lambda value: value if value in options else None


def choices(*options: str) -> Callable[[str], list[str] | None]:
    """Read some of some names, parted by commas."""

    def parse(value: str) -> list[str] | None:
        found = [name for name in value.split(",") if name in options]
        return found or None

    return parse


def whole(low: int, high: int) -> Callable[[str], int | None]:
    """Read a whole number."""

    def parse(value: str) -> int | None:
        is_number = value.isascii() and value.isdigit() and len(value) <= 12
        return int(value) if is_number and low <= int(value) <= high else None

    return parse


def flag(value: str) -> bool | None:
    """Read a checkbox."""
    return {"true": True, "false": False}.get(value)


def read_address(query: object, links: Sequence[Linked]) -> dict[str, object]:
    """Return the values that an address holds and that can be used, by their key.

    Args:
        query: the part after the question mark, as the browser gave it.
        links: what may stand in it.
    """
    if not isinstance(query, str) or len(query) > MAX_ADDRESS_CHARS:
        return {}
    given = parse_qs(query.removeprefix("?"), keep_blank_values=True, max_num_fields=200, errors="replace")
    found = {}
    for link in links:
        if link.key in given:
            value = link.parse(given[link.key][-1])
            if value is not None:
                found[link.key] = value
    return found
