"""The training pairs as a loop reads them: encoded once, in the order f(seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from mrpc.config import TrainConfig
from mrpc.core.text.batching import epoch_batches, swapped_rows
from mrpc.core.text.tokenization import encode_dataset


class TrainPairs:
    """What a training sees, and when.

    Attributes:
        encoded: N rows as the model takes them; where some are shown swapped, N more in the other order.
        idx: int64 [N], the numbers of the pairs in the corpus.
        lengths: tokens of each pair, [N].
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset,
        config: TrainConfig,
        on_progress: Callable[[], None],
    ) -> None:
        """Encode the pairs, calling ``on_progress`` now and then."""
        self._config = config
        self.encoded = encode_dataset(tokenizer, dataset, config.max_length, on_progress)
        self.lengths = pc.list_value_length(self.encoded.data.column("input_ids")).to_numpy()
        self.idx = np.asarray(dataset["idx"][:], dtype=np.int64)
        if config.swap_probability > 0:
            names = {"sentence1": "sentence2", "sentence2": "sentence1"}
            other = dataset.rename_columns(names)
            swapped = encode_dataset(tokenizer, other, config.max_length, on_progress)
            self.encoded = concatenate_datasets([self.encoded, swapped])

    def __len__(self) -> int:
        return len(self.lengths)

    def token_ids(self) -> torch.Tensor:
        """Return the ids that occur in the pairs, each once, ascending: int64 [R]."""
        used = pc.unique(pc.list_flatten(self.encoded.data.column("input_ids")))
        return torch.from_numpy(np.sort(used.to_numpy().astype(np.int64)))

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the pairs of every batch of an epoch, from 0: numbers in [0, N), each once."""
        config = self._config
        return epoch_batches(self.lengths, config.train_batch_size, config.batch_order, config.seed, epoch)

    def shown(self, batches: Sequence[Sequence[int]], epoch: int) -> list[list[int]]:
        """Return the rows of ``encoded`` that stand for the pairs of these batches in an epoch, from 0."""
        swapped = swapped_rows(len(self), self._config.swap_probability, self._config.seed, epoch)
        return [[pair + len(self) * int(swapped[pair]) for pair in batch] for batch in batches]
