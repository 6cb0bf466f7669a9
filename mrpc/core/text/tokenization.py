"""Sentences to token ids: the one function that feeds the model, and the same result as rows for people.

What a page shows about a pair comes from :func:`encode_pairs`, which is also what training calls. Padding
belongs to :mod:`mrpc.core.text.batching`; loading a tokenizer to :mod:`mrpc.core.model.pretrained`.

A fast tokenizer keeps its truncation and padding settings inside itself, so two threads that call one
object with different settings silently get each other's. Every call from here holds that tokenizer's
:func:`tokenizer_lock`.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from datasets import Dataset
from transformers import BatchEncoding, PreTrainedTokenizerBase

from mrpc.errors import PairError

Truncation = Literal["longest_first", "only_first", "only_second", "do_not_truncate"]

TRUNCATIONS: tuple[Truncation, ...] = ("longest_first", "only_first", "only_second", "do_not_truncate")

MAX_ROWS_IN_MEMORY = 50_000
"""Data sets with more rows than this are encoded into a file instead of memory."""

_LOCKS: WeakKeyDictionary[PreTrainedTokenizerBase, threading.RLock] = WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


@dataclass(frozen=True)
class TokenRow:
    """One token of an encoded pair, as it is shown.

    Attributes:
        position: its place in the list of ids, from 0.
        token: the vocabulary's own spelling ("##ing", "Ġthe").
        id: its row in the embedding matrix.
        token_type_id: 0 or 1, or None where the model has no token types.
        attention_mask: 1 for a token that is attended to, 0 for padding.
        sequence_id: 0 or 1 for the sentence it came from, None where the tokenizer added it.
        start: first character in its sentence; 0 where there is none.
        end: one past the last character in its sentence; 0 where there is none.
        word: number of the word in its sentence, from 0, or None where there is none.
        is_special: a token with a meaning of its own ([CLS], [SEP]), whether added or typed.
        is_continuation: goes on with the word of the token before it.
        is_unknown: stands for characters that the vocabulary does not have.
        is_padding: fills the batch up and is not looked at.
    """

    position: int
    token: str
    id: int
    token_type_id: int | None
    attention_mask: int
    sequence_id: int | None
    start: int
    end: int
    word: int | None
    is_special: bool
    is_continuation: bool
    is_unknown: bool
    is_padding: bool


def tokenizer_lock(tokenizer: PreTrainedTokenizerBase) -> threading.RLock:
    """Return the lock that every call of this tokenizer object holds; always the same one."""
    with _LOCKS_GUARD:
        lock = _LOCKS.get(tokenizer)
        if lock is None:
            lock = _LOCKS[tokenizer] = threading.RLock()
        return lock


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    sentence1: Sequence[str],
    sentence2: Sequence[str],
    max_length: int = 128,
    truncation: Truncation = "longest_first",
) -> BatchEncoding:
    """Encode pairs as ``[CLS] sentence1 [SEP] sentence2 [SEP]``, or as this model wants them.

    Nothing is padded. This is the function that training uses: with its defaults it does what
    ``tokenizer(sentence1, sentence2, truncation=True, max_length=128)`` does.

    Args:
        tokenizer: a fast tokenizer.
        sentence1: the first sentences, N of them.
        sentence2: the second sentences, N of them.
        max_length: pairs are cut to this many tokens, special ones included, or to what the encoder can take
            (``tokenizer.model_max_length``) where that is less.
        truncation: which sentence is cut first.

    Returns:
        ``input_ids``, ``attention_mask`` and, for models that use them, ``token_type_ids``: N lists of
        integers each, and ``encodings`` with the offsets.

    Raises:
        PairError: when ``only_first`` or ``only_second`` would have to cut away a whole sentence.
    """
    assert truncation in TRUNCATIONS, truncation
    max_length = min(max_length, tokenizer.model_max_length)
    cut_one: int | None = {"only_first": 0, "only_second": 1}.get(truncation)
    with tokenizer_lock(tokenizer):
        if cut_one is not None:
            _check_enough_to_cut(tokenizer, sentence1, sentence2, max_length, cut_one)
        return tokenizer(
            list(sentence1),
            list(sentence2),
            truncation=truncation,
            max_length=None if truncation == "do_not_truncate" else max_length,
        )


def encode_dataset(tokenizer: PreTrainedTokenizerBase, dataset: Dataset, max_length: int = 128) -> Dataset:
    """Encode every pair of a data set, as :func:`encode_pairs` does.

    Small data sets stay in memory, larger ones in a file that Arrow maps.

    Args:
        tokenizer: a fast tokenizer.
        dataset: columns sentence1, sentence2 and label, N rows.
        max_length: pairs are cut to this many tokens.

    Returns:
        N rows in the same order: input_ids, attention_mask, token_type_ids if the model has them, label.
    """

    def encode(rows: dict[str, list[Any]]) -> dict[str, list[list[int]]]:
        return dict(encode_pairs(tokenizer, rows["sentence1"], rows["sentence2"], max_length))

    dropped = [name for name in dataset.column_names if name != "label"]
    if len(dataset) <= MAX_ROWS_IN_MEMORY:
        return dataset.map(
            encode, batched=True, remove_columns=dropped, keep_in_memory=True, new_fingerprint="encoded"
        )
    file = Path(tempfile.mkdtemp(prefix="mrpc-encoded-")) / "encoded.arrow"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    return dataset.map(
        encode, batched=True, remove_columns=dropped, cache_file_name=str(file), new_fingerprint="encoded"
    )


def encode_single(tokenizer: PreTrainedTokenizerBase, sentence: str, max_length: int = 512) -> BatchEncoding:
    """Encode one sentence alone, the way it must not be done for a pair, to show the difference.

    Returns:
        The same keys as :func:`encode_pairs`, for a batch of one.
    """
    with tokenizer_lock(tokenizer):
        return tokenizer([sentence], truncation=True, max_length=min(max_length, tokenizer.model_max_length))


def decode_ids(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Turn ids back into text, special tokens included, as ``tokenizer.decode(ids)`` does."""
    with tokenizer_lock(tokenizer):
        return str(tokenizer.decode(list(ids)))


