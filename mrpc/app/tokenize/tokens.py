"""How a token looks: its chip, the words that describe it, and the characters it stands for.

The templates of this tab draw it (``tokens.html``). Chip, table row and characters of one token carry the
same ``data-i``; ``assets/chips.js`` links them when one is pointed at or focused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrpc.core.text.tokenization import TokenRow


@dataclass(frozen=True)
class Chip:
    """A token as it is drawn.

    Attributes:
        row: what is known about it.
        classes: those that give it its look.
        kind: what it is, in a word or two.
        said: all of it in words, for who cannot see it.
        is_odd: whether it is ringed.
    """

    row: TokenRow
    classes: str
    kind: str
    said: str
    is_odd: bool


@dataclass(frozen=True)
class Piece:
    """Some characters of a sentence that belong to the same tokens.

    Attributes:
        text: the characters.
        tokens: positions of the tokens that stand for them, parted by spaces; "" for none.
        is_cut: whether truncation cut their token away.
    """

    text: str
    tokens: str
    is_cut: bool


def chips(rows: Sequence[TokenRow], odd: Collection[int] = ()) -> list[Chip]:
    """Return the chips of tokens; those at the places ``odd`` are ringed."""
    return [
        Chip(
            row,
            chip_classes(row),
            token_kind(row),
            describe_token(row) + (", differs" if place in odd else ""),
            place in odd,
        )
        for place, row in enumerate(rows)
    ]


def chip_classes(row: TokenRow) -> str:
    """Return the classes that give a token its look."""
    if row.is_padding:
        return "pad"
    segment = "special" if row.sequence_id is None else f"s{row.sequence_id + 1}"
    marks = [
        *(["special"] if row.is_special and row.sequence_id is not None else []),
        *(["cont"] if row.is_continuation else []),
        *(["unk"] if row.is_unknown else []),
    ]
    return " ".join([segment, *marks])


def describe_token(row: TokenRow) -> str:
    """Say in words what a chip shows."""
    where = f", characters {row.start} to {row.end}" if row.end > row.start else ""
    types = "" if row.token_type_id is None else f", token type {row.token_type_id}"
    origin = "added by the tokenizer" if row.sequence_id is None else f"sentence {row.sequence_id + 1}"
    place = f"position {row.position}, id {row.id}, {origin}"
    return f"{row.token}, {place}{types}{where}, {token_kind(row)}"


def token_kind(row: TokenRow) -> str:
    """Name what a token is."""
    if row.is_padding:
        return "padding"
    if row.is_special:
        return "special" if row.sequence_id is None else "special, typed"
    if row.is_unknown:
        return "unknown"
    return "continuation" if row.is_continuation else "word start"


def pieces(text: str, rows: Sequence[TokenRow], cut_rows: Sequence[TokenRow]) -> list[Piece]:
    """Cut a sentence where its tokens begin and end; several tokens may share a character.

    Args:
        text: the sentence.
        rows: its tokens.
        cut_rows: those that truncation cut away.
    """
    cut_from = min((row.start for row in cut_rows), default=len(text) + 1)
    edges = sorted({0, len(text), *(edge for row in rows for edge in (row.start, row.end))})
    covering: dict[int, list[int]] = {}
    for row in rows:
        for start in edges[bisect_left(edges, row.start) : bisect_left(edges, row.end)]:
            covering.setdefault(start, []).append(row.position)
    return [
        Piece(
            text[start:end],
            " ".join(map(str, covering.get(start, []))),
            start not in covering and start >= cut_from - 1,
        )
        for start, end in pairwise(edges)
    ]
