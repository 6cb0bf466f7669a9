"""The 2 x 2 of right and wrong, the pairs of a cell, and kinds of pairs. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrpc.app.tables import Table, column, marked, table
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.changes import FlippedPair, SliceScore
    from mrpc.core.analysis.statistics import Transitions

CELL_WORDS = {
    "fixed": "Fixed",
    "broken": "Broken",
    "both_right": "Right both times",
    "both_wrong": "Wrong both times",
}
CELL_HELP = {
    "fixed": "left wrong, right right",
    "broken": "left right, right wrong",
    "both_right": "nothing to do",
    "both_wrong": "still to be learned, or a label to doubt",
}
SHORT_LABELS = ("not eq.", "equivalent")


def render_cells(counts: Transitions, shown: str) -> str:
    """Draw the four cells as buttons; the one that is shown is pressed.

    Args:
        counts: pairs in each cell.
        shown: the cell whose pairs are listed, or another word for none.
    """

    def cell(name: str) -> str:
        pressed = "true" if name == shown else "false"
        return (
            f'<td><button type="button" class="cmp-cell cmp-{name}" data-id="{name}" '
            f'aria-pressed="{pressed}"><b>{getattr(counts, name):,}</b> {CELL_WORDS[name]}'
            f"<small>{CELL_HELP[name]}</small></button></td>"
        )

    return (
        '<table class="cmp-cells"><caption class="cmp-hidden">Right and wrong answers of both sides</caption>'
        '<thead><tr><td></td><th scope="col">right side right</th>'
        '<th scope="col">right side wrong</th></tr></thead><tbody>'
        f'<tr><th scope="row">left side wrong</th>{cell("fixed")}{cell("both_wrong")}</tr>'
        f'<tr><th scope="row">left side right</th>{cell("both_right")}{cell("broken")}</tr></tbody></table>'
    )


def render_counts(counts: Transitions) -> str:
    """Say in a sentence how many pairs are in each cell."""
    said = ", ".join(f"{getattr(counts, name):,} {words.lower()}" for name, words in CELL_WORDS.items())
    return f"<p>{said}. Of the changed pairs, those whose probability moved most are listed.</p>"


def flips_table(pairs: Sequence[FlippedPair], name: str) -> Table:
    """Return pairs with both probabilities and the words that differ marked.

    Args:
        pairs: in the order in which they are shown.
        name: what they have in common, for the caption and the file.
    """
    columns = [
        column("row", "Pair", "number", help="its number in the split"),
        column("sentence1", "Sentence 1", "diff"),
        column("sentence2", "Sentence 2", "diff"),
        column("label", "Corpus"),
        column("left", "Left", "percent", help="probability of “equivalent” on the left, in percent"),
        column("right", "Right", "percent", help="probability of “equivalent” on the right, in percent"),
        column("change", "Change", "percent", signed=True, help="right minus left, in points"),
        column("cell", "Result"),
    ]
    rows = []
    for pair in pairs:
        first, second = mark_differences(pair.sentence1, pair.sentence2)
        rows.append(
            {
                "id": pair.row,
                "row": pair.row,
                "sentence1": marked(first),
                "sentence2": marked(second),
                "label": SHORT_LABELS[pair.label],
                "left": round(pair.left, 4),
                "right": round(pair.right, 4),
                "change": round(pair.change, 4),
                "cell": CELL_WORDS[pair.cell].lower(),
            }
        )
    file = "pairs-" + "".join(c if c.isalnum() else "-" for c in name.lower()) + ".csv"
    return table(columns, rows, f"Pairs: {name}", file, open_label="Open", page_size=10)


def slices_table(scores: Sequence[SliceScore]) -> Table:
    """Return kinds of pairs with both accuracies, the worst of the right side first."""
    columns = [
        column("name", "Kind of pair"),
        column("num_pairs", "Pairs", "number"),
        column("left", "Left", "percent", help="accuracy on the left, in percent"),
        column("right", "Right", "percent", help="accuracy on the right, in percent"),
        column("low", "from", "percent", help="lower end of the 95 % interval of the right side"),
        column("high", "to", "percent", help="upper end of the 95 % interval of the right side"),
        column("fixed", "Fixed", "number"),
        column("broken", "Broken", "number"),
        column("p", "p, corrected", "number", digits=3, help="that the right side does here as elsewhere"),
        column("reading", "Reading"),
    ]
    rows = [
        {
            "id": score.name,
            "name": score.name,
            "num_pairs": score.num_pairs,
            "left": score.left_accuracy,
            "right": score.right_accuracy,
            "low": score.right_interval.low,
            "high": score.right_interval.high,
            "fixed": score.fixed,
            "broken": score.broken,
            "p": round(score.p, 4),
            "reading": _reading(score, scores),
        }
        for score in scores
    ]
    return table(columns, rows, "Kinds of pairs", "kinds-of-pairs.csv", open_label="Show", page_size=12)


def _reading(score: SliceScore, scores: Sequence[SliceScore]) -> str:
    if score.p >= 0.05:
        return "as elsewhere"
    middle = sorted(item.right_accuracy for item in scores)[len(scores) // 2]
    return "worse than elsewhere" if score.right_accuracy < middle else "better than elsewhere"
