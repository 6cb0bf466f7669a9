"""The hyperparameters of a training, with their limits, units and presets.

One frozen model, :class:`TrainConfig`, serves the form in the page, the flags of the shell, the keys of
``/start_run`` and the file ``config.json``. Paths are not hyperparameters: they come from the command
line alone and live in :class:`mrpc.runs.layout.RunConfig`. Imports pydantic and nothing heavier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mrpc.errors import ConfigError

PresetName = Literal["course", "recommended", "quick"]
LoopName = Literal["accelerate", "pytorch", "trainer"]

DEFAULT_CHECKPOINT = "all-MiniLM-L6-v2"


def _field(default: Any, description: str, unit: str = "", raise_lower: str = "", **limits: Any) -> Any:
    """Describe a setting: what it is, its unit, and what happens if one raises or lowers it."""
    extra: dict[str, Any] = {"unit": unit, "raise_lower": raise_lower}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class TrainConfig(BaseModel):
    """Everything that decides what a training computes, but for the data and the checkpoint's files.

    The defaults are the ``course`` preset: chapter 3 of the Hugging Face course.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    preset: PresetName = _field("course", "The recipe that the other values were laid over.")
    loop: LoopName = _field(
        "accelerate",
        "Which training loop runs; all three write the same record. Only accelerate and pytorch runs can be "
        "continued after a cut, and only accelerate trains on several processes.",
        raise_lower="Another loop computes the same; it changes what the code looks like, and whether a run "
        "can go on after a cut.",
    )
    checkpoint: str = _field(
        DEFAULT_CHECKPOINT,
        "The pretrained encoder to start from, by its name in the list.",
        min_length=1,
        max_length=200,
        raise_lower="A larger encoder usually scores higher, and takes several times as long and as much "
        "memory.",
    )
    learning_rate: float = _field(
        5e-5,
        "The highest learning rate of the schedule, for AdamW.",
        "per step",
        gt=0,
        le=1e-2,
        raise_lower="Higher: faster, until the loss jumps about or the model gives every pair one answer. "
        "Lower: steadier, and too few steps may not be enough.",
    )
    train_batch_size: int = _field(
        8,
        "Pairs in one batch. Over several processes this is the batch of all together.",
        "pairs",
        ge=1,
        le=256,
        raise_lower="Higher: smoother gradients, fewer steps, more memory; often wants a higher learning "
        "rate. Lower: more, noisier steps.",
    )
    num_epochs: int = _field(
        3,
        "How often every training pair is seen.",
        "epochs",
        ge=1,
        le=50,
        raise_lower="Higher: longer, and a lower training loss; validation loss soon rises (over-fitting). "
        "Lower: shorter, and perhaps under-fitted.",
    )
    warmup_ratio: float = _field(
        0.0,
        "Share of the steps in which the learning rate climbs from 0.",
        "of all steps",
        ge=0,
        le=0.9,
        raise_lower="Higher: a gentler start, which high learning rates need. Lower: full steps at once, "
        "while the new head is still random.",
    )
    lr_scheduler_type: Literal["linear", "cosine"] = _field(
        "linear",
        "How the learning rate falls to 0 after the warmup: in a line, or in half a cosine.",
        raise_lower="Cosine stays high for longer and falls faster near the end. On three epochs the "
        "difference is usually noise.",
    )
    weight_decay: float = _field(
        0.0,
        "AdamW's decoupled decay; biases and layer norms are spared.",
        ge=0,
        le=1,
        raise_lower="Higher: weights are pulled towards 0, against over-fitting. Lower: less pull; 0.01 is "
        "common, 0 is the course.",
    )
    gradient_accumulation_steps: int = _field(
        1,
        "Batches whose gradients are averaged before one optimizer step.",
        "batches",
        ge=1,
        le=64,
        raise_lower="Higher: as a larger batch, without its memory, and fewer optimizer steps. Lower: more "
        "frequent steps.",
    )
    max_grad_norm: float = _field(
        1.0,
        "Gradients longer than this are scaled down to it; 0 switches clipping off.",
        ge=0,
        le=1e4,
        raise_lower="Higher: rare large gradients pass. Lower: every step is cut to the same length, which "
        "slows learning down.",
    )
    max_length: int = _field(
        128,
        "Longer pairs are cut to this many tokens, the longer sentence first.",
        "tokens",
        ge=8,
        le=512,
        raise_lower="Higher: nothing is cut, longer batches cost more. Lower: faster, but the end of long "
        "pairs is lost; MRPC needs about 100.",
    )
    max_steps: int = _field(
        0,
        "Stop after this many optimizer steps; 0 means no limit.",
        "steps",
        ge=0,
        le=10_000_000,
        raise_lower="Higher: more of the training. Lower: it ends early, while the schedule still plans for "
        "all steps.",
    )
    num_train_pairs: int = _field(
        0,
        "Train on this many pairs, drawn with the seed; 0 means all.",
        "pairs",
        ge=0,
        le=10_000_000,
        raise_lower="Higher: better scores, and proportionally longer. Lower: a quick look; below some "
        "hundred pairs little is learned.",
    )
    seed: int = _field(
        42,
        "Decides the new head, the order of the pairs and the dropout.",
        ge=0,
        le=2**31 - 1,
        raise_lower="Another seed is another draw: scores differ by a point or two. Repeat with several "
        "seeds before you believe a difference.",
    )
    batch_order: Literal["random", "length"] = _field(
        "random",
        "How batches are formed: pairs at random, as in the course, or pairs of similar length, "
        "which pads less. Either way the batches come in random order.",
        raise_lower="Length saves a third of the computing, because batches hold less padding. Random is "
        "the course.",
    )
    fast: bool = _field(
        False,
        "Compute the steps of a BERT on a CPU in a cheaper way: linear layers on real tokens only, the last "
        "layer for [CLS] alone, dropout from a faster generator. It learns the same, with other random "
        "numbers than a plain script.",
        raise_lower="On: about 1.6 times as fast on a CPU; other random numbers. Off: the plain steps of "
        "transformers.",
    )
    swap_probability: float = _field(
        0.0,
        "How often a pair is shown with its sentences swapped: a paraphrase is one in either order.",
        "of all pairs",
        ge=0,
        le=1,
        raise_lower="Higher: the model sees both orders, a little more data for free. Lower: the order as "
        "it stands in the data; 0.5 is even.",
    )
    both_orders: bool = _field(
        False,
        "Show every pair in both orders in each step, and learn from the mean of both losses.",
        raise_lower="On: the answer depends less on the order and on the seed, and a step takes twice as "
        "long. Off: one order of each pair, in half the time.",
    )
    freeze_word_embeddings: bool = _field(
        False,
        "Keep the word embeddings as pretrained: half of the weights of a small encoder, moved little.",
        raise_lower="On: faster, and less can be over-fitted. Off: every weight learns.",
    )
    freeze_layers: int = _field(
        0,
        "Keep this many of the lowest encoder layers, and all embeddings below them, as pretrained: no "
        "gradient is computed for them.",
        "layers",
        ge=0,
        le=48,
        raise_lower="Higher: faster and less memory, but less of the encoder adapts. Lower: more adapts; 0 "
        "trains all layers.",
    )
    pooler_start: Literal["checkpoint", "identity"] = _field(
        "checkpoint",
        "How a BERT's pooler begins: as in the checkpoint, or as the identity, which hands [CLS] on as it "
        "is. A checkpoint that was trained with mean pooling never used its pooler.",
        raise_lower="Identity helps a checkpoint that was trained with mean pooling. For BERT itself keep "
        "its own pooler.",
    )
    shared_words_weight: float = _field(
        0.0,
        "How much the loss of a second task counts while it trains: say of each word whether the other "
        "sentence has it, too. It teaches an encoder of single sentences to look from one to the other.",
        ge=0,
        le=10,
        raise_lower="Higher: the second task counts more, and can crowd out the first. Lower: it counts "
        "less; 0 switches it off.",
    )
    attention_dropout: bool = _field(
        True,
        "Drop attention weights in training as the checkpoint was pretrained; cheaper without.",
        raise_lower="On: more regularisation, slower. Off: faster, and over-fits a little sooner.",
    )
    mixed_precision: Literal["auto", "no", "bf16"] = _field(
        "no",
        "auto computes the steps in bfloat16 where the GPU or the CPU multiplies in it (AMX, avx512_bf16), "
        "else in float32; bf16 is refused where it would be emulated; no is float32, or what a config of "
        "accelerate asks for. Evaluation is in float32, and so is the pytorch loop.",
        raise_lower="auto and bf16 are faster on hardware that has it, with fewer digits; no keeps float32.",
    )
    keep_epochs: Literal["best_last", "all"] = _field(
        "best_last",
        "Which epochs keep their weights: the best by F1 and the last, or all.",
        raise_lower="All keeps every epoch for Compare, and needs disk for each. Best and last is enough "
        "for most.",
    )
    checkpoint_every_s: float = _field(
        60.0,
        "A checkpoint to resume from is written this often, and after every epoch; one of over 0.5 GB less "
        "often, so that they take about 2 % of the time.",
        "s",
        ge=0.1,
        le=86_400,
        raise_lower="Higher: less is written, more steps are repeated after a cut. Lower: less is lost, "
        "more is written.",
    )

    @property
    def num_orders(self) -> int:
        """In how many orders each step shows a pair: 1 or 2."""
        return 2 if self.both_orders else 1

    def num_used_pairs(self, num_pairs: int) -> int:
        """Return how many of the pairs in the training split are trained on."""
        return min(num_pairs, self.num_train_pairs or num_pairs)

    def batches_per_epoch(self, num_pairs: int) -> int:
        """Return the batches of one epoch; ``num_pairs`` as in :meth:`num_used_pairs`."""
        return math.ceil(self.num_used_pairs(num_pairs) / self.train_batch_size)

    def planned_steps(self, num_pairs: int) -> int:
        """Return the optimizer steps of all epochs, without the limit ``max_steps``."""
        steps_per_epoch = math.ceil(self.batches_per_epoch(num_pairs) / self.gradient_accumulation_steps)
        return steps_per_epoch * self.num_epochs

    def num_steps(self, num_pairs: int) -> int:
        """Return the optimizer steps of the whole training."""
        planned = self.planned_steps(num_pairs)
        return min(planned, self.max_steps or planned)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans_for_numbers(cls, value: Any, info: Any) -> Any:
        field = cls.model_fields[info.field_name]
        if isinstance(value, bool) and field.annotation is not bool:
            raise ValueError("a number is needed, not true or false")
        return value


