"""Tokens for people: chips, the table under them, and the raw sentences with the same spans marked.

Chip, table row and span of one token carry the same ``data-i``; ``assets/tokenize.js`` links them when one
is pointed at or focused. Everything that a person typed is escaped here.
"""

from __future__ import annotations

import html
from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrpc.app.tokenize.inspection import PairInspection
    from mrpc.core.text.tokenization import TokenRow

MAX_CUT_CHIPS = 200

LEGEND = (
    ("s1", "sentence", "sentence 1"),
    ("s2", "sentence", "sentence 2"),
    ("special", "[SEP]", "special token"),
    ("s1 cont", "##s", "continues a word"),
    ("s1 unk", "[UNK]", "not in the vocabulary"),
    ("pad", "[PAD]", "padding, masked out"),
    ("s1 cut", "cut", "cut away"),
)
"""Classes, sample and meaning of each look a chip can have."""

_COLUMNS = (
    "position",
    "token",
    "id",
    "token_type_id",
    "attention_mask",
    "sentence",
    "characters",
    "word",
    "kind",
)


def render_inspection(inspection: PairInspection) -> str:
    """Draw one pair: sentences, chips, the token pointed at, and the table, all linked."""
    note = "" if inspection.uses_token_type_ids else render_no_types()
    return (
        '<div class="tk-linked tk-inspection"><div class="tk-over">'
        f"{render_sentences(inspection)}"
        '<div class="tk-detail" role="status" data-tk-detail>'
        "<p>Point at a token, or walk with the arrow keys, to see all about it.</p></div></div>"
        '<div class="tk-main">'
        f"<h3>{count(len(inspection.rows), 'token')}</h3>{note}"
        f"{render_chips(inspection.rows, 'Tokens of the pair')}"
        f"{_render_cut(inspection)}"
        f"{render_legend()}</div>"
        f'<div class="tk-side">{render_table(inspection.rows)}</div></div>'
    )


def render_no_types() -> str:
    """Say that a model has no token types."""
    return (
        '<p class="tk-note"><code>token_type_ids</code>: not used by this model. '
        "The colours come from <code>sequence_ids()</code>, which every fast tokenizer has.</p>"
    )


def render_sentences(inspection: PairInspection) -> str:
    """Draw both raw sentences with the characters of each token marked."""
    parts = []
    cut_from = [
        min((row.start for row in inspection.cut_rows if row.sequence_id == s), default=None) for s in (0, 1)
    ]
    for number, text in enumerate((inspection.sentence1, inspection.sentence2)):
        rows = [row for row in inspection.rows if row.sequence_id == number]
        parts.append(
            f'<div class="tk-sentence s{number + 1}"><span class="tk-name">Sentence {number + 1}</span>'
            f'<p class="tk-text" dir="auto">{_marked(text, rows, cut_from[number])}</p></div>'
        )
    return "".join(parts)


def render_chips(
    rows: Sequence[TokenRow],
    label: str,
    show_ids: bool = True,
    show_types: bool = False,
    odd: Collection[int] = (),
) -> str:
    """Draw tokens as chips, one of them a stop of the Tab key; the arrow keys go on from there.

    Args:
        rows: the tokens.
        label: names the list for who cannot see it.
        show_ids: write the id under each.
        show_types: write the token type under each.
        odd: places in ``rows`` that are ringed.
    """
    chips = []
    for place, row in enumerate(rows):
        small = f"<small>{row.id}</small>" if show_ids else ""
        if show_types:
            small += f"<small>{'–' if row.token_type_id is None else row.token_type_id}</small>"
        is_odd = place in odd
        said = describe_token(row) + (", differs" if is_odd else "")
        chips.append(
            f'<span class="tk-chip {chip_classes(row)}{" odd" if is_odd else ""}" role="option"'
            f' aria-selected="false" data-i="{row.position}" tabindex="{0 if place == 0 else -1}"'
            f' aria-label="{html.escape(said)}"><bdi>{html.escape(row.token)}</bdi>{small}</span>'
        )
    return (
        f'<div class="tk-chips" role="listbox" aria-orientation="horizontal"'
        f' aria-label="{html.escape(label)}">{"".join(chips)}</div>'
    )


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
    place = f"position {row.position}, id {row.id}, {_sentence(row)}"
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


