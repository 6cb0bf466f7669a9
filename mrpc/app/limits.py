"""Checks of what came from outside: a browser's own limits and choices are only a suggestion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.core.data.pairs import SPLITS
from mrpc.errors import DataError, InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.core.data.load import LoadedData

MAX_COMPARED = 3
"""Tokenizers that one pair is shown with, side by side."""


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
