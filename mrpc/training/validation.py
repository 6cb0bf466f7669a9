"""The validation pairs as a loop reads them, and the answers of the evaluation under way."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from mrpc.core.model.stored_predictions import PairPredictions
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_dataset

BATCH_SIZE = 64


class Validation:
    """The pairs, encoded once.

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
            batch_size=BATCH_SIZE,
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
