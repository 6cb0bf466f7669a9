"""Answers and vectors of a model for many texts, under its own lock; and the files that keep vectors.

Nothing here draws a random number, so predicting in the middle of a training changes nothing in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_pairs, tokenizer_lock
from mrpc.files import open_regular, replacing

WINDOW_PAIRS = 8192
"""Pairs that are encoded and sorted by length at a time, so that memory stays flat on any data set."""

BATCH_PAIRS = 64
"""Pairs in one forward pass."""

MODEL_INPUTS = ("input_ids", "token_type_ids", "attention_mask")

FloatArray = npt.NDArray[np.float32]
Batch = dict[str, torch.Tensor]
OnAnswered = Callable[[int], None]
"""Called with the number done so far; what it raises ends the work."""


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout off, and back to how it was afterwards."""
    was_training = model.training
    if was_training:  # both go through all modules, a tenth of the time of one pair
        model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()


@dataclass(frozen=True)
class Predictor:
    """A model that answers one batch at a time, with what belongs to it.

    Attributes:
        model: a sequence classifier with two labels, or an encoder; its ``training`` flag is restored.
        tokenizer: the one that belongs to it.
        max_length: pairs are cut to this many tokens, as in its training.
        lock: held for one batch at a time, so that others are answered between two; code that uses model or
            tokenizer directly must hold it, too.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length: int = 128
    lock: threading.RLock = field(default_factory=threading.RLock)

    def predict(
        self, sentence1: Sequence[str], sentence2: Sequence[str], on_progress: OnAnswered | None = None
    ) -> FloatArray:
        """Return the logits of N pairs, float32 [N, 2], in their own order."""

        def answer(batch: Batch) -> torch.Tensor:
            logits: torch.Tensor = self.model(**batch).logits
            return logits

        return self._ask(len(sentence1), 2, self._pairs(sentence1, sentence2), answer, on_progress)

    def predict_dataset(self, dataset: Dataset, on_progress: OnAnswered | None = None) -> PairPredictions:
        """Predict every pair of a data set, in its order: sentence1, sentence2, idx and, if known, label."""
        logits = self.predict(dataset["sentence1"], dataset["sentence2"], on_progress)
        # A whole column with [:]: going through it value by value takes a hundred times as long.
        has_labels = "label" in dataset.column_names
        labels = dataset["label"][:] if has_labels else [UNLABELLED] * len(dataset)
        return PairPredictions(
            idx=np.asarray(dataset["idx"][:], dtype=np.int64),
            label=np.array([UNLABELLED if label is None else label for label in labels], dtype=np.int64),
            logits=logits,
        )

    def embed_pairs(
        self, sentence1: Sequence[str], sentence2: Sequence[str], on_progress: OnAnswered | None = None
    ) -> FloatArray:
        """Return the vectors that a classifier's head sees, float32 [N, H], each of length 1.

        It is the last hidden state of the first token.
        """
        encoder, width = self.model.base_model, self.model.config.hidden_size

        def answer(batch: Batch) -> torch.Tensor:
            return _unit(encoder(**batch).last_hidden_state[:, 0])

        return self._ask(len(sentence1), width, self._pairs(sentence1, sentence2), answer, on_progress)

    def embed_sentences(self, sentences: Sequence[str], on_progress: OnAnswered | None = None) -> FloatArray:
        """Return the vectors of N sentences, float32 [N, H], each of length 1.

        It is the mean of their tokens' last hidden states, as sentence-transformers takes it.
        """
        encoder = self.model.base_model

        def encode(window: slice) -> Mapping[str, Any]:
            with tokenizer_lock(self.tokenizer):
                longest = min(self.max_length, self.tokenizer.model_max_length)
                return self.tokenizer(list(sentences[window]), truncation=True, max_length=longest)

        def answer(batch: Batch) -> torch.Tensor:
            hidden = encoder(**batch).last_hidden_state
            weights = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            return _unit((hidden * weights).sum(1) / weights.sum(1))

        return self._ask(len(sentences), self.model.config.hidden_size, encode, answer, on_progress)

    def _pairs(
        self, sentence1: Sequence[str], sentence2: Sequence[str]
    ) -> Callable[[slice], Mapping[str, Any]]:
        """Return what encodes the pairs at the places of a window."""
        return lambda at: encode_pairs(self.tokenizer, sentence1[at], sentence2[at], self.max_length)

    def _ask(
        self,
        num: int,
        width: int,
        encode: Callable[[slice], Mapping[str, Any]],
        answer: Callable[[Batch], torch.Tensor],
        on_progress: OnAnswered | None,
    ) -> FloatArray:
        """Ask N texts, sorted by length within windows so that little is padded.

        Args:
            num: how many texts.
            width: K, numbers that are answered to each.
            encode: from the places of a window to its input_ids and what else the model takes.
            answer: from a batch of B to [B, K].
            on_progress: is told how far it is.

        Returns:
            float32 [N, K], in the order of the texts.
        """
        collate = PairCollator(self.tokenizer)
        answers = np.empty((num, width), dtype=np.float32)
        num_done = 0
        with evaluation_mode(self.model), torch.inference_mode():
            for start in range(0, num, WINDOW_PAIRS):
                encoding = encode(slice(start, start + WINDOW_PAIRS))
                names = [name for name in MODEL_INPUTS if name in encoding]
                longest_first = np.argsort([-len(ids) for ids in encoding["input_ids"]], kind="stable")
                for first in range(0, len(longest_first), BATCH_PAIRS):
                    rows = longest_first[first : first + BATCH_PAIRS]
                    batch = collate([{name: encoding[name][row] for name in names} for row in rows])
                    with self.lock:
                        answered = answer({name: batch[name].to(self.model.device) for name in names})
                    answers[start + rows] = answered.float().cpu().numpy()
                    num_done += len(rows)
                    if on_progress is not None:
                        on_progress(num_done)
        return answers


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors.float(), dim=-1)


def nearest(query: FloatArray, vectors: FloatArray, num: int) -> list[tuple[int, float]]:
    """Return the rows of the ``num`` vectors nearest to a query [H], the nearest first, with their cosine."""
    cosines = vectors @ query
    rows = np.argsort(-cosines, kind="stable")[:num]
    return [(int(row), float(cosines[row])) for row in rows]


def kept_vectors(path: Path, num: int, make: Callable[[], FloatArray]) -> FloatArray:
    """Return the vectors of a file, float32 [num, H]; made and written if it is missing, torn or of others.

    They are written whole or not at all.
    """
    try:
        with open_regular(path) as file:
            vectors: FloatArray = np.load(file, allow_pickle=False)
    except (OSError, ValueError):
        vectors = np.empty(0, np.float32)
    if vectors.ndim == 2 and len(vectors) == num:
        return vectors
    vectors = make()
    with replacing(path) as file:
        np.save(file, vectors)
    return vectors
