"""Batches as grids, and what padding costs, as bars with their numbers."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from mrpc.app.tokenize.render_plain_tables import render_plain_table, render_scrolling

if TYPE_CHECKING:
    from mrpc.app.tokenize.padding import BatchRow, PaddedBatch, SplitPadding, Strategy

CHOICE_NAMES = {
    "longest": "the longest of the batch",
    "multiple_of_8": "a multiple of 8",
    "split": "the longest of the split",
    "128": "128",
    "512": "512",
}
_LEGEND = (("special", "special"), ("s1", "sentence 1"), ("s2", "sentence 2"), ("pad", "padding"))


def render_batch(batch: PaddedBatch) -> str:
    """Draw a batch: one line a row, one cell a token."""
    rows = "".join(_render_row(row, batch.length) for row in batch.rows)
    legend = "".join(f'<li><span class="tk-seg {kind}"></span> {name}</li>' for kind, name in _LEGEND)
    lengths = [row.num_tokens for row in batch.rows]
    return (
        '<div class="tk-view tk-batch">'
        f"<p>Tokens without padding: <code>{lengths}</code>. Padded to {CHOICE_NAMES[batch.pad_to]}: "
        f"<strong>{len(batch.rows)} × {batch.length}</strong>, {100 * batch.padding_share:.1f} % padding.</p>"
        f'<div class="tk-grid">{rows}</div><ul class="tk-legend">{legend}</ul>'
        f'<div class="tk-columns"><div><h3>Shapes of the batch</h3>{render_shapes(batch.shapes)}</div>'
        f"<div><h3>The same rows, padded to</h3>{_render_choices(batch)}</div></div></div>"
    )


def render_split_padding(padding: SplitPadding, batch_size: int, split: str) -> str:
    """Draw what every way of batching adds to a split."""
    ratios = sorted(strategy.report.ratio for strategy in padding.strategies)
    scale = ratios[-2] * 1.12  # 512 would make all other bars alike: its bar runs out of the picture
    base = padding.strategies[0].report.cost
    bars = render_plain_table(
        ("batches", "computed for each real token", "ratio", "padding", "predicted cost"),
        [_strategy_cells(strategy, scale, base) for strategy in padding.strategies],
        "tk-bars",
    )
    counted = f"All {padding.num_rows:,} pairs"
    if padding.num_rows < padding.num_rows_of_split:
        counted = f"The first {padding.num_rows:,} of {padding.num_rows_of_split:,} pairs"
    return (
        '<div class="tk-view"><h3>The whole split</h3>'
        f"<p>{counted} of {html.escape(split)} in batches of {batch_size}: {padding.mean_length:.1f} tokens "
        f"a pair on average, the longest {padding.longest}. A bar is what the model computes for each real "
        "token: solid for the token, hatched for padding.</p>"
        f"{render_scrolling(bars, 'Padding of the split')}"
        '<p class="tk-note">Predicted cost of a step relative to random batches: B · T · (1 + T / 6h) for a '
        "batch of B pairs of T tokens in a model of width h. Orders and padding are those of a training with "
        "seed 42 in its first epoch.</p></div>"
    )


def render_shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    """Draw the shape of each tensor of a batch."""
    cells = [(f"<code>{html.escape(key)}</code>", format_shape(shape)) for key, shape in shapes.items()]
    return render_plain_table(("key", "shape"), cells)


def format_shape(shape: tuple[int, ...]) -> str:
    """Write a shape as torch prints it."""
    return f"[{', '.join(map(str, shape))}]"


def _render_row(row: BatchRow, length: int) -> str:
    segments = "".join(f'<i class="tk-seg {kind}" style="flex:{num}"></i>' for kind, num in row.segments)
    label = f"Row {row.number}: {row.num_tokens} tokens and {length - row.num_tokens} of padding"
    return (
        f'<div class="tk-grid-row"><span class="tk-grid-name">{row.number}</span>'
        f'<div class="tk-cells" role="img" aria-label="{label}" style="--length:{length}">{segments}</div>'
        f'<span class="tk-grid-count">{row.num_tokens}</span></div>'
    )


def _render_choices(batch: PaddedBatch) -> str:
    cells = []
    for choice, length in batch.lengths_by_choice.items():
        share = max(0.0, 1.0 - batch.num_real_tokens / (len(batch.rows) * length))
        mark = "<strong>{}</strong>" if choice == batch.pad_to else "{}"
        texts = (CHOICE_NAMES[choice], f"{len(batch.rows)} × {length}", f"{100 * share:.1f} %")
        cells.append([mark.format(text) for text in texts])
    return render_plain_table(("padded to", "batch", "padding"), cells)


def _strategy_cells(strategy: Strategy, scale: float, base_cost: float) -> tuple[str, ...]:
    report = strategy.report
    real = 100 / scale
    pad = min(100.0, 100 * report.ratio / scale) - real
    off = " off" if report.ratio > scale else ""
    return (
        html.escape(strategy.name),
        f'<span class="tk-bar{off}" aria-hidden="true"><i class="real" style="width:{real:.2f}%"></i>'
        f'<i class="pad" style="width:{pad:.2f}%"></i></span>',
        f"× {report.ratio:.3f}",
        f"{100 * report.padding_share:.1f} %",
        f"× {report.cost / base_cost:.2f}",
    )
