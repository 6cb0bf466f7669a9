"""A new training before it is started: the fields of its form, what is wrong in them, and what it would need.

The fields are laid out from :class:`mrpc.config.TrainConfig`. No gradio here: the widgets are in
:mod:`start_view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeGuard

from mrpc.app.format import render_bytes, render_count, render_duration
from mrpc.app.templates import render
from mrpc.app.visitors import caller, check_size
from mrpc.config import DEFAULT_CHECKPOINT, PRESETS, PresetName, TrainConfig, build_config
from mrpc.errors import AccessError, ConfigError, MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.estimates import Estimate, Minutes

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

CARDS: Mapping[PresetName, tuple[str, str]] = {
    "quick": ("Quick", "A preview: one epoch, up to 3,600 pairs"),
    "recommended": ("Recommended", "The best recipe we measured"),
    "course": ("Course", "Chapter 3 of the course, as it stands there"),
}
"""Name and purpose of each preset, from the shortest training to the longest."""

TIMES = {
    "measured": "{}, measured here",
    "scaled": "about {}, from other runs here",
    "machine": "roughly {}, estimated from this machine's speed",
    "unknown": "time not known yet",
}
"""How a time is said, by where it comes from."""


def field_id(name: str) -> str:
    """Return the id of a field's element in the page."""
    return f"train-{name.replace('_', '-')}"


def group_id(group: str) -> str:
    """Return the id of the element of a group of settings."""
    return f"train-{group.lower()}"


def help_text(name: str) -> str:
    """Return what a setting is, and what happens if one raises or lowers it."""
    setting = TrainConfig.model_fields[name]
    extra = setting.json_schema_extra
    effect = str(extra.get("raise_lower", "")) if isinstance(extra, dict) else ""
    return f"{setting.description} {effect}".strip()


def label_text(name: str) -> str:
    """Return what people call a field, with its unit where that is not said already."""
    extra = TrainConfig.model_fields[name].json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    label = LABELS[name]
    return label if not unit or unit.split()[-1] in label.lower() else f"{label} ({unit})"


def preset_values(preset: str, checkpoint: str = DEFAULT_CHECKPOINT) -> dict[str, object]:
    """Return what every field but preset and checkpoint holds under a preset, as the form shows it."""
    config = build_config({"preset": preset, "checkpoint": checkpoint})
    return {name: form_value(name, getattr(config, name)) for name in FILLED}


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
    return {name: form_value(name, getattr(config, name)) for name in FIELDS}


def form_value(name: str, value: object) -> object:
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
    shown = form_value(name, value) if name in TrainConfig.model_fields else value
    return f"{shown:,}" if isinstance(shown, int) and name != "seed" else str(shown)


@dataclass(frozen=True)
class Plan:
    """What the form's values mean.

    Attributes:
        problems: what is wrong, by the name of the field; empty where all can be used.
        message: what is wrong beside the fields: data or checkpoint are not there.
        num_steps: optimizer steps.
        words: pairs, batches and epochs.
        needs: time, disk and memory, in words.
        warnings: what may go wrong.
    """

    problems: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    num_steps: int = 0
    words: str = ""
    needs: str = ""
    warnings: list[str] = field(default_factory=list)


def make_plan(services: Services, values: Mapping[str, object], data: object = "") -> Plan:
    """Say what a training with the form's values on a data set does, or which of them cannot be used."""
    try:
        config = build_config(read_form(values))
    except ConfigError as error:
        return Plan(problems=label_problems(error)) if error.problems else Plan(message=str(error))
    try:
        num_pairs = services.own_data.get(data).dataset["train"].num_rows
        services.checkpoints.require(config.checkpoint)
        estimate = services.estimates.estimate(config, num_pairs)
    except MrpcError as error:
        return Plan(message=str(error))
    warnings = list(estimate.warnings)
    if not caller().is_owner and services.visitors.may_train:
        try:
            check_size(config, num_pairs)
        except AccessError as error:
            warnings.insert(0, str(error))
    batch = f"in batches of {config.train_batch_size}"
    if config.gradient_accumulation_steps > 1:
        batch += f" × {config.gradient_accumulation_steps}"
    used, epochs = config.num_used_pairs(num_pairs), render_count(config.num_epochs, "epoch")
    return Plan(
        num_steps=config.num_steps(num_pairs),
        words=f"{used:,} pairs {batch}, {epochs}",
        needs=describe_needs(estimate),
        warnings=warnings,
    )


def label_problems(error: ConfigError) -> dict[str, str]:
    """Return what is wrong, with the names that the form gives its fields."""
    return {
        name: problem.replace(name, LABELS.get(name, name), 1) for name, problem in error.problems.items()
    }


def describe_needs(estimate: Estimate) -> str:
    """Say what a training will need."""
    source = ", as an earlier run here" if estimate.is_memory_measured else ""
    return (
        f"Time: {describe_time(estimate.time)}. "
        f"Disk: {_describe_need(estimate.disk_bytes, estimate.free_disk_bytes)}. "
        f"Memory: {_describe_need(estimate.memory_bytes, estimate.free_memory_bytes)}{source}."
    )


def describe_time(time: Minutes) -> str:
    """Say how long a training takes, and how far to believe it."""
    minutes = 0.0 if time.minutes is None else time.minutes
    is_rough = 1 <= minutes < 60 and time.source != "measured"
    words = f"{round(minutes)} min" if is_rough else render_duration(60 * minutes)
    return TIMES[time.source].format(words)


def preset_cards(services: Services, checkpoint: object, data: object = "") -> list[tuple[str, str]]:
    """Return (what stands on its card, name) of each preset, with its time for a checkpoint and data here."""
    try:
        num_pairs = services.own_data.get(data).dataset["train"].num_rows
        configs = [build_config({"preset": name, "checkpoint": checkpoint}) for name in CARDS]
        times = [describe_time(one) for one in services.estimates.minutes(configs, num_pairs)]
    except MrpcError:  # the plan says why
        return plain_cards()
    return [
        (f"{title}\n{time}\n{purpose}", name)
        for (name, (title, purpose)), time in zip(CARDS.items(), times, strict=True)
    ]


def plain_cards() -> list[tuple[str, str]]:
    """Return the cards without times."""
    return [(f"{title}\n…\n{purpose}", name) for name, (title, purpose) in CARDS.items()]


def describe_checkpoints(services: Services, checkpoint: object) -> tuple[str, list[tuple[str, str]]]:
    """Look whether the checkpoints are available now.

    Returns:
        What the page says of the one that is chosen, as HTML; and (what people read, name) of all.
    """
    entries = services.checkpoints.availabilities()
    choices = [
        (one.spec.label if one.available else f"{one.spec.label} (not available)", one.spec.name)
        for one in entries
    ]
    chosen = next((one for one in entries if one.spec.name == checkpoint), None)
    known = ", ".join(one.spec.name for one in entries)
    asked = str(checkpoint)[:60]
    return render("train/checkpoint.html", chosen=chosen, asked=asked, known=known), choices


def _describe_need(needed: int | None, free: int) -> str:
    if needed is None:
        return f"unknown; {render_bytes(free)} are free"
    return f"about {render_bytes(needed)} of {render_bytes(free)} free"
