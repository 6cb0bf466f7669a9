"""The form of a new training: one widget a hyperparameter, laid out from :class:`mrpc.config.TrainConfig`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import gradio as gr

from mrpc.app.alerts import render_alert
from mrpc.config import DEFAULT_CHECKPOINT, PRESET_HELP, PRESETS, TrainConfig, build_config
from mrpc.errors import ConfigError

Field = gr.Radio | gr.Dropdown | gr.Number | gr.Textbox | gr.Checkbox

LABELS = {
    "preset": "Preset",
    "loop": "Training loop",
    "checkpoint": "Checkpoint",
    "learning_rate": "Learning rate",
    "train_batch_size": "Batch size",
    "num_epochs": "Epochs",
    "warmup_ratio": "Warmup",
    "lr_scheduler_type": "Schedule",
    "weight_decay": "Weight decay",
    "gradient_accumulation_steps": "Gradient accumulation",
    "max_grad_norm": "Gradient clipping",
    "max_length": "Longest pair",
    "max_steps": "Step limit",
    "num_train_pairs": "Training pairs",
    "seed": "Seed",
    "batch_order": "Batch order",
    "fast": "Fast steps",
    "swap_probability": "Swapped sentences",
    "freeze_word_embeddings": "Freeze the word embeddings",
    "freeze_layers": "Freeze the lowest layers",
    "pooler_start": "Pooler",
    "shared_words_weight": "Shared words",
    "attention_dropout": "Attention dropout",
    "mixed_precision": "Mixed precision",
    "keep_epochs": "Epochs to keep",
    "checkpoint_every_s": "Checkpoint interval",
}
"""What people call the fields."""

MAIN_FIELDS = ("num_train_pairs", "num_epochs", "train_batch_size", "learning_rate")
FIRST_FIELDS = ("preset", "checkpoint")


def _place(name: str) -> int:
    """Return where a field stands among the further ones: the loop, then numbers, choices, switches."""
    annotation = TrainConfig.model_fields[name].annotation
    if name == "loop":
        return 0
    return 3 if annotation is bool else 2 if get_args(annotation) else 1


MORE_FIELDS = tuple(
    sorted(
        (name for name in TrainConfig.model_fields if name not in {*FIRST_FIELDS, *MAIN_FIELDS}), key=_place
    )
)
FIELDS = (*FIRST_FIELDS, *MAIN_FIELDS, *MORE_FIELDS)
"""Every field, in the order in which the form hands its values on."""

DEFAULT_PRESET = "recommended"
OTHER_CHECKPOINT = "google-bert/bert-base-uncased"
"""Stands for all checkpoints but the default one, which have their recipes in common."""


def help_text(name: str) -> str:
    """Return the description of a field."""
    return str(TrainConfig.model_fields[name].description)


def label_text(name: str) -> str:
    """Return what people call a field, with its unit where that is not said already."""
    extra = TrainConfig.model_fields[name].json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    label = LABELS.get(name, name.replace("_", " ").capitalize())
    return label if not unit or unit.split()[-1] in label.lower() else f"{label} ({unit})"


def preset_values(preset: str, checkpoint: str = DEFAULT_CHECKPOINT) -> dict[str, Any]:
    """Return what every field but preset and checkpoint holds under a preset, as the form shows it."""
    config = build_config({"preset": preset, "checkpoint": checkpoint})
    return {name: _shown(name, getattr(config, name)) for name in (*MAIN_FIELDS, *MORE_FIELDS)}


def read_form(values: Sequence[Any]) -> dict[str, Any]:
    """Turn the values of the widgets into those of a config, as far as that needs no checking.

    Args:
        values: in the order of :data:`FIELDS`. An emptied widget falls back to the preset.
    """
    given = dict(zip(FIELDS, values, strict=True))
    return {name: value for name, value in given.items() if value is not None and value != ""}


def fill_form(config: TrainConfig) -> list[Any]:
    """Return the help of a config's preset, and what every field of the form holds under the config."""
    return [render_preset_help(config.preset), *(_shown(name, getattr(config, name)) for name in FIELDS)]


