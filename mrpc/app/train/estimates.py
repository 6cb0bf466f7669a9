"""What a training will need, before it starts: minutes, disk, memory.

Minutes come from what earlier runs measured here, memory too where one of the same checkpoint has ended.
Where the earlier runs computed their steps in another way, their speed is scaled by what such steps were
measured to cost (``benchmarks/README.md``); where there are none, the speed of this machine's matrix products
is measured. The rest follows from the size of the checkpoint.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import psutil

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.config import RESUMABLE_LOOPS, TrainConfig
from mrpc.core.model.pretrained import PretrainedSize
from mrpc.files import disk_errors_explained
from mrpc.runs.layout import RunStatus
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore

WEIGHT_BYTES = 4
"""Of one parameter in float32."""

NUM_CHECKPOINTS = 3
"""Two are kept while a third is written."""

LIBRARIES_BYTES = 500_000_000
"""Resident size of a training process before it loads a model, measured with torch for the CPU."""

BYTES_PER_PARAMETER = 24
"""Weights, gradient, AdamW's two moments, and a copy of weights and a moment while they are saved."""

ACTIVATION_BYTES = 190
"""Kept for the backward pass for each token, layer and unit of width; measured in float32 on a CPU."""

BFLOAT16_BYTES = 850_000_000
"""What oneDNN keeps of a training in bfloat16 besides, with batches of many lengths, and as much again with
both orders: measured on a CPU, with the bundled encoder and 16 pairs a batch, as peaks of 2.9 and 4.2 GB."""

TYPICAL_TOKENS = 128
"""Padded length of the longest batch of sentence pairs, unless ``max_length`` cuts them shorter."""

COST_OF_A_STEP = (
    *("loop", "fast", "mixed_precision", "train_batch_size", "batch_order"),
    *("freeze_word_embeddings", "freeze_layers", "attention_dropout", "shared_words_weight", "both_orders"),
)
"""The settings that decide how long a token takes to learn, and what is kept in memory for it."""


STEP_COSTS: Mapping[tuple[str, object], float] = {
    ("fast", True): 0.63,
    ("batch_order", "length"): 0.92,
    ("freeze_word_embeddings", True): 0.93,
    ("attention_dropout", False): 0.93,
}
"""What a token costs with a setting, against a plain step; together, and with two of six layers frozen, they
give the x2.43 that ``benchmarks/README.md`` reports. Rough, and said to be so."""

BFLOAT16_COST = 0.68
"""What a token costs in bfloat16, where the processor multiplies in it, against float32. Measured on two days
on an AMD EPYC with ``avx512_bf16``: 0.72 and 0.81 with the bundled encoder, 0.62 and 0.65 with BERT-base's
shapes; 0.68 in a probe with AMX."""

FROZEN_LAYER_SHARE = 0.5
"""Share of a layer's cost that is spared where it is frozen: its forward pass stays."""

TOKENS_A_PAIR = 53
"""Real tokens of a pair of MRPC on average."""

EVALUATION_PAIRS = 408
EFFICIENCY = 0.35
"""Share of the speed of matrix products that plain training steps reach."""

MIN_STEPS = 50
"""A run of fewer steps measures what a step costs badly: the first ones take several times as long."""

Earlier = tuple[Run, RunStatus]

Source = Literal["measured", "scaled", "machine", "unknown"]
"""Where minutes come from: a run with such steps, with others or a few, the machine's speed, or nowhere."""


@dataclass(frozen=True)
class Minutes:
    """How long a training takes.

    Attributes:
        minutes: None where it is not known.
        source: where that comes from.
    """

    minutes: float | None
    source: Source


@dataclass(frozen=True)
class Estimate:
    """What a training will need, before it starts.

    Attributes:
        time: how long it takes on this machine.
        disk_bytes, free_disk_bytes: needed and there; None where the checkpoint does not tell its size.
        memory_bytes, free_memory_bytes: needed and there; None likewise.
        is_memory_measured: whether an earlier run tells how much memory is needed.
        warnings: what may go wrong, in words.
    """

    time: Minutes
    disk_bytes: int | None
    free_disk_bytes: int
    memory_bytes: int | None
    free_memory_bytes: int
    is_memory_measured: bool
    warnings: list[str]


