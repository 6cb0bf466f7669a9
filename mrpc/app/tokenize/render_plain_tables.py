"""Plain tables of this tab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def render_plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]], classes: str = "") -> str:
    """Draw a table.

    Args:
        headings: text of the head, one a column.
        rows: HTML of the cells; what was typed is escaped by who made it.
        classes: further classes of the table.
    """
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="tk-table {classes}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def render_scrolling(inner: str, label: str) -> str:
    """Put something wide into a box that scrolls sideways and can be reached by keyboard."""
    return f'<div class="tk-scroll-x" tabindex="0" role="region" aria-label="{label}">{inner}</div>'
