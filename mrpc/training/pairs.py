"""The pairs as a loop reads them, those to train on and those to evaluate on, and what is recorded of them.

Training pairs come in the order f(seed, epoch) and are encoded when their batch comes: a training of 200
steps on 366,800 pairs starts as soon as one on 3,668. Encoding costs less than a hundredth of a step.
Recorded are every pair of an epoch, and the sums of every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import BatchEncoding, PreTrainedTokenizerBase

from mrpc.config import TrainConfig
from mrpc.core.model.stored_predictions import PairPredictions, write_table
from mrpc.core.text.batching import Batches, PairCollator, epoch_batches, swapped_rows
from mrpc.core.text.tokenization import encode_dataset, encode_pairs, encoded_lengths

VALIDATION_BATCH_SIZE = 64
WINDOW_PAIRS = 1000
"""Pairs that are encoded at a time where many are."""


class TrainPairs(torch.utils.data.Dataset[Any]):
    """What a training sees, and when: a map-style data set for torch's ``DataLoader``.

    Row ``n`` below N is pair ``n``; row ``N + n`` is the same pair with its sentences swapped.

    Attributes:
        idx: int64 [N], the numbers of the pairs in the corpus.
        lengths: tokens of each pair, sentences not swapped.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset,
        config: TrainConfig,
        on_progress: Callable[[], None],
    ) -> None:
        """Take in the pairs; ``on_progress`` is called now and then while many are encoded."""
        self._tokenizer, self._dataset, self._config = tokenizer, dataset, config
        self._on_progress = on_progress
        self.idx = np.asarray(dataset["idx"][:], dtype=np.int64)
        self.lengths = PairLengths(len(dataset), self._encode_windows)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int) -> dict[str, object]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, object]]:
        """Encode the rows of a batch: input_ids, attention_mask, token_type_ids if there are any, label."""
        num_pairs = len(self)
        pairs = self._dataset[[row % num_pairs for row in rows]]
        both = zip(rows, pairs["sentence1"], pairs["sentence2"], strict=True)
        ordered = [(first, second) if row < num_pairs else (second, first) for row, first, second in both]
        encoded = self._encode(*zip(*ordered, strict=True))
        return [
            {"label": label, **{name: encoded[name][number] for name in encoded}}
            for number, label in enumerate(pairs["label"])
        ]

    def token_ids(self) -> torch.Tensor:
        """Return the ids that occur in any of the pairs, each once, ascending: int64 [R]."""
        used: np.ndarray = np.empty(0, dtype=np.int64)
        for encoded in self._encode_windows(np.arange(len(self))):
            used = np.union1d(used, np.concatenate(encoded["input_ids"]))
        return torch.from_numpy(used.astype(np.int64))

    def batches(self, epoch: int) -> Batches:
        """Return the pairs of every batch of an epoch, from 0: numbers in [0, N), each once."""
        config = self._config
        return epoch_batches(self.lengths, config.train_batch_size, config.batch_order, config.seed, epoch)

    def shown(self, batches: Sequence[Sequence[int]], epoch: int) -> Batches:
        """Return the rows that stand for the pairs of these batches in an epoch, from 0.

        A batch of B pairs has B rows; with ``both_orders`` 2B, the other orders last.
        """
        num_pairs = len(self)
        swapped = swapped_rows(num_pairs, self._config.swap_probability, self._config.seed, epoch)

        def rows_of(number: int) -> list[int]:
            rows = [pair + num_pairs * int(swapped[pair]) for pair in batches[number]]
            others = [(row + num_pairs) % (2 * num_pairs) for row in rows]
            return rows + others if self._config.both_orders else rows

        return Batches(len(batches), rows_of)

    def _encode_windows(self, rows: np.ndarray) -> Iterator[BatchEncoding]:
        for start in range(0, len(rows), WINDOW_PAIRS):
            pairs = self._dataset[rows[start : start + WINDOW_PAIRS]]
            yield self._encode(pairs["sentence1"], pairs["sentence2"])
            self._on_progress()

    def _encode(self, sentence1: Sequence[str], sentence2: Sequence[str]) -> BatchEncoding:
        return encode_pairs(self._tokenizer, sentence1, sentence2, self._config.max_length)


class PairLengths:
    """Tokens of each pair, counted when they are first asked for: ``len(lengths)``, ``lengths[rows]``."""

    def __init__(self, num_pairs: int, encode: Callable[[np.ndarray], Iterable[BatchEncoding]]) -> None:
        self._encode = encode
        self._counted = np.zeros(num_pairs, dtype=np.int32)  # 0 where nobody has asked yet

    def __len__(self) -> int:
        return len(self._counted)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the tokens of these pairs, int32 [len(rows)]."""
        new = rows[self._counted[rows] == 0]
        if len(new):
            self._counted[new] = [n for encoded in self._encode(new) for n in encoded_lengths(encoded)]
        return self._counted[rows]


class Validation:
    """The pairs to evaluate on, encoded once, and the answers of the evaluation under way.

    Attributes:
        dataset: sentence1, sentence2, label and idx.
        encoded: the same rows as the model takes them.
        order: the row numbers in the order of :meth:`loader`: the longest first, so that little is padded.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, max_length: int) -> None:
        self.dataset = dataset
        self.encoded = encode_dataset(tokenizer, dataset, max_length)
        lengths = pc.list_value_length(self.encoded.data.column("input_ids")).to_numpy()
        self.order = np.argsort(-lengths, kind="stable")
        self._collate = PairCollator(tokenizer)
        self._logits: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.dataset)

    def loader(self) -> DataLoader[object]:
        """Return the pairs in batches, like those that the model trains on."""
        return DataLoader(
            self.encoded,
            batch_size=VALIDATION_BATCH_SIZE,
            sampler=self.order.tolist(),
            collate_fn=self._collate,
            generator=torch.Generator(),  # or iter() would draw from the global one
        )

    def begin(self) -> None:
        """Forget the answers of the evaluation before."""
        self._logits = []

    def add(self, logits: torch.Tensor) -> None:
        """Take in the answers to the loader's next batch: [B, C]."""
        self._logits.append(logits.detach().float().cpu().numpy())

    def logits(self) -> np.ndarray:
        """Return the answers to all pairs in the order of ``dataset``, float32 [N, C]."""
        answers = np.concatenate(self._logits)
        assert len(answers) == len(self.order), (len(answers), len(self.order))
        in_order = np.empty_like(answers)
        in_order[self.order] = answers
        return in_order

    def predictions(self, logits: np.ndarray) -> PairPredictions:
        """Put logits, in the order of ``dataset``, together with what is known about the pairs."""
        idx, label = self.dataset["idx"][:], self.dataset["label"][:]
        return PairPredictions(
            np.asarray(idx, dtype=np.int64), np.asarray(label, dtype=np.int64), logits.astype(np.float32)
        )


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