def build_form() -> tuple[dict[str, Field], gr.HTML]:
    """Build the widgets, in :data:`FIELDS`' order, filled with the default preset, and the preset's help."""
    shown = preset_values(DEFAULT_PRESET)
    widgets: dict[str, Field] = {}
    widgets["preset"] = gr.Radio(
        choices=list(PRESETS),
        value=DEFAULT_PRESET,
        label=LABELS["preset"],
        elem_id="train-preset",
        elem_classes="choices-in-a-row",
    )
    preset_help = gr.HTML(
        render_preset_help(DEFAULT_PRESET), elem_classes="field-help", apply_default_css=False
    )
    widgets["checkpoint"] = gr.Dropdown(
        choices=[DEFAULT_CHECKPOINT],
        value=DEFAULT_CHECKPOINT,
        label=LABELS["checkpoint"],
        info=help_text("checkpoint"),
        filterable=False,
        elem_id="train-checkpoint",
    )
    for first, second in zip(MAIN_FIELDS[::2], MAIN_FIELDS[1::2], strict=True):
        with gr.Row(equal_height=False):
            for name in (first, second):
                widgets[name] = _widget(name, shown[name])
    with gr.Accordion("More settings", open=False, elem_id="train-more"):
        for name in MORE_FIELDS:
            widgets[name] = _widget(name, shown[name])
    filled = [widgets[name] for name in (*MAIN_FIELDS, *MORE_FIELDS)]
    events: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    chosen = [widgets[name] for name in FIRST_FIELDS]
    widgets["preset"].input(on_preset, inputs=chosen, outputs=[preset_help, *filled], **events)
    widgets["checkpoint"].input(on_checkpoint, inputs=[*chosen, *filled], outputs=filled, **events)
    return {name: widgets[name] for name in FIELDS}, preset_help


def on_preset(preset: Any, checkpoint: Any = DEFAULT_CHECKPOINT) -> list[Any]:
    """Fill the form with a preset's values for a checkpoint."""
    if preset not in PRESETS or not isinstance(checkpoint, str) or not checkpoint:
        return [gr.skip()] * (1 + len(MAIN_FIELDS) + len(MORE_FIELDS))
    return [render_preset_help(preset), *preset_values(preset, checkpoint).values()]


def on_checkpoint(preset: Any, checkpoint: Any, *values: Any) -> list[Any]:
    """Take over what a preset holds for another checkpoint, but where a person has changed it."""
    if preset not in PRESETS or not isinstance(checkpoint, str) or not checkpoint:
        return [gr.skip()] * len(values)
    recipes = [preset_values(preset, name) for name in (DEFAULT_CHECKPOINT, OTHER_CHECKPOINT)]
    new = preset_values(preset, checkpoint)
    return [
        new[name] if value != new[name] and value in [recipe[name] for recipe in recipes] else gr.skip()
        for name, value in zip(new, values, strict=True)
    ]


def render_preset_help(preset: str) -> str:
    """Say what a preset is for."""
    return f"<p>{PRESET_HELP[preset]}</p>"  # type: ignore[index]


def render_plan(values: Sequence[Any], num_pairs: int) -> str:
    """Say what a training with the form's values does, or which of them cannot be used.

    Args:
        values: in the order of :data:`FIELDS`.
        num_pairs: pairs in the training split.
    """
    given = read_form(values)
    try:
        config = build_config(given)
    except ConfigError as error:
        return render_alert(str(error))
    used, num_steps = config.num_used_pairs(num_pairs), config.num_steps(num_pairs)
    epochs = "epoch" if config.num_epochs == 1 else "epochs"
    batch = f"in batches of {config.train_batch_size}"
    if config.gradient_accumulation_steps > 1:
        batch += f" × {config.gradient_accumulation_steps}"
    words = f"{used:,} pairs {batch}, {config.num_epochs} {epochs}"
    return f'<p class="plan"><b>{num_steps:,}</b> optimizer steps: {words}.</p>'


def _widget(name: str, value: Any) -> Field:
    field = TrainConfig.model_fields[name]
    common: dict[str, Any] = {
        "value": value,
        "label": label_text(name),
        "info": help_text(name),
        "elem_id": f"train-{name.replace('_', '-')}",
        "min_width": 120,
    }
    choices = get_args(field.annotation)
    if choices:
        named = [(str(choice).replace("_", " and "), choice) for choice in choices]
        return gr.Dropdown(choices=named, filterable=False, elem_classes="field-wide", **common)
    if field.annotation is bool:
        return gr.Checkbox(elem_classes="field-wide", **common)
    if field.annotation is float:  # as text, so that 5e-5 reads as people write it
        return gr.Textbox(max_lines=1, **common)
    return gr.Number(**common)


def _shown(name: str, value: Any) -> Any:
    if TrainConfig.model_fields[name].annotation is not float:
        return value
    if 0 < value < 0.001:
        digits, exponent = f"{value:e}".split("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:g}"