CHEAP_STEPS: dict[str, Any] = {
    "fast": True,
    "batch_order": "length",
    "freeze_word_embeddings": True,
    "freeze_layers": 2,
    "attention_dropout": False,
}
"""What makes a step cheap: see ``benchmarks/README.md`` for what each of them saves."""

PRESETS: dict[PresetName, dict[str, Any]] = {
    "course": {},
    "recommended": {
        "learning_rate": 1e-4,
        "train_batch_size": 16,
        "num_epochs": 3,
        "warmup_ratio": 0.1,
        "swap_probability": 0.5,
        "both_orders": True,
        "pooler_start": "identity",
        "shared_words_weight": 2.0,
        "mixed_precision": "auto",
        **CHEAP_STEPS,
    },
    "quick": {
        "learning_rate": 2e-4,
        "train_batch_size": 16,
        "num_epochs": 1,
        "warmup_ratio": 0.1,
        "num_train_pairs": 3600,
        "pooler_start": "identity",
        "shared_words_weight": 2.0,
        "mixed_precision": "auto",
        **CHEAP_STEPS,
    },
}
"""What each preset changes from the defaults of :class:`TrainConfig`, for the default checkpoint."""

OTHER_ENCODERS: dict[PresetName, dict[str, Any]] = {
    "course": {},
    "recommended": {
        "learning_rate": 2e-5,
        "train_batch_size": 16,
        "num_epochs": 4,
        "warmup_ratio": 0.1,
        "batch_order": "length",
        "fast": True,
        "mixed_precision": "auto",
    },
    "quick": {
        "learning_rate": 5e-5,
        "train_batch_size": 16,
        "num_epochs": 1,
        "warmup_ratio": 0.1,
        "num_train_pairs": 800,
        "batch_order": "length",
        "fast": True,
        "mixed_precision": "auto",
    },
}
"""The same for any other checkpoint: what is known to train BERT-base well, and most encoders of its size.
With the recipe of the default checkpoint a larger one would not converge."""