class Estimates:
    """Estimates trainings in one runs folder."""

    def __init__(self, store: RunStore, checkpoints: CheckpointShelf) -> None:
        self._store = store
        self._checkpoints = checkpoints

    def minutes(self, configs: Sequence[TrainConfig], num_train_pairs: int) -> list[Minutes]:
        """Return how long trainings with one checkpoint take, each; reads the runs once."""
        earlier = self._earlier(configs[0].checkpoint) if configs else []
        return [
            _minutes(
                config,
                config.num_used_pairs(num_train_pairs),
                earlier,
                self._checkpoints.size(config.checkpoint),
            )
            for config in configs
        ]

    def _earlier(self, checkpoint: str) -> list[Earlier]:
        """Return the runs with a checkpoint and what they measured, the newest first."""
        return [
            (run, run.read_status())
            for run in self._store.list()
            if run.config.hyperparameters.checkpoint == checkpoint
        ]

    @disk_errors_explained()
    def estimate(self, config: TrainConfig, num_train_pairs: int) -> Estimate:
        """Estimate what a training needs.

        Args:
            config: its hyperparameters.
            num_train_pairs: rows of the training split.

        Raises:
            UnavailableError: when the runs folder cannot be used.
        """
        num_pairs = config.num_used_pairs(num_train_pairs)
        earlier = self._earlier(config.checkpoint)
        finished = [(run, status) for run, status in earlier if run.state() is RunState.FINISHED]
        size = self._checkpoints.size(config.checkpoint)
        measured = _measured_memory_bytes(config, size, finished)
        disk = _disk_bytes(config, size) if size else None
        memory = measured or (_memory_bytes(config, size) if size else None)
        self._store.runs_dir.mkdir(parents=True, exist_ok=True)
        free_disk = shutil.disk_usage(self._store.runs_dir).free
        free_memory = psutil.virtual_memory().available
        warnings = self._checkpoints.encoder_notes(config.checkpoint)
        if disk and free_disk < disk:
            warnings.append(
                f"The disk has {free_disk / 1e9:.1f} GB free; this needs about {disk / 1e9:.1f} GB."
            )
        if memory and free_memory < memory:
            warnings.append(
                f"{free_memory / 1e9:.1f} GB of memory are free; this needs about {memory / 1e9:.1f} GB."
            )
        return Estimate(
            time=_minutes(config, num_pairs, earlier, size),
            disk_bytes=disk,
            free_disk_bytes=free_disk,
            memory_bytes=memory,
            free_memory_bytes=free_memory,
            is_memory_measured=measured is not None,
            warnings=warnings,
        )


_measuring = threading.Lock()


def matrix_flops_per_s() -> float:
    """Return how many operations of float32 matrix products this machine does in a second, measured once."""
    with _measuring:  # two at once would be half as fast, and differ
        return _measure_flops_per_s()


@cache
def _measure_flops_per_s() -> float:
    import numpy as np  # a tenth of a second that opening the page need not wait for

    size = 1024
    one = np.ones((size, size), dtype=np.float32)
    durations = []
    for _ in range(4):
        started_at = time.perf_counter()
        np.matmul(one, one)
        durations.append(time.perf_counter() - started_at)
    return 2 * size**3 / min(durations)


@cache
def _has_bfloat16() -> bool:
    """Tell whether this processor multiplies in bfloat16. Imports torch."""
    import torch

    from mrpc.core.model.precision import computes_in

    return computes_in("bf16", torch.device("cpu"))


def _takes_bfloat16(config: TrainConfig) -> bool:
    return config.mixed_precision != "no" and config.loop != "pytorch" and _has_bfloat16()


def _step_cost(config: TrainConfig, num_layers: int) -> float:
    """Return what a token costs against that of a plain step."""
    cost = 1.0
    for (name, value), factor in STEP_COSTS.items():
        if getattr(config, name) == value:
            cost *= factor
    if _takes_bfloat16(config):
        cost *= BFLOAT16_COST
    spared = min(config.freeze_layers, num_layers) / max(1, num_layers)
    return cost * (1 - FROZEN_LAYER_SHARE * spared)


