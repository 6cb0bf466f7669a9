"""Vectors of sentences and of pairs, kept on disk where asked for, and which pairs lie near a pair.

A sentence's vector is the mean of its tokens' last hidden states, as sentence-transformers takes it; a
pair's vector is the last hidden state of its first token, which the classification head looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mrpc.core.model.prediction import MODEL_INPUTS, WINDOW_PAIRS, Lock, evaluation_mode
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_pairs, tokenizer_lock
from mrpc.files import open_regular, replacing

FloatArray = npt.NDArray[np.float32]
Encode = Callable[[int, int], "dict[str, list[list[int]]]"]


def embed_sentences(
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[str],
    max_length: int = 128,
    on_progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """Return the mean-pooled vectors of sentences, float32 [N, H], each of length 1.

    ``on_progress`` is called with the number done so far; what it raises ends the work.
    """

    def encode(first: int, last: int) -> dict[str, list[list[int]]]:
        with tokenizer_lock(tokenizer):
            longest = min(max_length, tokenizer.model_max_length)
            return dict(tokenizer(list(sentences[first:last]), truncation=True, max_length=longest))

    def pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1)

    return _embed(encoder, tokenizer, encode, len(sentences), pool, on_progress)


def embed_pairs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentence1: Sequence[str],
    sentence2: Sequence[str],
    max_length: int = 128,
    on_progress: Callable[[int], None] | None = None,
    lock: Lock | None = None,
) -> FloatArray:
    """Return the vectors that a classifier's head sees, float32 [N, H], each of length 1.

    ``on_progress`` is called with the number done so far; what it raises ends the work. The model's ``lock``
    is held for one batch at a time.
    """

    def encode(first: int, last: int) -> dict[str, list[list[int]]]:
        return dict(encode_pairs(tokenizer, sentence1[first:last], sentence2[first:last], max_length))

    return _embed(
        encoder_of(model),
        tokenizer,
        encode,
        len(sentence1),
        lambda hidden, mask: hidden[:, 0],
        on_progress,
        lock,
    )


def encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return the encoder under a classifier's head."""
    encoder = model.base_model
    assert isinstance(encoder, PreTrainedModel)
    return encoder


def nearest(query: FloatArray, vectors: FloatArray, num: int) -> list[tuple[int, float]]:
    """Return the rows of the ``num`` vectors nearest to a query [H], the nearest first, with their cosine."""
    cosines = vectors @ query
    rows = np.argsort(-cosines, kind="stable")[:num]
    return [(int(row), float(cosines[row])) for row in rows]


def _embed(
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encode: Encode,
    num: int,
    pool: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    on_progress: Callable[[int], None] | None,
    lock: Lock | None = None,
    batch_size: int = 64,
) -> FloatArray:
    collate = PairCollator(tokenizer)
    vectors = np.empty((num, encoder.config.hidden_size), dtype=np.float32)
    num_done = 0
    with evaluation_mode(encoder), torch.inference_mode():
        for start in range(0, num, WINDOW_PAIRS):
            encoding = encode(start, min(num, start + WINDOW_PAIRS))
            names = [name for name in MODEL_INPUTS if name in encoding]
            longest_first = np.argsort([-len(ids) for ids in encoding["input_ids"]], kind="stable")
            for first in range(0, len(longest_first), batch_size):
                rows = longest_first[first : first + batch_size]
                batch = collate([{name: encoding[name][row] for name in names} for row in rows])
                batch = {name: batch[name].to(encoder.device) for name in names}
                with lock or nullcontext():
                    hidden = encoder(**batch).last_hidden_state
                pooled = torch.nn.functional.normalize(pool(hidden, batch["attention_mask"]).float(), dim=-1)
                vectors[start + rows] = pooled.cpu().numpy()
                num_done += len(rows)
                if on_progress is not None:
                    on_progress(num_done)
    return vectors


def read_vectors(path: Path, num: int) -> np.ndarray | None:
    """Return float32 [num, H], or None when the file is missing, torn, or of another length."""
    try:
        with open_regular(path) as file:
            vectors: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == num else None


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write vectors, whole or not at all."""
    with replacing(path) as file:
        np.save(file, vectors)
