"""The settings of a new training, as people fill them in: names, groups, what each does, and what is wrong.

Laid out from :class:`mrpc.config.TrainConfig`. No gradio here: the widgets are in :mod:`start_view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from mrpc.config import DEFAULT_CHECKPOINT, PRESETS, PresetName, TrainConfig, build_config

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
    "both_orders": "Both orders",
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

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Data": (
        *("num_train_pairs", "train_batch_size", "max_length"),
        *("batch_order", "swap_probability", "both_orders", "seed"),
    ),
    "Optimizer": (
        *("learning_rate", "num_epochs", "lr_scheduler_type", "warmup_ratio"),
        *("gradient_accumulation_steps", "max_grad_norm", "max_steps", "loop"),
    ),
    "Regularisation": (
        *("weight_decay", "attention_dropout", "freeze_word_embeddings", "freeze_layers"),
        *("shared_words_weight", "pooler_start"),
    ),
    "Speed": ("fast", "mixed_precision", "keep_epochs", "checkpoint_every_s"),
}
"""The settings beside preset and checkpoint, in the order in which the page has them."""

FILLED = tuple(name for names in GROUPS.values() for name in names)
"""The fields that a preset fills in."""

FIELDS = ("preset", "checkpoint", *FILLED)

DEFAULT_PRESET = "recommended"
OTHER_CHECKPOINT = "google-bert/bert-base-uncased"
"""Stands for all checkpoints but the default one, which have their recipes in common."""


def field_id(name: str) -> str:
    """Return the id of a field's element in the page."""
    return f"train-{name.replace('_', '-')}"


def group_id(group: str) -> str:
    """Return the id of the element of a group of settings."""
    return f"train-{group.lower()}"


def help_text(name: str) -> str:
    """Return what a setting is, and what happens if one raises or lowers it."""
    field = TrainConfig.model_fields[name]
    extra = field.json_schema_extra
    effect = str(extra.get("raise_lower", "")) if isinstance(extra, dict) else ""
    return f"{field.description} {effect}".strip()


def label_text(name: str) -> str:
    """Return what people call a field, with its unit where that is not said already."""
    extra = TrainConfig.model_fields[name].json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    label = LABELS[name]
    return label if not unit or unit.split()[-1] in label.lower() else f"{label} ({unit})"


def preset_values(preset: str, checkpoint: str = DEFAULT_CHECKPOINT) -> dict[str, object]:
    """Return what every field but preset and checkpoint holds under a preset, as the form shows it."""
    config = build_config({"preset": preset, "checkpoint": checkpoint})
    return {name: shown_value(name, getattr(config, name)) for name in FILLED}


def checkpoint_changes(preset: str, checkpoint: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return what a preset holds for another checkpoint, for the fields that nobody has changed by hand."""
    recipes = [preset_values(preset, name) for name in (DEFAULT_CHECKPOINT, OTHER_CHECKPOINT)]
    new = preset_values(preset, checkpoint)
    return {
        name: new[name]
        for name, value in values.items()
        if name in new and value != new[name] and value in [recipe[name] for recipe in recipes]
    }


def is_preset(preset: object) -> TypeGuard[PresetName]:
    """Tell whether what a browser sent is a preset."""
    return isinstance(preset, str) and preset in PRESETS


def read_form(values: Mapping[str, object]) -> dict[str, object]:
    """Turn the values of the widgets into those of a config, as far as that needs no checking.

    An emptied widget falls back to the preset.
    """
    return {name: value for name, value in values.items() if value is not None and value != ""}


def fill_form(config: TrainConfig) -> dict[str, object]:
    """Return what every field of the form holds under a config."""
    return {name: shown_value(name, getattr(config, name)) for name in FIELDS}


def shown_value(name: str, value: object) -> object:
    """Return a value as people write it: 5e-5, 0.1."""
    if TrainConfig.model_fields[name].annotation is not float or not isinstance(value, float):
        return value
    if 0 < value < 0.001:
        digits, exponent = f"{value:e}".split("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:g}"


def said_value(name: str, value: object) -> str:
    """Return a value as a table says it: yes, all, 5e-5, 1,200."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "num_train_pairs" and not value:
        return "all"
    shown = shown_value(name, value) if name in TrainConfig.model_fields else value
    return f"{shown:,}" if isinstance(shown, int) and name != "seed" else str(shown)