def _minutes(
    config: TrainConfig, num_pairs: int, earlier: Sequence[Earlier], size: PretrainedSize | None
) -> Minutes:
    """Scale the tokens and evaluations of the most similar run that has both to this training's."""
    num_layers = size.num_layers if size else 6
    has_size = size is not None and size.width > 0
    measured = [
        (run, status)
        for run, status in earlier
        if status.tokens_per_s and status.tokens_per_epoch and status.num_train_pairs
        if status.step >= MIN_STEPS or not has_size
    ]
    costs = [getattr(config, name) for name in COST_OF_A_STEP]
    like = [
        (run, status)
        for run, status in measured
        if [getattr(run.config.hyperparameters, name) for name in COST_OF_A_STEP] == costs
    ]
    for run, status in like or measured:
        assert status.tokens_per_s is not None
        assert status.tokens_per_epoch is not None
        ratio = _step_cost(config, num_layers) / _step_cost(run.config.hyperparameters, num_layers)
        seconds_a_token = (1.0 if like else ratio) / status.tokens_per_s
        tokens_an_order = status.tokens_per_epoch / run.config.hyperparameters.num_orders
        tokens_a_pair = tokens_an_order * config.num_orders / (status.num_train_pairs or 1)
        seconds = _seconds(config, num_pairs, tokens_a_pair, seconds_a_token, status.evaluation_s or 0.0)
        return Minutes(seconds / 60, "measured" if like and status.step >= MIN_STEPS else "scaled")
    if size is None or not has_size:
        return Minutes(None, "unknown")
    # Of one layer: four matrices for attention, and two of four times the width.
    forward = 2 * 12 * size.num_layers * size.width**2
    rate = EFFICIENCY * matrix_flops_per_s()
    seconds_a_token = 3 * forward * _step_cost(config, size.num_layers) / rate
    evaluation_s = EVALUATION_PAIRS * TOKENS_A_PAIR * forward / rate
    seconds = _seconds(config, num_pairs, config.num_orders * TOKENS_A_PAIR, seconds_a_token, evaluation_s)
    return Minutes(seconds / 60, "machine")


def _seconds(
    config: TrainConfig, num_pairs: int, tokens_a_pair: float, seconds_a_token: float, evaluation_s: float
) -> float:
    share = config.num_steps(num_pairs) / max(1, config.planned_steps(num_pairs))  # that max_steps allows
    tokens = tokens_a_pair * num_pairs * config.num_epochs * share
    return tokens * seconds_a_token + (1 + config.num_epochs) * evaluation_s


def _disk_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    """Add up the folders of weights, and the checkpoints: weights and two moments each."""
    num_models = 2 + (config.num_epochs if config.keep_epochs == "all" else 0)
    num_states = 3 * NUM_CHECKPOINTS if config.loop in RESUMABLE_LOOPS else 0
    return size.num_parameters * WEIGHT_BYTES * (num_models + num_states)


def _memory_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    return LIBRARIES_BYTES + size.num_parameters * BYTES_PER_PARAMETER + _batch_bytes(config, size)


def _batch_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    """Return what the longest batch leaves for its backward pass, and what oneDNN keeps of all."""
    num_rows = config.train_batch_size * config.num_orders
    num_tokens = num_rows * min(config.max_length, TYPICAL_TOKENS)
    activations = num_tokens * size.num_layers * size.width * ACTIVATION_BYTES
    return activations + config.num_orders * BFLOAT16_BYTES * _takes_bfloat16(config)


def _measured_memory_bytes(
    config: TrainConfig, size: PretrainedSize | None, earlier: list[tuple[Run, RunStatus]]
) -> int | None:
    """Take the peak of the earlier run whose batches were most like these, and what the batches differ in."""
    like = [
        (run.config.hyperparameters, status.peak_memory_bytes)
        for run, status in earlier
        if status.peak_memory_bytes
    ]
    if not like:
        return None
    if size is None:
        return like[0][1]
    wanted = _batch_bytes(config, size)
    differences = [(wanted - _batch_bytes(train, size), peak) for train, peak in like]
    difference, peak = min(differences, key=lambda one: abs(one[0]))
    return max(peak + difference, LIBRARIES_BYTES)
