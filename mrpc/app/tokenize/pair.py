"""What a tokenizer makes of a pair: its tokens, what was cut away, and how others see the same pair.

Rows of the data are found by :mod:`mrpc.app.tokenize.data`, batches built by
:mod:`mrpc.app.tokenize.batch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from mrpc.app.checkpoints import CheckpointShelf, LoadedTokenizer
from mrpc.app.inputs import DEFAULT_LENGTH, MAX_COMPARED, MAX_LENGTH, MIN_LENGTH, check_whole
from mrpc.core.data.pairs import SentencePair, check_pair
from mrpc.core.text.tokenization import (
    TRUNCATIONS,
    TokenRow,
    Truncation,
    cut_by_truncation,
    decode_ids,
    encode_pairs,
    encode_single,
    pad_pair,
    token_rows,
)
from mrpc.errors import InputError, UnavailableError


@dataclass(frozen=True)
class PairInspection:
    """One pair as one tokenizer sees it.

    Attributes:
        checkpoint: name of the checkpoint.
        sentence1: as it was given.
        sentence2: as it was given.
        raw: the dictionary that the tokenizer returned: keys in its order, one list of integers each.
        rows: the same, token by token.
        cut_rows: the tokens that truncation cut away, in order.
        decoded: the ids turned back into text.
        uses_token_type_ids: whether the model looks at token types.
        vocab_size: entries of the vocabulary.
        max_length: longer pairs are cut to this many tokens.
    """

    checkpoint: str
    sentence1: str
    sentence2: str
    raw: dict[str, list[int]]
    rows: list[TokenRow]
    cut_rows: list[TokenRow]
    decoded: str
    uses_token_type_ids: bool
    vocab_size: int
    max_length: int

    @property
    def tokens(self) -> list[str]:
        """What ``convert_ids_to_tokens`` gives."""
        return [row.token for row in self.rows]

    @property
    def num_cut(self) -> tuple[int, int]:
        """How many tokens were cut away of sentence 1 and of sentence 2."""
        of_first = sum(row.sequence_id == 0 for row in self.cut_rows)
        return of_first, len(self.cut_rows) - of_first

    @property
    def num_truncated(self) -> int:
        """Tokens that were cut away, of both sentences together."""
        return len(self.cut_rows)

    def as_json(self) -> dict[str, object]:
        """Return what ``/inspect_pair`` answers."""
        return {
            "checkpoint": self.checkpoint,
            "tokens": self.tokens,
            "input_ids": self.raw["input_ids"],
            "token_type_ids": self.raw.get("token_type_ids"),
            "attention_mask": self.raw["attention_mask"],
            "sequence_ids": [row.sequence_id for row in self.rows],
            "num_truncated": self.num_truncated,
        }


@dataclass(frozen=True)
class ComparedCheckpoint:
    """One of several checkpoints that look at the same pair.

    Attributes:
        checkpoint: its name.
        inspection: what its tokenizer makes of the pair; None when it is not available now.
        reason: why it cannot, in words; else "".
    """

    checkpoint: str
    inspection: PairInspection | None
    reason: str = ""


@dataclass(frozen=True)
class SeparateAndJoined:
    """The same two sentences encoded alone and as a pair.

    Attributes:
        pair: encoded together.
        alone: the tokens of each sentence encoded by itself.
    """

    pair: PairInspection
    alone: tuple[list[TokenRow], list[TokenRow]]

    @property
    def joined(self) -> list[TokenRow]:
        """Both lists of tokens one after the other, which is not what the model wants."""
        return [replace(row, position=place) for place, row in enumerate([*self.alone[0], *self.alone[1]])]

    @property
    def differences(self) -> list[int]:
        """Positions at which the joined lists hold another id or another token type than the pair."""
        joined, pair = self.joined, self.pair.rows
        return [
            position
            for position in range(max(len(joined), len(pair)))
            if position >= min(len(joined), len(pair))
            or (joined[position].id, joined[position].token_type_id)
            != (pair[position].id, pair[position].token_type_id)
        ]


class Inspection:
    """Shows pairs as tokens. May be used from many threads."""

    def __init__(self, checkpoints: CheckpointShelf) -> None:
        self._checkpoints = checkpoints

    def inspect_pair(
        self,
        sentence1: object,
        sentence2: object,
        checkpoint: str = "",
        max_length: object = DEFAULT_LENGTH,
        truncation: object = "longest_first",
        pad_to_max: bool = False,
    ) -> PairInspection:
        """Encode one pair as training does and describe every token.

        Args:
            sentence1: the first sentence, as it came from outside.
            sentence2: the second.
            checkpoint: whose tokenizer; "" is the default.
            max_length: longer pairs are cut to this many tokens.
            truncation: which sentence is cut first.
            pad_to_max: fill the pair up with padding to ``max_length``.

        Raises:
            InputError: something given cannot be used; says what and why.
            UnavailableError: the tokenizer is not available now.
        """
        pair = check_pair(sentence1, sentence2)
        loaded = self._checkpoints.tokenizer(checkpoint)
        length = check_whole(max_length, "max length", MIN_LENGTH, MAX_LENGTH)
        return _inspect(loaded, pair, length, _check_truncation(truncation), pad_to_max)

    def separate_and_joined(
        self, sentence1: object, sentence2: object, checkpoint: str = ""
    ) -> SeparateAndJoined:
        """Encode both sentences alone and as a pair, uncut as far as :data:`MAX_LENGTH` tokens.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the tokenizer is not available now.
        """
        pair = check_pair(sentence1, sentence2)
        loaded = self._checkpoints.tokenizer(checkpoint)
        encoded = [encode_single(loaded.tokenizer, text) for text in (pair.sentence1, pair.sentence2)]
        first, second = (token_rows(loaded.tokenizer, one) for one in encoded)
        second = [row if row.sequence_id is None else replace(row, sequence_id=1) for row in second]
        joined = _inspect(loaded, pair, MAX_LENGTH, "longest_first", pad_to_max=False)
        return SeparateAndJoined(joined, (first, second))

    def compare_checkpoints(
        self, sentence1: object, sentence2: object, checkpoints: Sequence[str]
    ) -> list[ComparedCheckpoint]:
        """Encode one pair with several tokenizers.

        Returns:
            One entry a checkpoint, in their order; why there is none for those that are not available now.

        Raises:
            InputError: something given cannot be used, or more than ``MAX_COMPARED`` checkpoints.
        """
        if not isinstance(checkpoints, list | tuple) or not 1 <= len(checkpoints) <= MAX_COMPARED:
            raise InputError(f"Choose one to {MAX_COMPARED} checkpoints.")
        pair = check_pair(sentence1, sentence2)

        def inspect(name: str) -> ComparedCheckpoint:
            try:
                loaded = self._checkpoints.tokenizer(name)
            except UnavailableError as error:
                return ComparedCheckpoint(name, None, str(error))
            return ComparedCheckpoint(
                name, _inspect(loaded, pair, MAX_LENGTH, "longest_first", pad_to_max=False)
            )

        names = list(dict.fromkeys(checkpoints))
        with ThreadPoolExecutor(len(names)) as pool:  # each may wait for the Hub
            return list(pool.map(inspect, names))


def _check_truncation(truncation: object) -> Truncation:
    for known in TRUNCATIONS:
        if truncation == known:
            return known
    raise InputError(f"truncation is {str(truncation)[:60]!r}; it must be one of {', '.join(TRUNCATIONS)}.")


def _inspect(
    loaded: LoadedTokenizer, pair: SentencePair, max_length: int, truncation: Truncation, pad_to_max: bool
) -> PairInspection:
    tokenizer = loaded.tokenizer
    encoded = encode_pairs(tokenizer, [pair.sentence1], [pair.sentence2], max_length, truncation)
    rows = token_rows(tokenizer, encoded)
    cut_rows = cut_by_truncation(tokenizer, pair.sentence1, pair.sentence2, rows)
    raw = {key: list(encoded[key][0]) for key in encoded}
    if pad_to_max:
        raw, rows = pad_pair(tokenizer, raw, rows, max_length)
    return PairInspection(
        checkpoint=loaded.spec.name,
        sentence1=pair.sentence1,
        sentence2=pair.sentence2,
        raw=raw,
        rows=rows,
        cut_rows=cut_rows,
        decoded=decode_ids(tokenizer, raw["input_ids"]),
        uses_token_type_ids=loaded.uses_token_type_ids,
        vocab_size=len(tokenizer),
        max_length=max_length,
    )
