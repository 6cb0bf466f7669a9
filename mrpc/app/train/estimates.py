"""What a training will need, before it starts: minutes, disk, memory.

Minutes come from what earlier runs measured here, memory too where one of the same checkpoint has ended.
The rest follows from the size of the checkpoint.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import psutil

from mrpc.app.availability import CheckpointShelf
from mrpc.app.train.disk_errors import disk_trouble_in_words
from mrpc.config import RESUMABLE_LOOPS, TrainConfig
from mrpc.core.model.pretrained import PretrainedSize
from mrpc.runs.layout import RunStatus
from mrpc.runs.store import Run, RunState, RunStore

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

TYPICAL_TOKENS = 128
"""Padded length of the longest batch of sentence pairs, unless ``max_length`` cuts them shorter."""

COST_OF_A_STEP = (
    *("loop", "fast", "mixed_precision", "train_batch_size", "batch_order"),
    *("freeze_word_embeddings", "freeze_layers", "attention_dropout", "shared_words_weight"),
)
"""The settings that decide how long a token takes to learn, and what is kept in memory for it."""


@dataclass(frozen=True)
class Estimate:
    """What a training will need, before it starts.

    Attributes:
        minutes: from earlier runs with this checkpoint on this machine; None when there are none.
        disk_bytes, free_disk_bytes: needed and there; None where the checkpoint does not tell its size.
        memory_bytes, free_memory_bytes: needed and there; None likewise.
        is_memory_measured: whether an earlier run tells how much memory is needed.
        warnings: what may go wrong, in words.
    """

    minutes: float | None
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

    @disk_trouble_in_words()
    def estimate(self, config: TrainConfig, num_train_pairs: int) -> Estimate:
        """Estimate what a training needs.

        Args:
            config: its hyperparameters.
            num_train_pairs: rows of the training split.

        Raises:
            UnavailableError: when the runs folder cannot be used.
        """
        num_pairs = config.num_used_pairs(num_train_pairs)
        earlier = [
            (run, run.read_status())
            for run in self._store.list()
            if run.config.hyperparameters.checkpoint == config.checkpoint
        ]
        earlier.sort(key=lambda one: _likeness(one[0].config.hyperparameters, config), reverse=True)
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
            minutes=_minutes(config, num_pairs, [status for _, status in earlier]),
            disk_bytes=disk,
            free_disk_bytes=free_disk,
            memory_bytes=memory,
            free_memory_bytes=free_memory,
            is_memory_measured=measured is not None,
            warnings=warnings,
        )


def _likeness(one: TrainConfig, other: TrainConfig) -> int:
    """Count the settings that decide what a step costs and are the same."""
    return sum(getattr(one, name) == getattr(other, name) for name in COST_OF_A_STEP)


def _minutes(config: TrainConfig, num_pairs: int, earlier: list[RunStatus]) -> float | None:
    """Scale the tokens and evaluations of the first run that has both to this training's."""
    for status in earlier:
        if status.tokens_per_s and status.tokens_per_epoch and status.num_train_pairs:
            tokens = status.tokens_per_epoch / status.num_train_pairs * num_pairs * config.num_epochs
            train_s = tokens * _share_of_steps(config, num_pairs) / status.tokens_per_s
            num_evaluations = 1 + config.num_epochs
            return (train_s + num_evaluations * (status.evaluation_s or 0.0)) / 60
    return None


def _share_of_steps(config: TrainConfig, num_pairs: int) -> float:
    """Return the share of the epochs that ``max_steps`` allows."""
    return config.num_steps(num_pairs) / max(1, config.planned_steps(num_pairs))


def _disk_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    """Add up the folders of weights, and the checkpoints: weights and two moments each."""
    num_models = 2 + (config.num_epochs if config.keep_epochs == "all" else 0)
    num_states = 3 * NUM_CHECKPOINTS if config.loop in RESUMABLE_LOOPS else 0
    return size.num_parameters * WEIGHT_BYTES * (num_models + num_states)


def _memory_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    parameters = size.num_parameters * BYTES_PER_PARAMETER
    return LIBRARIES_BYTES + parameters + _activation_bytes(config, size)


def _activation_bytes(config: TrainConfig, size: PretrainedSize) -> int:
    num_tokens = config.train_batch_size * min(config.max_length, TYPICAL_TOKENS)
    return num_tokens * size.num_layers * size.width * ACTIVATION_BYTES


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
    wanted = _activation_bytes(config, size)
    differences = [(wanted - _activation_bytes(train, size), peak) for train, peak in like]
    difference, peak = min(differences, key=lambda one: abs(one[0]))
    return max(peak + difference, LIBRARIES_BYTES)
