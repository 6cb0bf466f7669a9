"""Checkpoints to resume from: complete or invisible.

A checkpoint is written into a folder beside its place, every file synced, hashed in ``manifest.json``, and
moved into place in one step; only then are older ones pruned. A kill at any moment leaves the one before.
All random states of the process are in it.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mrpc.core.model.fast_bert import DropoutStream
from mrpc.core.model.precision import WORDS
from mrpc.files import hash_file, replacing_folder

MANIFEST = "manifest.json"
MODEL_FILE = "model.safetensors"
STATE_FILE = "state.pt"
NUM_KEPT = 2


class TrainingCheckpoint(NamedTuple):
    """What :func:`load_newest` found.

    Attributes:
        step: optimizer steps done.
        model: the model's tensors by name, on the CPU.
        state: optimizer, scheduler, random states, position and records, as given to :func:`write`.
        skipped: newer checkpoints that could not be used, each with the reason.
    """

    step: int
    model: dict[str, torch.Tensor]
    state: dict[str, Any]
    skipped: list[str]


def write(directory: Path, step: int, model: nn.Module, state: dict[str, object]) -> int:
    """Write the checkpoint of a step and prune older ones.

    Args:
        directory: the run's ``checkpoints`` folder.
        step: optimizer steps done.
        model: the unwrapped model.
        state: plain containers of tensors, numbers and strings.

    Returns:
        Its size in bytes.
    """
    _remove_unfinished(directory)
    with replacing_folder(directory / f"step-{step:08d}") as unfinished:
        num_bytes = _write_files(unfinished, step, model, state)
    for old in _committed(directory)[NUM_KEPT:]:
        shutil.rmtree(old)
    return num_bytes


def _write_files(directory: Path, step: int, model: nn.Module, state: dict[str, object]) -> int:
    """Write the files of a checkpoint; return their size in bytes."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, directory / MODEL_FILE)
    torch.save(state, directory / STATE_FILE)
    hashes = {name: hash_file(directory / name) for name in (MODEL_FILE, STATE_FILE)}
    (directory / MANIFEST).write_text(json.dumps({"step": step, "sha256": hashes}, indent=2))
    return sum(path.stat().st_size for path in directory.iterdir())


def load_newest(directory: Path) -> TrainingCheckpoint | None:
    """Load the newest checkpoint whose hashes hold; None when there is none."""
    skipped: list[str] = []
    for path in _committed(directory):
        problem = _problem(path)
        if problem is None:
            state = torch.load(path / STATE_FILE, map_location="cpu", weights_only=True)
            return TrainingCheckpoint(
                int(path.name.removeprefix("step-")), load_file(path / MODEL_FILE), state, skipped
            )
        skipped.append(f"{path.name}: {problem}")
    return None


def describe_differences(state: dict[str, Any], num_processes: int, mixed_precision: str) -> list[str]:
    """Say in which ways an attempt computes otherwise than the one that wrote a checkpoint.

    Args:
        state: of the checkpoint.
        num_processes: that train now.
        mixed_precision: what the steps are computed in now.
    """
    differences: list[str] = []
    if len(state["random"]) != num_processes:
        differences.append(
            f"This attempt trains with {num_processes} processes, the one before with "
            f"{len(state['random'])}: dropout drops other activations than it would have."
        )
    before = state.get("mixed_precision", mixed_precision)  # 0.4.1 did not keep it
    if before != mixed_precision:
        differences.append(
            f"This attempt computes its steps in {WORDS[mixed_precision]}, the one before in "
            f"{WORDS[before]}: the results differ from those of a run that was not cut."
        )
    if state["num_threads"] != torch.get_num_threads():
        differences.append(
            f"This attempt computes with {torch.get_num_threads()} threads, the one before with "
            f"{state['num_threads']}: the results may differ in the last digits."
        )
    return differences


def delete_all(directory: Path) -> None:
    """Delete every checkpoint of a run."""
    shutil.rmtree(directory, ignore_errors=True)


def _committed(directory: Path) -> list[Path]:
    """Return the finished checkpoints, the newest first."""
    if not directory.is_dir():
        return []
    paths = [path for path in directory.glob("step-*") if path.is_dir() and path.name[5:].isdigit()]
    return sorted(paths, key=lambda path: int(path.name[5:]), reverse=True)


def _problem(path: Path) -> str | None:
    try:
        hashes = json.loads((path / MANIFEST).read_text())["sha256"]
        for name in (MODEL_FILE, STATE_FILE):
            if hash_file(path / name) != hashes[name]:
                return f"{name} does not match its hash"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _remove_unfinished(directory: Path) -> None:
    for path in directory.glob(".step-*"):
        shutil.rmtree(path)


class RandomState(TypedDict):
    """The states of Python's, numpy's and torch's generators, and of the fast dropout's."""

    python: tuple[Any, ...]
    numpy: tuple[str, list[int], int, int, float]
    dropout: dict[str, Any]
    torch: torch.Tensor
    cuda: list[torch.Tensor]


def read_random_state(dropout: DropoutStream) -> RandomState:
    """Return all random states of this process."""
    kind, keys, position, has_gauss, cached_gaussian = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (
            str(kind),
            [int(key) for key in keys],
            int(position),
            int(has_gauss),
            float(cached_gaussian),
        ),
        "dropout": dropout.state_dict(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: RandomState, dropout: DropoutStream) -> None:
    """Put back what :func:`read_random_state` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached_gaussian = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached_gaussian))
    dropout.load_state_dict(state["dropout"])
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
