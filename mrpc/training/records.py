"""Records of the forward passes of a training: every pair of an epoch, and the sums of every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mrpc.core.model.stored_predictions import write_table


def pair_records(
    logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor, num_orders: int = 1
) -> torch.Tensor:
    """Return what is recorded of the pairs of a batch.

    Args:
        logits: [B, C].
        labels: int64 [B].
        mask: the attention mask, [B, T].
        num_orders: 2 where the second half of the rows shows the pairs of the first in the other order.

    Returns:
        float32 [B / num_orders, 4]: cross-entropy in nats and probability of "equivalent", the means over the
        orders, and real and padded tokens, of all orders together.
    """
    with torch.no_grad():
        scores = logits.detach().float()
        losses = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
        num_positions = torch.full_like(losses, mask.shape[1])
        rows = torch.stack([losses, scores.softmax(-1)[:, 1], mask.sum(-1).float(), num_positions], dim=-1)
        orders = rows.view(num_orders, -1, 4)
        return torch.cat([orders[..., :2].mean(0), orders[..., 2:].sum(0)], dim=-1)


class EpochRecords:
    """Loss and probability of the pairs of the epoch under way, in the order in which they passed."""

    def __init__(self) -> None:
        self._rows = np.empty(0, dtype=np.int64)
        self._pairs = np.empty((0, 2), dtype=np.float32)
        self._new: list[tuple[Sequence[int], np.ndarray]] = []

    def add(self, rows: Sequence[int], pairs: torch.Tensor) -> None:
        """Take in a batch: which pairs, and what :func:`pair_records` says of them."""
        self._new.append((rows, pairs[:, :2].cpu().numpy()))

    def write(self, path: Path, idx: np.ndarray, epoch: int) -> None:
        """Write the table of the epoch, with the pairs' numbers in the corpus instead of their rows."""
        state = self.state_dict()
        rows, pairs = state["rows"].numpy(), state["pairs"].numpy().astype(np.float64)
        table = pa.table({"idx": idx[rows], "loss": pairs[:, 0], "prob_equivalent": pairs[:, 1]})
        write_table(path, table, {"epoch": str(epoch)})

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint holds: rows [n], and loss and probability [n, 2]."""
        if self._new:
            rows, pairs = zip(*self._new, strict=True)
            self._rows = np.concatenate([self._rows, *(np.asarray(each, dtype=np.int64) for each in rows)])
            self._pairs = np.concatenate([self._pairs, *pairs])
            self._new = []
        return {"rows": torch.from_numpy(self._rows), "pairs": torch.from_numpy(self._pairs)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._rows, self._pairs, self._new = state["rows"].numpy(), state["pairs"].numpy(), []


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
