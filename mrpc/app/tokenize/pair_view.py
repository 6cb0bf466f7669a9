"""Inspect, Pair: the current pair token by token, alone and together, and with other tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import (
    DEFAULT_LENGTH,
    MAX_COMPARED,
    MAX_LENGTH,
    MIN_LENGTH,
    Linked,
    choice,
    flag,
    whole,
)
from mrpc.app.templates import render, render_part
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.tokenize.tokens import chips, pieces
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, fold, place, stage
from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.model.pretrained import list_pretrained

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine

TRUNCATION_CHOICES = [
    ("longest first", "longest_first"),
    ("only sentence 1", "only_first"),
    ("only sentence 2", "only_second"),
    ("do not truncate", "do_not_truncate"),
]
COMPARED = [DEFAULT_CHECKPOINT, "distilbert/distilbert-base-uncased", "FacebookAI/roberta-base"]
MAX_CUT_CHIPS = 200


def build_pair_view(services: Services, spine: Spine) -> gr.Dropdown:
    """Build the view and return the checkpoint that all views of the tab use.

    Args:
        services: of the app.
        spine: has the current pair.
    """
    known = list_pretrained(services.settings.checkpoint_dirs)
    options = [(spec.label, name) for name, spec in known.items()]
    place(render("tokenize/about.html", view="pair"))
    shown = stage("pair")
    origin = stage("pair-origin")
    with field_row("pair-controls", "tk-controls"):
        checkpoint = gr.Dropdown(
            options, value=DEFAULT_CHECKPOINT, label="Checkpoint", elem_id="checkpoint", filterable=False
        )
        max_length = gr.Slider(
            MIN_LENGTH,
            MAX_LENGTH,
            DEFAULT_LENGTH,
            step=1,
            label="Max length, in tokens",
            elem_id="max-length",
        )
        truncation = gr.Radio(
            TRUNCATION_CHOICES, value="longest_first", label="Truncation", elem_id="truncation"
        )
        padding = gr.Checkbox(False, label="Pad to max length", elem_id="pad")
    details = place(elem_id="pair-details")
    with fold("One sentence or two: why two lists cannot just be joined", "single"):
        one_or_two = stage("one-or-two", intro=render("tokenize/about.html", view="one_or_two"))
    with fold("Other checkpoints: the same pair, other tokenizers", "others"):
        place(render("tokenize/about.html", view="checkpoints"))
        compared = gr.CheckboxGroup(
            options,
            value=[name for name in COMPARED if name in known],
            label=f"Checkpoints, up to {MAX_COMPARED}",
            elem_id="compared",
        )
        checkpoints = stage("checkpoints")

    encoded = {
        "checkpoint": checkpoint,
        "max_length": max_length,
        "truncation": truncation,
        "padding": padding,
    }
    View(
        "pair", spine.pair | encoded, {"tokens": shown, "details": details}, partial(draw_pair, services)
    ).bind()
    View(
        "one-or-two",
        spine.pair | {"checkpoint": checkpoint},
        {"shown": one_or_two},
        partial(draw_one_or_two, services),
    ).bind()
    View(
        "checkpoints",
        spine.pair | {"compared": compared},
        {"shown": checkpoints},
        partial(draw_checkpoints, services),
    ).bind()
    View("pair-origin", spine.pair, {"shown": origin}, partial(draw_origin, services)).bind()
    bind(None, partial(on_open, services), {}, {"checkpoint": checkpoint, "compared": compared})
    spine.links.extend(
        [
            Linked("checkpoint", checkpoint, choice(*known)),
            Linked("length", max_length, whole(MIN_LENGTH, MAX_LENGTH)),
            Linked("cut", truncation, choice(*(name for _, name in TRUNCATION_CHOICES))),
            Linked("pad", padding, flag),
            Linked("with", compared, partial(parse_names, tuple(known))),
        ]
    )
    return checkpoint


def parse_names(known: Sequence[str], value: str) -> list[str] | None:
    """Read the names of known checkpoints from an address."""
    names = [name for name in value.split(",") if name in known]
    return names[:MAX_COMPARED] or None


def on_open(services: Services) -> dict[str, object]:
    """Offer every checkpoint, and say which are not available now."""
    options = [
        (one.spec.label if one.available else f"{one.spec.label} (not available)", one.spec.name)
        for one in services.checkpoints.availabilities()
    ]
    return dict.fromkeys(("checkpoint", "compared"), gr.update(choices=options))


def draw_pair(
    services: Services,
    sentence1: object,
    sentence2: object,
    checkpoint: str,
    max_length: object,
    truncation: object,
    padding: object,
) -> dict[str, object]:
    """Draw one pair: the linked view, what the tokenizer returned, and the code."""
    pair = services.inspection.inspect_pair(
        sentence1, sentence2, checkpoint, max_length, truncation, padding is True
    )
    raw = "{" + ",\n ".join(f"{key!r}: {values}" for key, values in pair.raw.items()) + "}"
    cut = [[row for row in pair.cut_rows if row.sequence_id == number] for number in (0, 1)]
    sentences = [
        pieces(sentence, [row for row in pair.rows if row.sequence_id == number], cut[number])
        for number, sentence in enumerate((pair.sentence1, pair.sentence2))
    ]
    code = snippet(
        "inspect_pair",
        hub_name=services.checkpoints.spec(pair.checkpoint).source,
        sentence1=pair.sentence1,
        sentence2=pair.sentence2,
        max_length=pair.max_length,
        truncation=str(truncation),
        pad_to_max=padding is True,
    )
    return {
        "tokens": render(
            "tokenize/pair.html",
            pair=pair,
            chips=chips(pair.rows),
            cut_chips=[chips(rows) for rows in cut],
            max_cut=MAX_CUT_CHIPS,
            sentences=sentences,
        ),
        "details": render("tokenize/pair_details.html", pair=pair, raw=raw, code=code),
    }


def draw_origin(services: Services, sentence1: object, sentence2: object) -> str:
    """Say which row of the data the pair is, and its label; nothing for a typed pair."""
    found = services.explorer.find(sentence1, sentence2)
    if found is None:
        return ""
    split, row = found
    return render_part("note", f"Row {row.number:,} of {split}, idx {row.idx}: {row.label_words}.")


def draw_one_or_two(services: Services, sentence1: object, sentence2: object, checkpoint: str) -> str:
    """Draw the sentences alone, their lists joined, and the pair."""
    both = services.inspection.separate_and_joined(sentence1, sentence2, checkpoint)
    return render(
        "tokenize/one_or_two.html",
        both=both,
        first=chips(both.alone[0]),
        second=chips(both.alone[1]),
        joined=chips(both.joined, both.differences),
        pair=chips(both.pair.rows),
        code=snippet(
            "one_or_two",
            hub_name=services.checkpoints.spec(both.pair.checkpoint).source,
            sentence1=both.pair.sentence1,
            sentence2=both.pair.sentence2,
        ),
    )


def draw_checkpoints(
    services: Services, sentence1: object, sentence2: object, compared: Sequence[str]
) -> str:
    """Draw one column a checkpoint."""
    found = services.inspection.compare_checkpoints(sentence1, sentence2, compared)
    specs = [services.checkpoints.spec(one.checkpoint or DEFAULT_CHECKPOINT) for one in found]
    columns = [
        (spec.label, one, chips(one.inspection.rows) if one.inspection else [])
        for spec, one in zip(specs, found, strict=True)
    ]
    names = [spec.source for spec in specs]
    return render(
        "tokenize/checkpoints.html",
        columns=columns,
        code=snippet(
            "compare_checkpoints", hub_names=names, sentence1=str(sentence1), sentence2=str(sentence2)
        ),
    )
