"""A pair by the id of its row in a table: "validation:12", "train:5", "changed number:3"; or any pair."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mrpc.app.compare.behavioral import find_result
from mrpc.app.limits import check_whole, find_split
from mrpc.core.data.pairs import SPLITS, SentencePair
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.compare.comparisons import Comparisons

ANY = "any"


def find_row(comparisons: Comparisons, first: object, second: object, row_id: object) -> SentencePair:
    """Return a pair of the sides' data, or a case of a behavioural test.

    Args:
        comparisons: finds sides, data and tests.
        first: the name of one side.
        second: the name of the other.
        row_id: from a browser, as the module's docstring says; "validation:any" is a random pair.

    Raises:
        InputError: when there is no such pair.
    """
    origin, _, number = row_id.rpartition(":") if isinstance(row_id, str) else ("", "", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 10
    if not origin or not (is_number or number == ANY):
        raise InputError(f"There is no pair {str(row_id)[:40]!r}.")
    if origin not in SPLITS:
        results = comparisons.compare(first, second).behavioral_tests()
        case = find_result(results, origin).case(int(number) if is_number else None)
        return SentencePair(case.sentence1, case.sentence2)
    sides = comparisons.catalog.find_two(first, second)
    rows = find_split(comparisons.shelf.get(sides.second.data or sides.first.data), origin)
    row = int(number) if is_number else random.randrange(len(rows))
    return SentencePair(**rows[check_whole(row, f"The number of a pair of {origin}", 0, len(rows) - 1)])
