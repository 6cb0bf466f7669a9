"""A run's settings in the words of transformers' ``TrainingArguments``, and all of its fields as a table."""

from __future__ import annotations

import dataclasses
from typing import Any

from transformers import TrainingArguments

from mrpc.config import TrainConfig

EVAL_BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class ArgumentRow:
    """One field of ``TrainingArguments``.

    Attributes:
        name: of the field.
        value: what the run uses.
        default: Trainer's own default.
        description: transformers' own words, on one line.
    """

    name: str
    value: object
    default: object
    description: str

    @property
    def is_changed(self) -> bool:
        """Whether the run departs from Trainer's default."""
        return bool(self.value != self.default)


def trainer_arguments(config: TrainConfig, num_steps: int | None = None) -> dict[str, Any]:
    """Return the keyword arguments of ``TrainingArguments`` that do what a config says.

    Args:
        config: the hyperparameters.
        num_steps: optimizer steps of the whole training, where they are known: warmup is then given in steps.
    """
    return {
        "per_device_train_batch_size": config.train_batch_size,
        "per_device_eval_batch_size": EVAL_BATCH_SIZE,
        "num_train_epochs": float(config.num_epochs),
        "max_steps": config.max_steps or -1,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_scheduler_type,
        "warmup_steps": config.warmup_ratio if num_steps is None else round(config.warmup_ratio * num_steps),
        "weight_decay": config.weight_decay,
        "gradient_accumulation_steps": config.gradient_accumulation_steps,
        "max_grad_norm": config.max_grad_norm,
        "bf16": config.mixed_precision == "bf16",
        "seed": config.seed,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def argument_rows(config: TrainConfig, num_steps: int | None = None) -> list[ArgumentRow]:
    """Return every field of ``TrainingArguments`` for a config, those that differ from the default first."""
    given = trainer_arguments(config, num_steps)
    rows = []
    for field in dataclasses.fields(TrainingArguments):
        default = field.default
        if default is dataclasses.MISSING:
            default = None if field.default_factory is dataclasses.MISSING else field.default_factory()
        description = " ".join(str(field.metadata.get("help", "")).replace("%%", "%").split())  # argparse's %
        rows.append(ArgumentRow(field.name, given.get(field.name, default), default, description))
    return sorted(rows, key=lambda row: not row.is_changed)
