"""Answers to a person's own pairs. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrpc.app.compare.render_changes import SHORT_LABELS
from mrpc.app.tables import Table, column, marked, table
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.own_pairs import OwnAnswers

MAX_SHOWN = 1000


def describe_answers(found: OwnAnswers) -> str:
    """Say how many pairs there were, how many answers differ, and how fast it went."""
    num = len(found.pairs)
    rate = 2 * num / max(found.duration_s, 1e-9)
    words = (
        f"{num:,} pairs, {found.num_changed:,} answered differently. "
        f"{found.duration_s:.1f} s, {rate:,.0f} answers per second."
    )
    if num > MAX_SHOWN:
        words += f" The table shows the {MAX_SHOWN:,} largest changes; the download has all."
    return words


def answers_table(found: OwnAnswers) -> Table:
    """Return the answers as a table, the largest change first, at most 1,000 of them."""
    left, right = found.left.prob_equivalent, found.right.prob_equivalent
    order = sorted(range(len(found.pairs)), key=lambda at: -abs(right[at] - left[at]))[:MAX_SHOWN]
    columns = [
        column("number", "Line", "number", help="place in what you gave, from 1"),
        column("sentence1", "Sentence 1", "diff"),
        column("sentence2", "Sentence 2", "diff"),
        column("left", "Left", "percent", help="probability of “equivalent” on the left, in percent"),
        column("right", "Right", "percent", help="probability of “equivalent” on the right, in percent"),
        column("change", "Change", "percent", signed=True),
    ]
    if any(pair.label is not None for pair in found.pairs):
        columns.append(column("label", "Your label"))
    rows = []
    for at in order:
        pair = found.pairs[at]
        first, second = mark_differences(pair.sentence1, pair.sentence2)
        rows.append(
            {
                "id": at,
                "number": at + 1,
                "sentence1": marked(first),
                "sentence2": marked(second),
                "left": round(float(left[at]), 4),
                "right": round(float(right[at]), 4),
                "change": round(float(right[at] - left[at]), 4),
                "label": "" if pair.label is None else SHORT_LABELS[pair.label],
            }
        )
    return table(columns, rows, "Your pairs", "your-pairs.csv", page_size=10)
