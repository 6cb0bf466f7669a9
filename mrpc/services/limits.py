"""Checks of numbers that came from outside: a browser's own limits are only a suggestion."""

from __future__ import annotations

from mrpc.errors import InputError


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
