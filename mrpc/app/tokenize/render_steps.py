"""The way of a batch into the model, and what one training step changes."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from mrpc.app.tokenize.render_batches import format_shape, render_shapes
from mrpc.app.tokenize.render_plain_tables import render_plain_table, render_scrolling
from mrpc.app.tokenize.render_tokens import render_chips

if TYPE_CHECKING:
    from mrpc.app.tokenize.model_input import ModelInput
    from mrpc.app.tokenize.training_step import MovedPart, TrainingStep

REMOVED = ("sentence1", "sentence2", "idx")


def render_model_input(ready: ModelInput) -> str:
    """Draw the columns before and after, the batch, and the forward pass."""
    before = render_plain_table(
        ("column", "what happens"),
        [_column_cells(name, kind) for name, kind in ready.columns_tokenized.items()],
        "tk-wrap",
    )
    after = render_plain_table(
        ("column", "type"),
        [(f"<code>{html.escape(name)}</code>", html.escape(ready.dtype)) for name in ready.columns_ready],
    )
    logits = render_plain_table(
        ("row", "label", "logit 0", "logit 1"),
        [
            (str(row), str(label), f"{first:+.4f}", f"{second:+.4f}")
            for row, label, (first, second) in zip(ready.rows, ready.labels, ready.logits, strict=True)
        ],
        "tk-narrow",
    )
    new = ", ".join(f"<code>{html.escape(name)}</code>" for name in ready.new_parameters)
    head = f" The checkpoint lacks {new}: they are drawn at random with the seed." if new else ""
    return (
        '<div class="tk-view"><div class="tk-columns">'
        f"<div><h3>After the tokenizer</h3>{before}</div>"
        f"<div><h3>Ready for the model</h3>{after}</div>"
        f"<div><h3>One batch of the loader</h3>{render_shapes(ready.shapes)}"
        f'<p class="tk-note">Rows {", ".join(map(str, ready.rows))}.</p></div></div>'
        '<div class="tk-columns"><div><h3>One forward pass</h3>'
        + _render_figures(
            ("loss", f"{ready.loss:.4f}"),
            ("ln 2", f"{math.log(2):.4f}"),
            ("logits", format_shape((len(ready.logits), 2))),
        )
        + f'<p class="tk-text-block">The head of this model has learned nothing yet.{head} Both classes get '
        "nearly the same score, so each has a probability near ½, and the cross-entropy of a coin toss is "
        "−ln ½ = ln 2 = 0.693. A first loss far from it means that something is wrong with the labels or the "
        f"head.</p></div><div><h3>Logits</h3>{logits}</div></div></div>"
    )


def render_training_step(step: TrainingStep, learning_rate: float) -> str:
    """Draw the losses before and after the step, and how far the weights moved."""
    tokens = "".join(
        render_chips(rows, f"Tokens of sequence {number}", show_ids=False)
        for number, rows in enumerate(step.rows, start=1)
    )
    probabilities = render_plain_table(
        ("sequence", "before", "after"),
        [
            (str(number), f"{before:.3f}", f"{after:.3f}")
            for number, (before, after) in enumerate(
                zip(step.probs_before, step.probs_after, strict=True), start=1
            )
        ],
    )
    parts = render_plain_table(
        ("part", "weights", "moved by", "of a length of", "largest change"),
        [_part_cells(part) for part in (step.head, step.encoder)],
    )
    return (
        f'<div class="tk-view"><h3>The batch, {format_shape(step.shapes["input_ids"])}</h3>'
        f'<div class="tk-two-rows">{tokens}</div><h3>Before and after one step</h3>'
        + _render_figures(
            ("loss before", f"{step.loss_before:.4f}"),
            ("loss after", f"{step.loss_after:.4f}"),
            ("change", f"{step.loss_after - step.loss_before:+.4f}"),
        )
        + f'<div class="tk-columns"><div><h3>Probability of label 1</h3>{probabilities}</div>'
        f"<div><h3>How far the weights moved</h3>{render_scrolling(parts, 'How far the weights moved')}</div>"
        '</div><p class="tk-text-block">The first step of AdamW divides each gradient by its own size, so '
        f"every weight that has a gradient moves by about the learning rate, {learning_rate:g}, towards a "
        "lower loss. Embeddings of words that do not occur only shrink a little, by weight decay.</p></div>"
    )


def _render_figures(*figures: tuple[str, str]) -> str:
    inner = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    return f'<dl class="tk-figures">{inner}</dl>'


def _column_cells(name: str, kind: str) -> tuple[str, str]:
    if name in REMOVED:
        return f"<del><code>{html.escape(name)}</code></del>", "removed"
    what = "renamed to <code>labels</code>" if name == "label" else html.escape(kind)
    return f"<code>{html.escape(name)}</code>", what


def _part_cells(part: MovedPart) -> tuple[str, ...]:
    return (
        html.escape(part.name),
        f"{part.num_weights:,}",
        f"{part.distance:.4f}",
        f"{part.norm:.2f}",
        f"{part.largest:.6f}",
    )
