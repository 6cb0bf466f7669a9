"""One pair: answered by both sides while somebody watches, or found by the id of its row in a table.

Ids are "validation:12", "train:5", "changed number:3" for a case of a behavioural test, or "validation:any".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.shelf import DataShelf
from mrpc.app.compare.sides import Both, Side, SideCatalog, check_weights_differ
from mrpc.app.limits import check_whole, find_split
from mrpc.core.data.pairs import LABEL_NAMES, SPLITS, SentencePair, check_pair
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.compare.comparisons import Comparisons
    from mrpc.app.compare.loaded import LoadedSides

ANY = "any"


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

    def as_dict(self) -> dict[str, object]:
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
        self, first: object, second: object, sentence1: object, sentence2: object
    ) -> tuple[Both[Side], SentencePair]:
        """Return two sides and a pair that came from outside, checked.

        Raises:
            InputError: for a side or a sentence that cannot be used.
        """
        return self._catalog.find_two(first, second), check_pair(sentence1, sentence2)

    def compare(self, run_id: str, sentence1: str, sentence2: str) -> dict[str, object]:
        """Answer a pair with a run's base and its best model, for scripts."""
        answers = self.answer(f"{run_id}:base", f"{run_id}:best", sentence1, sentence2)
        return {"base": answers.first.as_dict(), "tuned": answers.second.as_dict()}

    def answer(self, first: object, second: object, sentence1: object, sentence2: object) -> Both[PairAnswer]:
        """Answer a pair with both sides.

        Raises:
            InputError: for a side or a sentence that cannot be used.
            UnavailableError: when a side's weights are not there.
            RunStateError: when base and fine-tuned are the same weights.
        """
        sides, pair = self.look_at(first, second, sentence1, sentence2)
        answers = sides.map(lambda side: self._answer(side, pair))
        check_weights_differ(sides, answers.map(lambda answer: answer.weights_sha256))
        return answers

    def known_label(self, sides: Both[Side], pair: SentencePair) -> int | None:
        """Return what the corpus says of a pair; None for a pair that is not in the sides' data."""
        data = sides.second.data or sides.first.data
        return self._shelf.labels(data).get((pair.sentence1, pair.sentence2))

    def _answer(self, side: Side, pair: SentencePair) -> PairAnswer:
        sha256 = "" if side.kind == "baseline" else self._loaded().get(side).weights_sha256
        started_at = time.perf_counter()
        answer = self._answers.ask(side, [pair.sentence1], [pair.sentence2])
        latency_ms = (time.perf_counter() - started_at) * 1000
        label = LABEL_NAMES[int(answer.predicted[0])]
        return PairAnswer(side, label, float(answer.prob_equivalent[0]), sha256, latency_ms)


def find_row(comparisons: Comparisons, first: object, second: object, row_id: object) -> SentencePair:
    """Return a pair of the sides' data, or a case of a behavioural test.

    Args:
        comparisons: finds sides, data and tests.
        first: the name of one side.
        second: the name of the other.
        row_id: from a browser, as the module's docstring says; "any" is a random pair.

    Raises:
        InputError: when there is no such pair.
    """
    origin, _, number = row_id.rpartition(":") if isinstance(row_id, str) else ("", "", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 10
    if not origin or not (is_number or number == ANY):
        raise InputError(f"There is no pair {str(row_id)[:40]!r}.")
    if origin not in SPLITS:
        from mrpc.app.compare.behavioral import find_result

        results = comparisons.compare(first, second).behavioral_tests()
        case = find_result(results, origin).case(int(number) if is_number else None)
        return SentencePair(case.sentence1, case.sentence2)
    sides = comparisons.catalog.find_two(first, second)
    rows = find_split(comparisons.shelf.get(sides.second.data or sides.first.data), origin)
    row = int(number) if is_number else random.randrange(len(rows))
    return SentencePair(**rows[check_whole(row, f"The number of a pair of {origin}", 0, len(rows) - 1)])
