"""The data map of a run's training pairs with their texts, and what the sides think of doubtful labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.sides import Both, Side
from mrpc.core.analysis.cartography import REGIONS, Cartography, build_cartography
from mrpc.core.data.load import LoadedData
from mrpc.core.model.stored_predictions import read_table
from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.runs.run import Run

MAX_LISTED = 500
NUM_DOUBTFUL = 30
RECORD_COLUMNS = ("idx", "loss")
NOT_ASKED: Both[float | None] = Both(None, None)


@dataclass(frozen=True)
class MappedPair:
    """A training pair and where it lies.

    Attributes:
        row: its place in train, from 0.
        label: 1 if the corpus calls it equivalent.
        confidence, variability, correctness: see :mod:`mrpc.core.analysis.cartography`.
        probs: of "equivalent", of both sides, where they were asked.
        num_doubts: fine-tuned models that were asked and contradict the corpus; a base or a baseline was
            not taught by these labels, so it has no say.
    """

    row: int
    sentence1: str
    sentence2: str
    label: int
    confidence: float
    variability: float
    correctness: float
    region: str
    probs: Both[float | None] = NOT_ASKED
    num_doubts: int = 0


class TrainingMap:
    """The data map of one run."""

    def __init__(self, run: Run, data: LoadedData) -> None:
        """Read the losses of every epoch.

        Raises:
            UnavailableError: when there are fewer than three whole epochs, or a file cannot be read.
        """
        self.map: Cartography = build_cartography(_read_epochs(run))
        self._train = data.dataset["train"]
        rows = {idx: row for row, idx in enumerate(self._train["idx"])}
        try:
            self._rows = [rows[idx] for idx in self.map.idx.tolist()]
        except KeyError as error:
            raise DataError(f"The run trained on a pair {error} that is not in train.") from None

    def in_region(self, region: object) -> list[MappedPair]:
        """Return the pairs of a region, the most typical first, at most 500.

        Raises:
            InputError: when there is no such region.
        """
        if region not in REGIONS:
            raise InputError(f"The region is {str(region)[:40]!r}; it must be one of {', '.join(REGIONS)}.")
        assert isinstance(region, str)
        return self._pairs(self.map.order(region)[:MAX_LISTED].tolist())

    def points(self) -> list[tuple[int, float, float, float, str]]:
        """Return row, variability, confidence, correctness and region of every pair."""
        found = self.map
        return [
            (row, float(variability), float(confidence), float(correctness), str(region))
            for row, variability, confidence, correctness, region in zip(
                self._rows, found.variability, found.confidence, found.correctness, found.region, strict=True
            )
        ]

    def counts(self) -> dict[str, int]:
        """Return how many pairs each region has."""
        return {region: int((self.map.region == region).sum()) for region in REGIONS}

    def doubtful_labels(
        self, answers: Answers, sides: Both[Side], on_progress: OnProgress = silent
    ) -> list[MappedPair]:
        """Return the pairs whose label was believed least, with what both sides say; doubted ones first."""
        pairs = self._pairs(self.map.doubtful(NUM_DOUBTFUL).tolist())
        texts = [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]

        def ask(side: Side) -> list[float | None]:
            if side.missing:
                return [None] * len(pairs)
            return list(answers.ask(side, *texts, on_progress=on_progress).prob_equivalent.tolist())

        said = sides.map(ask)
        asked = [
            _with_opinions(pair, sides, Both(first, second))
            for pair, first, second in zip(pairs, said.first, said.second, strict=True)
        ]
        return sorted(asked, key=lambda pair: (-pair.num_doubts, pair.confidence))

    def _pairs(self, places: Sequence[int]) -> list[MappedPair]:
        found = self.map
        chosen = self._train.select([self._rows[place] for place in places])
        return [
            MappedPair(
                row=self._rows[place],
                sentence1=row["sentence1"],
                sentence2=row["sentence2"],
                label=row["label"],
                confidence=float(found.confidence[place]),
                variability=float(found.variability[place]),
                correctness=float(found.correctness[place]),
                region=str(found.region[place]),
            )
            for place, row in zip(places, chosen, strict=True)
        ]


def _with_opinions(pair: MappedPair, sides: Both[Side], probs: Both[float | None]) -> MappedPair:
    num_doubts = sum(
        side.kind == "tuned" and prob is not None and (prob > 0.5) != bool(pair.label)
        for side, prob in zip(sides, probs, strict=True)
    )
    return replace(pair, probs=probs, num_doubts=num_doubts)


def _read_epochs(run: Run) -> list[tuple[np.ndarray, np.ndarray]]:
    epochs = []
    for epoch in range(1, run.config.hyperparameters.num_epochs + 1):
        try:
            table = read_table(run.paths.train_records(epoch), RECORD_COLUMNS)
        except UnavailableError:
            continue
        losses = table["loss"].to_numpy().astype(np.float64)
        epochs.append((table["idx"].to_numpy().astype(np.int64), losses))
    return epochs