def token_rows(tokenizer: PreTrainedTokenizerBase, encoded: BatchEncoding, index: int = 0) -> list[TokenRow]:
    """Describe every token of one encoded pair.

    Args:
        tokenizer: the tokenizer that made ``encoded``.
        encoded: what :func:`encode_pairs` returned.
        index: which pair of it.
    """
    encodings = encoded.encodings
    assert encodings is not None, "a fast tokenizer is needed"
    encoding = encodings[index]
    type_ids = encoded["token_type_ids"][index] if "token_type_ids" in encoded else None
    unknown_id = tokenizer.unk_token_id
    special_ids = set(tokenizer.all_special_ids) - {unknown_id}
    rows: list[TokenRow] = []
    for position, token_id in enumerate(encoding.ids):
        sequence_id, word = encoding.sequence_ids[position], encoding.word_ids[position]
        start, end = encoding.offsets[position]
        before = rows[-1] if rows else None
        rows.append(
            TokenRow(
                position=position,
                token=encoding.tokens[position],
                id=token_id,
                token_type_id=None if type_ids is None else int(type_ids[position]),
                attention_mask=encoding.attention_mask[position],
                sequence_id=sequence_id,
                start=start,
                end=end,
                word=word,
                is_special=token_id in special_ids,
                is_continuation=(
                    before is not None
                    and word is not None
                    and (before.word, before.sequence_id) == (word, sequence_id)
                ),
                is_unknown=token_id == unknown_id,
                is_padding=encoding.attention_mask[position] == 0,
            )
        )
    return rows


def cut_by_truncation(
    tokenizer: PreTrainedTokenizerBase, sentence1: str, sentence2: str, kept: Sequence[TokenRow]
) -> list[TokenRow]:
    """Return the tokens that truncation cut away from a pair, by encoding it once more without.

    Args:
        tokenizer: the tokenizer that made ``kept``.
        sentence1: the first sentence.
        sentence2: the second sentence.
        kept: the rows of the truncated pair, cut at the right end of a sentence as all our checkpoints do.

    Returns:
        In their order, numbered as they would be without truncation.
    """
    left = Counter(row.sequence_id for row in kept)
    uncut = encode_pairs(tokenizer, [sentence1], [sentence2], truncation="do_not_truncate")
    cut_rows = []
    for row in token_rows(tokenizer, uncut):
        left[row.sequence_id] -= 1
        if row.sequence_id is not None and left[row.sequence_id] < 0:
            cut_rows.append(row)
    return cut_rows


def pad_pair(
    tokenizer: PreTrainedTokenizerBase, raw: Mapping[str, list[int]], rows: Sequence[TokenRow], length: int
) -> tuple[dict[str, list[int]], list[TokenRow]]:
    """Fill one encoded pair up with padding, in both of its forms.

    Args:
        tokenizer: the tokenizer that made it; pads at the right, as all our checkpoints do.
        raw: the dictionary of one pair.
        rows: the same, token by token.
        length: tokens wanted; a pair that is longer stays as it is.
    """
    with tokenizer_lock(tokenizer):
        padded = tokenizer.pad(dict(raw), padding="max_length", max_length=length)
    filled = {key: list(padded[key]) for key in padded}
    type_ids = filled.get("token_type_ids")
    padding = [
        TokenRow(
            position=position,
            token=str(tokenizer.pad_token),
            id=filled["input_ids"][position],
            token_type_id=None if type_ids is None else type_ids[position],
            attention_mask=0,
            sequence_id=None,
            start=0,
            end=0,
            word=None,
            is_special=True,
            is_continuation=False,
            is_unknown=False,
            is_padding=True,
        )
        for position in range(len(rows), len(filled["input_ids"]))
    ]
    return filled, [*rows, *padding]


def encoded_lengths(encoded: BatchEncoding) -> list[int]:
    """Return how many tokens each encoded pair has."""
    return [len(ids) for ids in encoded["input_ids"]]


def _check_enough_to_cut(
    tokenizer: PreTrainedTokenizerBase,
    sentence1: Sequence[str],
    sentence2: Sequence[str],
    max_length: int,
    cut_one: int,
) -> None:
    """Refuse what tokenizers would answer with a bare ``Exception``."""
    encoded = tokenizer(list(sentence1), list(sentence2), truncation=False)
    for index, encoding in enumerate(encoded.encodings or []):
        num_over = len(encoding.ids) - max_length
        num_there = encoding.sequence_ids.count(cut_one)
        if num_over > 0 and num_there <= num_over:
            where = f" of pair {index}" if len(sentence1) > 1 else ""
            raise PairError(
                f"Sentence {cut_one + 1}{where} has {num_there} tokens, but {num_over} would have to be cut "
                f"from it to fit {max_length}. Cut the longest first, or allow more tokens."
            )
