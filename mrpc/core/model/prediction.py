"""Answers of a model: for a whole data set, and for any pairs under the model's own lock.

Nothing here draws a random number, so predicting in the middle of a training changes nothing in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mrpc.core.model.stored_predictions import (
    UNLABELLED,
    PairPredictions,
)
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_pairs

WINDOW_PAIRS = 8192
"""Pairs that are encoded and sorted by length at a time, so that memory stays flat on any data set."""

Lock = AbstractContextManager[object]
MODEL_INPUTS = ("input_ids", "token_type_ids", "attention_mask")


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


def predict_pairs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: list[str],
    sentence2: list[str],
    batch_size: int = 64,
    max_length: int = 128,
    on_progress: Callable[[int], None] | None = None,
    lock: Lock | None = None,
) -> np.ndarray:
    """Return the logits of pairs, float32 [N, 2], in their own order.

    The pairs are sorted by length within windows, so that little is padded.

    Args:
        model: a sequence classifier with two labels.
        tokenizer: the one that belongs to it.
        sentence1: N first sentences.
        sentence2: N second sentences.
        batch_size: pairs in one forward pass.
        max_length: longer pairs are cut to this many tokens.
        on_progress: called with the number of pairs done so far; what it raises ends the work.
        lock: of the model, held for one batch at a time, so that others are answered between two.
    """
    collate = PairCollator(tokenizer)
    logits = np.empty((len(sentence1), 2), dtype=np.float32)
    num_done = 0
    with evaluation_mode(model), torch.inference_mode():
        for start in range(0, len(sentence1), WINDOW_PAIRS):
            window = slice(start, start + WINDOW_PAIRS)
            encoding = encode_pairs(tokenizer, sentence1[window], sentence2[window], max_length=max_length)
            names = [name for name in MODEL_INPUTS if name in encoding]
            lengths = np.array([len(ids) for ids in encoding["input_ids"]])
            longest_first = np.argsort(-lengths, kind="stable")
            for first in range(0, len(lengths), batch_size):
                rows = longest_first[first : first + batch_size]
                batch = collate([{name: encoding[name][row] for name in names} for row in rows])
                with lock or nullcontext():
                    output = model(**{name: batch[name].to(model.device) for name in names})
                logits[start + rows] = output.logits.float().cpu().numpy()
                num_done += len(rows)
                if on_progress is not None:
                    on_progress(num_done)
    return logits


def predict_dataset(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    batch_size: int = 64,
    max_length: int = 128,
    on_progress: Callable[[int], None] | None = None,
    lock: Lock | None = None,
) -> PairPredictions:
    """Predict every pair of a data set, in its order.

    Args:
        model: a sequence classifier with two labels; its ``training`` flag is restored.
        tokenizer: the one that belongs to it.
        dataset: columns sentence1, sentence2, idx and, where known, label.
        batch_size: pairs in one forward pass.
        max_length: longer pairs are cut to this many tokens.
        on_progress: called with the number of pairs done so far; what it raises ends the work.
        lock: as for :func:`predict_pairs`.
    """
    num = len(dataset)
    parts = []
    for start in range(0, num, WINDOW_PAIRS):
        rows = dataset[start : start + WINDOW_PAIRS]

        def report(num_done: int, before: int = start) -> None:
            if on_progress is not None:
                on_progress(before + num_done)

        parts.append(
            predict_pairs(
                model,
                tokenizer,
                rows["sentence1"],
                rows["sentence2"],
                batch_size=batch_size,
                max_length=max_length,
                on_progress=report,
                lock=lock,
            )
        )
    # A whole column with [:]: going through it value by value takes a hundred times as long.
    labels = dataset["label"][:] if "label" in dataset.column_names else [UNLABELLED] * num
    return PairPredictions(
        idx=np.asarray(dataset["idx"][:], dtype=np.int64),
        label=np.array([UNLABELLED if label is None else label for label in labels], dtype=np.int64),
        logits=np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.float32),
    )


class Predictor:
    """One loaded model that answers one batch at a time.

    Attributes:
        model: in evaluation mode.
        tokenizer: the one that belongs to it.
        max_length: pairs are cut to this many tokens, as in its training.
        lock: held while the model or its tokenizer works; code that uses them directly must hold it, too.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int = 128
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.lock = threading.RLock()

    def predict(
        self,
        sentence1: list[str],
        sentence2: list[str],
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Return the logits of pairs, float32 [N, 2]; the arguments are those of :func:`predict_pairs`."""
        return predict_pairs(
            self.model,
            self.tokenizer,
            sentence1,
            sentence2,
            max_length=self.max_length,
            on_progress=on_progress,
            lock=self.lock,
        )
