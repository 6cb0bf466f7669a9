"""How numbers, times and runs read in the page, and tables as plain data.

The browser draws, sorts, filters, pages and downloads tables (``assets/tables.js``).
"""

from __future__ import annotations

import html
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired, Required, TypedDict, Unpack

if TYPE_CHECKING:
    from mrpc.config import TrainConfig
    from mrpc.core.text.wording import Segment
    from mrpc.runs.run import Run


def plotly_text(text: str, max_chars: int = 40) -> str:
    """Return text for a chart: plotly reads a little HTML in labels, so it is escaped; long text is cut."""
    return html.escape(text if len(text) <= max_chars else text[: max_chars - 1] + "…")


def render_duration(seconds: float) -> str:
    """Write a duration: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def render_time(unix_time: float) -> str:
    """Write a moment in the server's time zone: ``14:05`` today, else ``21 Nov 14:05``."""
    moment = time.localtime(unix_time)
    is_today = time.strftime("%Y%m%d", moment) == time.strftime("%Y%m%d")
    return time.strftime("%H:%M" if is_today else "%d %b %H:%M", moment)


def render_count(num: int, noun: str) -> str:
    """Write a number with what it counts: 1 step, 1,200 steps."""
    return f"{num:,} {noun}{'s' if num != 1 else ''}"


def render_percent(share: float | None) -> str:
    """Write a share with one digit behind the point, without the sign: ``82.1``; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def render_bytes(num_bytes: int) -> str:
    """Write a size: ``850 kB``, ``1.2 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            number = num_bytes / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{num_bytes} bytes"


def render_p_value(p_value: float) -> str:
    """Write a p-value as papers do: ``0.043``, ``< 0.001``."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def run_title(run: Run) -> str:
    """Return a short name: the one that a person gave, else "quick · 160 pairs · 4 epochs · seed 7"."""
    return compose_title(run.read_label().name, run.config.hyperparameters, run.read_status().num_train_pairs)


def compose_title(name: str, config: TrainConfig, num_used_pairs: int | None) -> str:
    """Return the same of what is known of a run.

    Args:
        name: the one that a person gave, or "".
        config: its settings.
        num_used_pairs: what it is really trained on, which may be fewer than were asked for; None before it
            is known.
    """
    if name:
        return name
    num_pairs = num_used_pairs or config.num_train_pairs
    pairs = f"{num_pairs:,} pairs" if config.num_train_pairs else "all pairs"
    return f"{config.preset} · {pairs} · {render_count(config.num_epochs, 'epoch')} · seed {config.seed}"


def run_choices(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (what people read, run id) for each run; runs of one title get their id behind it."""
    titles = distinct_titles([(run_title(run), run.run_id) for run in runs])
    return [(title, run.run_id) for title, run in zip(titles, runs, strict=True)]


def distinct_titles(runs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the titles of (title, run id); those of one title get the end of their id behind it."""
    times = Counter(title for title, _ in runs)
    return [title if times[title] == 1 else f"{title} · {run_id[-4:]}" for title, run_id in runs]


class ColumnOptions(TypedDict, total=False):
    """What a column may say beside its kind.

    Attributes:
        digits: behind the point.
        signed: whether a plus sign is written.
        help: a longer title.
        sort: the key whose values order the rows.
    """

    digits: int
    signed: bool
    help: str
    sort: str


class Column(ColumnOptions):
    """A column of a table; see :func:`column`."""

    key: Required[str]
    title: Required[str]
    kind: Required[str]


class Table(TypedDict):
    """A table as ``assets/tables.js`` takes it; see :func:`table`.

    Attributes:
        keep: whether order, page and filter stay when it changes.
        choose: what stands above the boxes that choose rows; without it there are none.
    """

    columns: list[Column]
    rows: list[Mapping[str, object]]
    caption: str
    file: str
    open: str
    page_size: int
    keep: NotRequired[bool]
    choose: NotRequired[str]


def column(key: str, title: str, kind: str = "text", **options: Unpack[ColumnOptions]) -> Column:
    """Describe a column.

    Args:
        key: where its cells are in a row.
        title: what people read above it.
        kind: text, diff (a sentence with marks), number, percent (a share, shown in percent), p (a
            p-value), opens (text that opens the row), state (of a run), or flag (a warning).
        options: of the column.
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
