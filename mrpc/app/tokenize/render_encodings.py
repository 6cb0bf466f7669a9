"""One pair encoded in several ways, side by side: alone or together, by one tokenizer or by another."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mrpc.app.tokenize.render_tokens import count, render_chips, render_no_types

if TYPE_CHECKING:
    from mrpc.app.tokenize.inspection import ComparedCheckpoint, SeparateAndJoined


def render_one_or_two(both: SeparateAndJoined) -> str:
    """Draw the sentences alone, their lists joined, and the pair, one under the other."""
    first, second = both.alone
    as_second = [row if row.sequence_id is None else replace(row, sequence_id=1) for row in second]
    joined = [replace(row, position=place) for place, row in enumerate([*first, *as_second])]
    odd, pair = both.differences, both.pair
    types = (
        "In the pair <code>token_type_ids</code> say which sentence a token belongs to; in the joined lists "
        "they are all 0."
        if pair.uses_token_type_ids
        else "This model does not use <code>token_type_ids</code>: only the separators part the sentences."
    )
    return (
        '<div class="tk-view"><div class="tk-columns">'
        f"<div><h3>Sentence 1 alone</h3>{render_chips(first, 'Sentence 1 alone', True, True)}</div>"
        f"<div><h3>Sentence 2 alone</h3>{render_chips(as_second, 'Sentence 2 alone', True, True)}</div></div>"
        '<div class="tk-linked"><h3>Both lists joined: not a pair</h3>'
        f"{render_chips(joined, 'Both lists joined', True, True, odd)}"
        f'<p class="tk-note">{len(odd)} of {max(len(joined), len(pair.rows))} places differ from the pair '
        "below "
        f"(ringed): there is a second start token in the middle. {types}</p>"
        f"<h3>Encoded as a pair</h3>{render_chips(pair.rows, 'Encoded as a pair', True, True)}"
        '<p class="tk-note">Under each token its id and its token type. Pointing at a place marks the same '
        "place "
        "in both lists.</p></div></div>"
    )


def render_checkpoints(columns: Sequence[ComparedCheckpoint], labels: Mapping[str, str]) -> str:
    """Draw one pair as several tokenizers see it, side by side.

    Args:
        columns: one a checkpoint.
        labels: what people call them, by name.
    """
    cards = "".join(_render_checkpoint(column, labels.get(column.checkpoint, "")) for column in columns)
    return f'<div class="tk-view tk-cards">{cards}</div>'


def _render_checkpoint(column: ComparedCheckpoint, label: str) -> str:
    name = label or column.checkpoint
    heading = f"<h3>{html.escape(name)}</h3>"
    seen = column.inspection
    if seen is None:
        away = f"<p><strong>Not available.</strong> {html.escape(column.reason)}</p>"
        return f'<section class="tk-card away">{heading}{away}</section>'
    keys = ", ".join(f"<code>{html.escape(key)}</code>" for key in seen.raw)
    types = "" if seen.uses_token_type_ids else render_no_types()
    return (
        f'<section class="tk-card">{heading}<p class="tk-note">{count(len(seen.rows), "token")}, '
        f"vocabulary of {seen.vocab_size:,}. Returns {keys}.</p>"
        f"{render_chips(seen.rows, f'Tokens of {name}')}{types}"
        f'<p class="tk-note">Decoded: <bdi>{html.escape(seen.decoded)}</bdi></p></section>'
    )