LOOP_TITLES: Mapping[str, str] = {
    "accelerate": "Accelerate",
    "pytorch": "Plain PyTorch",
    "trainer": "Trainer",
}
"""What people call each loop."""

LOOP_HELP: dict[LoopName, str] = {
    "accelerate": (
        "The course's Accelerate loop. Goes on exactly where it was cut; runs on several processes and GPUs."
    ),
    "pytorch": ("The course's plain PyTorch loop. Goes on exactly where it was cut; one process, float32."),
    "trainer": (
        "transformers' Trainer with TrainingArguments. One process. It cannot continue exactly, so it writes "
        "no checkpoints: start a Trainer run that was cut again from the beginning. Stopped, it keeps its "
        "weights."
    ),
}
"""What each loop can do and what it cannot."""

RESUMABLE_LOOPS: frozenset[LoopName] = frozenset({"accelerate", "pytorch"})
"""The loops whose runs go on after a cut with the very steps that an uncut run would have done."""

LARGE_CHECKPOINT_BYTES = 500_000_000
"""A larger checkpoint, as the 1.3 GB of BERT-base, is written less often than ``checkpoint_every_s``."""

PRESET_HELP: dict[PresetName, str] = {
    "course": (
        "As in chapter 3 of the Hugging Face course: batches of 8 at random, 3 epochs, 5e-5, linear decay, "
        "no warmup, no weight decay, padding to the longest of the batch, gradients clipped at 1.0 as its "
        "Trainer does. The course's plain loop does not clip, and its Accelerate loop uses 3e-5."
    ),
    "recommended": (
        "The best recipe we measured for the default checkpoint on two cores; for other checkpoints, what is "
        "known to train BERT-base well."
    ),
    "quick": (
        "A preview: up to 3,600 pairs, each seen once. Its scores are those of a training that only began."
    ),
}


