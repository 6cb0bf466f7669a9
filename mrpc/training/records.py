"""What the forward passes of a training gave: kept for every pair of an epoch, summed up for every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mrpc.core.stored_predictions import write_table


def pair_records(logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what is recorded of the pairs of a batch.

    Args:
        logits: [B, C].
        labels: int64 [B].
        mask: the attention mask, [B, T].

    Returns:
        float32 [B, 4]: cross-entropy in nats, probability of "equivalent", real tokens, padded tokens.
    """
    with torch.no_grad():
        scores = logits.detach().float()
        losses = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
        num_positions = torch.full_like(losses, mask.shape[1])
        return torch.stack([losses, scores.softmax(-1)[:, 1], mask.sum(-1).float(), num_positions], dim=-1)


class EpochRecords:
    """Loss and probability of the pairs of the epoch under way, in the order in which they passed."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {"row": [], "loss": [], "prob_equivalent": []}

    def add(self, rows: Sequence[int], pairs: torch.Tensor) -> None:
        """Take in a batch: which pairs, and what :func:`pair_records` says of them."""
        self._columns["row"].extend(rows)
        self._columns["loss"].extend(pairs[:, 0].tolist())
        self._columns["prob_equivalent"].extend(pairs[:, 1].tolist())

    def write(self, path: Path, idx: np.ndarray, epoch: int) -> None:
        """Write the table of the epoch, with the pairs' numbers in the corpus instead of their rows."""
        columns = dict(self._columns)
        table = pa.table({"idx": idx[columns.pop("row")], **columns})
        write_table(path, table, {"epoch": str(epoch)})

    def state_dict(self) -> dict[str, list[Any]]:
        """Return what a checkpoint holds."""
        return self._columns

    def load_state_dict(self, state: dict[str, list[Any]]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._columns = state


class StepTotals:
    """What the batches since the last optimizer step add up to."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._num_batches = 0
        self.num_pairs = self.num_tokens = self.num_padded_tokens = 0

    @property
    def loss(self) -> float:
        """Mean loss of the batches, in nats."""
        return self._loss / self._num_batches

    def add(self, loss: float, pairs: torch.Tensor) -> None:
        """Take in a batch: its mean loss, and what :func:`pair_records` says of its pairs."""
        self._loss += loss
        self._num_batches += 1
        self.num_pairs += len(pairs)
        self.num_tokens += int(pairs[:, 2].sum())
        self.num_padded_tokens += int(pairs[:, 3].sum())
