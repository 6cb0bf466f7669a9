"""What comes from outside, checked before it is used: the inputs of handlers, and the page's address.

A browser's own limits and choices are only a suggestion, so a handler refuses in words what it cannot use.
What is typed and picked also stands in the page's address, which is read when a page opens; the browser
writes it (``assets/page.js``). What cannot be used there is left out: the widget keeps its own value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from mrpc.core.data.pairs import SPLITS
from mrpc.errors import DataError, InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from gradio.components.base import FormComponent

    from mrpc.core.data.load import LoadedData

MIN_LENGTH, MAX_LENGTH, DEFAULT_LENGTH = 8, 512, 128
"""To how many tokens a pair that is shown may be cut."""

MAX_COMPARED = 3
"""Tokenizers that one pair is shown with, side by side."""

MAX_BATCH_ROWS = 16
"""Pairs of a batch that is shown, padded or on its way through the model."""

MAX_ADDRESS_CHARS = 20_000


# ---------------------------------------------------------------- of handlers


def find_split(data: LoadedData, split: object) -> Dataset:
    """Return the rows of a split, at least one.

    Raises:
        InputError: there is no such split.
        DataError: it is empty.
    """
    if split not in SPLITS:
        raise InputError(f"split is {str(split)[:60]!r}; it must be one of {', '.join(SPLITS)}.")
    rows: Dataset = data.split(str(split))
    if len(rows) == 0:
        raise DataError(f"The split {split} has no rows.")
    return rows


def check_whole(value: object, name: str, low: int, high: int) -> int:
    """Return a whole number between ``low`` and ``high``, given as an int or as a float without a fraction.

    Raises:
        InputError: it is something else; names the field, the value and the range.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        whole = int(value)
        if whole == value:
            return whole
    raise InputError(f"{name} is {str(value)[:60]!r}; it must be a whole number from {low:,} to {high:,}.")


def check_number(value: object, name: str, low: float, high: float) -> float:
    """Return a finite number between ``low`` and ``high``.

    Raises:
        InputError: it is something else; names the field, the value and the range.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)  # NaN is in no range
    raise InputError(f"{name} is {str(value)[:60]!r}; it must be a number from {low:g} to {high:g}.")


# ---------------------------------------------------------------- of the address


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
    parse: Callable[[str], object]


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