def preset_settings(preset: PresetName, checkpoint: str) -> dict[str, object]:
    """Return what a preset changes from the defaults of :class:`TrainConfig` for a checkpoint."""
    return (PRESETS if checkpoint == DEFAULT_CHECKPOINT else OTHER_ENCODERS)[preset]


def build_config(values: Mapping[str, object], default_preset: PresetName = "recommended") -> TrainConfig:
    """Lay values over their preset and check every one of them.

    Args:
        values: field name to value, as a browser, a script or a shell gave it. ``preset`` picks the recipe.
        default_preset: the recipe when ``values`` names none.

    Raises:
        ConfigError: for an unknown key or a value that is not allowed; names the field and the range.
    """
    unknown = [str(key) for key in values if key not in TrainConfig.model_fields]
    if unknown:
        known = ", ".join(TrainConfig.model_fields)
        raise ConfigError(f"Unknown setting {', '.join(map(repr, unknown))[:200]}. Known settings: {known}.")
    preset = values.get("preset", default_preset)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ConfigError(f"preset is {_shown(preset)}; allowed: {', '.join(PRESETS)}.")
    settings = preset_settings(preset, str(values.get("checkpoint", DEFAULT_CHECKPOINT)))
    try:
        config = TrainConfig.model_validate({**settings, **values, "preset": preset})
    except ValidationError as error:
        problems = {str(problem["loc"][0]): _explain(problem) for problem in error.errors()}
        raise ConfigError(" ".join(dict.fromkeys(problems.values())), problems) from None
    if config.loop == "pytorch" and config.mixed_precision == "bf16":
        raise ConfigError(
            problem
            := f"mixed_precision is {config.mixed_precision}, but the loop pytorch trains in float32. "
            "Choose another loop, or mixed_precision no.",
            {"mixed_precision": problem},
        )
    return config


def allowed_range(name: str) -> str:
    """Describe what a field of :class:`TrainConfig` may hold, in words."""
    field = TrainConfig.model_fields[name]
    choices = get_args(field.annotation)
    if choices:
        return "one of " + ", ".join(map(str, choices))
    limits = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("gt", "ge", "lt", "le")
        if hasattr(rule, key)
    }
    if field.annotation is bool:
        return "true or false"
    if field.annotation is str:
        return "a name from the list"
    kind = "a whole number" if field.annotation is int else "a number"
    low = f"more than {limits['gt']:g}" if "gt" in limits else f"at least {limits['ge']:,}"
    return f"{kind}, {low} and at most {limits['le']:,}"


def changed_settings(config: TrainConfig) -> dict[str, object]:
    """Return the fields whose value differs from the config's own preset."""
    settings = preset_settings(config.preset, config.checkpoint)
    base = TrainConfig.model_validate({**settings, "preset": config.preset, "checkpoint": config.checkpoint})
    return {name: value for name, value in config.model_dump().items() if value != getattr(base, name)}


def _explain(problem: Any) -> str:
    name = str(problem["loc"][0])
    return f"{name} is {_shown(problem['input'])}; it must be {allowed_range(name)}."


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