def render_table(rows: Sequence[TokenRow]) -> str:
    """Draw the table of everything that is known about each token."""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = []
    for row in rows:
        cells = (
            str(row.position),
            f"<bdi>{html.escape(row.token)}</bdi>",
            str(row.id),
            "–" if row.token_type_id is None else str(row.token_type_id),
            str(row.attention_mask),
            "–" if row.sequence_id is None else str(row.sequence_id + 1),
            f"{row.start}–{row.end}" if row.end > row.start else "–",
            "–" if row.word is None else str(row.word),
            token_kind(row),
        )
        body.append(
            f'<tr data-i="{row.position}" class="{chip_classes(row)}">'
            f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )
    return (
        '<div class="tk-scroll" tabindex="0" role="region" aria-label="Table of the tokens">'
        f'<table class="tk-table tk-tokens"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def render_legend() -> str:
    """Explain the looks of a chip."""
    items = "".join(
        f'<li><span class="tk-chip {classes}" aria-hidden="true"><bdi>{sample}</bdi></span> {meaning}</li>'
        for classes, sample, meaning in LEGEND
    )
    return f'<ul class="tk-legend" aria-label="What the chips mean">{items}</ul>'


def format_raw(raw: dict[str, list[int]]) -> str:
    """Write the dictionary of a tokenizer as Python prints it, a key a line."""
    return "{" + ",\n ".join(f"{key!r}: {values}" for key, values in raw.items()) + "}"


def _render_cut(inspection: PairInspection) -> str:
    if not inspection.cut_rows:
        return ""
    first, second = inspection.num_cut
    lists = ""
    for number in (0, 1):
        cut = [row for row in inspection.cut_rows if row.sequence_id == number]
        if cut:
            chips = "".join(
                f'<li class="tk-chip {chip_classes(row)} cut"><bdi>{html.escape(row.token)}</bdi></li>'
                for row in cut[:MAX_CUT_CHIPS]
            )
            more = f" (the first {MAX_CUT_CHIPS} shown)" if len(cut) > MAX_CUT_CHIPS else ""
            lists += f'<ul class="tk-chips" aria-label="Cut from sentence {number + 1}{more}">{chips}</ul>'
    rest = f" The first {MAX_CUT_CHIPS} of each are shown." if max(first, second) > MAX_CUT_CHIPS else ""
    return (
        f'<div class="tk-cut"><p>Truncation cut away {count(first, "token")} of sentence 1 and '
        f"{count(second, 'token')} of sentence 2.{rest}</p>{lists}</div>"
    )


def _marked(text: str, rows: Sequence[TokenRow], cut_from: int | None) -> str:
    """Wrap the characters of each token; several tokens may share a character."""
    edges = sorted({0, len(text), *(edge for row in rows for edge in (row.start, row.end))})
    covering: dict[int, list[int]] = {}
    for row in rows:
        for start in edges[bisect_left(edges, row.start) : bisect_left(edges, row.end)]:
            covering.setdefault(start, []).append(row.position)
    parts = []
    for start, end in pairwise(edges):
        piece = html.escape(text[start:end])
        if start in covering:
            numbers = " ".join(map(str, covering[start]))
            parts.append(f'<span class="tk-span" data-i="{numbers}">{piece}</span>')
        elif cut_from is not None and start >= cut_from - 1:
            parts.append(f'<del class="tk-cut-text">{piece}</del>')
        else:
            parts.append(piece)
    return "".join(parts)


def _sentence(row: TokenRow) -> str:
    return "added by the tokenizer" if row.sequence_id is None else f"sentence {row.sequence_id + 1}"


def count(number: int, noun: str) -> str:
    """Write a number of things: "1 token", "1,200 tokens"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
