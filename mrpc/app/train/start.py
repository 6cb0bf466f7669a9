"""What a training would do and need before it is started: the plan of the form, the times of the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mrpc.app.format import render_bytes, render_count, render_duration
from mrpc.app.templates import render
from mrpc.app.train.form import LABELS, read_form
from mrpc.app.visitors import caller, check_size
from mrpc.config import PresetName, build_config
from mrpc.errors import AccessError, ConfigError, MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.estimates import Estimate, Minutes

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
        return Plan(problems=in_peoples_words(error)) if error.problems else Plan(message=str(error))
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


def in_peoples_words(error: ConfigError) -> dict[str, str]:
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
    """Look whether the checkpoints can be had now.

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
