"""Tables as plain data: the browser draws, sorts, filters, pages and downloads them (assets/tables.js)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrpc.core.text.wording import Segment

Table = dict[str, Any]
Column = dict[str, Any]


def column(key: str, title: str, kind: str = "text", **options: object) -> Column:
    """Describe a column.

    Args:
        key: where its cells are in a row.
        title: what people read above it.
        kind: text, diff (a sentence with marks), number, percent (a share, shown in percent), p (a
            p-value), opens (text that opens the row), state (of a run), or flag (a warning).
        options: ``digits`` behind the point, ``signed`` for a plus sign, ``help`` for a longer title,
            ``sort`` for the key whose values order the rows.
    """
    return {"key": key, "title": title, "kind": kind, **options}


def table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, object]],
    caption: str,
    file: str,
    open_label: str = "",
    page_size: int = 15,
) -> Table:
    """Put a table together.

    Args:
        columns: as :func:`column` describes them.
        rows: a cell for each column's key, and ``id`` if rows can be opened.
        caption: what it shows, for screen readers.
        file: name of the CSV file that it is downloaded as.
        open_label: word on the button of each row; "" for none.
        page_size: rows shown at a time.
    """
    return {
        "columns": list(columns),
        "rows": list(rows),
        "caption": caption,
        "file": file,
        "open": open_label,
        "page_size": page_size,
    }


def marked(segments: Sequence[Segment]) -> list[list[str]]:
    """Return a sentence for a ``diff`` cell: pieces of text, each with its mark."""
    return [[segment.text, segment.mark] for segment in segments]
