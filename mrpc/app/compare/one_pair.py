"""One pair, answered by both sides while somebody watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.shelf import DataShelf
from mrpc.app.compare.sides import Side, SideCatalog, check_weights_differ
from mrpc.core.data.pairs import LABEL_NAMES, SPLITS, SentencePair, check_pair
from mrpc.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.app.compare.loaded import LoadedSides


@dataclass(frozen=True)
class PairAnswer:
    """What one side says to one pair, and which weights said it.

    Attributes:
        side: who answered.
        label: "equivalent" or "not_equivalent".
        prob_equivalent: in [0, 1].
        weights_sha256: hash of the weights in memory that answered; "" for a baseline.
        latency_ms: how long the answer took, tokenizing included.
    """

    side: Side
    label: str
    prob_equivalent: float
    weights_sha256: str
    latency_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Return a plain object for scripts."""
        return {
            "label": self.label,
            "prob_equivalent": self.prob_equivalent,
            "checkpoint": self.side.checkpoint,
            "step": self.side.step,
            "weights_sha256": self.weights_sha256,
        }


class OnePair:
    """Answers one pair at a time. May be used from many threads."""

    def __init__(
        self, catalog: SideCatalog, shelf: DataShelf, answers: Answers, loaded: Callable[[], LoadedSides]
    ) -> None:
        """Bind to what finds sides, rows and answers.

        Args:
            catalog: finds sides by their names.
            shelf: gives the data of runs.
            answers: asks sides.
            loaded: returns the models in memory; may import torch first.
        """
        self._catalog = catalog
        self._shelf = shelf
        self._answers = answers
        self._loaded = loaded

    def look_at(
        self, left: str, right: str, sentence1: str, sentence2: str
    ) -> tuple[Side, Side, SentencePair]:
        """Return two sides and a pair that came from outside, checked.

        Raises:
            InputError: for a side or a sentence that cannot be used.
        """
        return *self._catalog.find_two(left, right), check_pair(sentence1, sentence2)

    def compare(self, run_id: str, sentence1: str, sentence2: str) -> dict[str, Any]:
        """Answer a pair with a run's base and its best model, for scripts."""
        left, right = self.answer(f"{run_id}:base", f"{run_id}:best", sentence1, sentence2)
        return {"base": left.as_dict(), "tuned": right.as_dict()}

    def answer(self, left: str, right: str, sentence1: str, sentence2: str) -> tuple[PairAnswer, PairAnswer]:
        """Answer a pair with both sides.

        Raises:
            InputError: for a side or a sentence that cannot be used.
            UnavailableError: when a side's weights are not there.
            RunStateError: when base and fine-tuned are the same weights.
        """
        *sides, pair = self.look_at(left, right, sentence1, sentence2)
        answers = self._answer(sides[0], pair), self._answer(sides[1], pair)
        check_weights_differ(sides[0], answers[0].weights_sha256, sides[1], answers[1].weights_sha256)
        return answers

    def num_pairs(self, left: str, right: str, split: str) -> int:
        """Return how many pairs a split of the sides' data has."""
        return len(self._dataset(left, right, split))

    def pick(self, left: str, right: str, split: str, row: object) -> SentencePair:
        """Return a row of the sides' data, counted from 0.

        Raises:
            InputError: when there is no such row.
        """
        dataset = self._dataset(left, right, split)
        if (
            isinstance(row, bool)
            or not isinstance(row, int | float)
            or not 0 <= row < len(dataset)
            or row % 1
        ):
            raise InputError(f"There is no pair {str(row)[:40]!r}; {split} has 0 to {len(dataset) - 1}.")
        values = dataset[int(row)]
        return SentencePair(**{**values, "label": values["label"] if values["label"] >= 0 else None})

    def known_label(
        self, left: str, right: str, split: str, row: object, sentence1: str, sentence2: str
    ) -> int | None:
        """Return the label of a row of the data if the sentences are still those of the row, else None."""
        try:
            pair = self.pick(left, right, split, row)
        except InputError:
            return None
        return pair.label if (pair.sentence1, pair.sentence2) == (sentence1, sentence2) else None

    def _dataset(self, left: str, right: str, split: str) -> Dataset:
        sides = self._catalog.find(left), self._catalog.find(right)
        ref = next((side.data for side in sides if side.data is not None), None)
        if split not in SPLITS:
            raise InputError(f"The split is {str(split)[:40]!r}; it must be one of {', '.join(SPLITS)}.")
        return self._shelf.get(ref).split(split)

    def _answer(self, side: Side, pair: SentencePair) -> PairAnswer:
        sha256 = "" if side.kind == "baseline" else self._loaded().get(side).weights_sha256
        started_at = time.perf_counter()
        answer = self._answers.ask(side, [pair.sentence1], [pair.sentence2])
        latency_ms = (time.perf_counter() - started_at) * 1000
        label = LABEL_NAMES[int(answer.predicted[0])]
        return PairAnswer(side, label, float(answer.prob_equivalent[0]), sha256, latency_ms)
