"""Inspect, Step: a batch through the untrained model, from logits to loss, and one step of AdamW."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import MAX_BATCH_ROWS, Linked, choice, whole
from mrpc.app.templates import render
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.tokenize.tokens import chips
from mrpc.app.view import View
from mrpc.app.widgets import field_row, place, stage
from mrpc.core.data.pairs import SPLITS, label_words
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task

COURSE_SEQUENCES = ("I've been waiting for a HuggingFace course my whole life.", "This course is amazing!")
SEQUENCES = [("the course's two sentences", "course"), ("the current pair", "pair")]
RATES = [
    ("1e-3, AdamW's own default", "0.001"),
    ("5e-5, usual for fine-tuning", "5e-05"),
    ("0, nothing moves", "0.0"),
]
SEED = 42


def build_step_view(services: Services, spine: Spine, checkpoint: gr.Dropdown) -> None:
    """Build the view.

    Args:
        services: of the app.
        spine: has the current pair.
        checkpoint: which model.
    """
    place(render("tokenize/about.html", view="step"))
    with field_row(elem_classes="tk-controls"):
        split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="step-split")
        batch_size = gr.Slider(1, MAX_BATCH_ROWS, 8, step=1, label="Batch size", elem_id="step-batch-size")
        seed = gr.Number(SEED, label="Seed", precision=0, minimum=0, elem_id="step-seed", min_width=110)
    model_input = stage("model-input")
    place(render("tokenize/about.html", view="adamw"))
    with field_row(elem_classes="tk-controls"):
        sequences = gr.Radio(SEQUENCES, value="course", label="Sequences", elem_id="step-sequences")
        rate = gr.Radio(RATES, value="0.001", label="Learning rate", elem_id="step-rate")
        run = gr.Button(
            "Take one step", size="md", variant="primary", elem_id="step-run", scale=0, min_width=160
        )
    training_step = stage("training-step", follows=False)

    View(
        "model-input",
        {"checkpoint": checkpoint, "split": split, "batch_size": batch_size, "seed": seed},
        {"shown": model_input},
        partial(draw_model_input, services),
    ).bind()
    View(
        "training-step",
        spine.pair | {"checkpoint": checkpoint, "sequences": sequences, "rate": rate},
        {"shown": training_step},
        partial(draw_training_step, services),
        tasks=services.tasks,
        on_demand=run,
    ).bind()
    spine.links.extend(
        [
            Linked("model_of", split, choice(*SPLITS)),
            Linked("model_size", batch_size, whole(1, MAX_BATCH_ROWS)),
            Linked("seed", seed, whole(0, 2**31 - 1)),
            Linked("sequences", sequences, choice(*(value for _, value in SEQUENCES))),
            Linked("rate", rate, choice(*(value for _, value in RATES))),
        ]
    )


def draw_model_input(
    services: Services, checkpoint: str, split: str, batch_size: object, seed: object
) -> str:
    """Draw the first batch of a training: its columns, tensors, logits, answers and loss."""
    ready = services.first_steps.first_batch(split, checkpoint, batch_size, seed)
    spec = services.checkpoints.spec(checkpoint)
    return render(
        "tokenize/model_input.html",
        checkpoint=spec.label,
        ready=ready,
        ln2=math.log(2),
        names=label_words(services.data.label_names),
        code=snippet(
            "model_input", hub_name=spec.source, split=split, batch_size=len(ready.rows), seed=ready.seed
        ),
    )


def draw_training_step(
    services: Services,
    sentence1: object,
    sentence2: object,
    checkpoint: str,
    sequences: object,
    rate: object,
    task: Task,
) -> str:
    """Take one training step and draw what it changed."""
    chosen = COURSE_SEQUENCES if sequences == "course" else (sentence1, sentence2)
    learning_rate = _parse_rate(rate)
    step = services.first_steps.take_step(chosen, checkpoint, learning_rate, SEED, task.progress)
    return render(
        "tokenize/training_step.html",
        step=step,
        sequences=[chips(rows) for rows in step.rows],
        learning_rate=learning_rate,
        code=snippet(
            "training_step",
            hub_name=services.checkpoints.spec(checkpoint).source,
            sentence1=str(chosen[0]),
            sentence2=str(chosen[1]),
            learning_rate=learning_rate,
            seed=SEED,
        ),
    )


def _parse_rate(rate: object) -> float:
    for _, value in RATES:
        if rate == value:
            return float(value)
    raise InputError("Choose one of the learning rates.")
