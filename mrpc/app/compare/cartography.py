"""The map of a run's training pairs with their texts, and what both sides think of doubtful labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.sides import Side
from mrpc.app.progress import Report, ShouldStop
from mrpc.core.analysis.cartography import REGIONS, Cartography, build_cartography
from mrpc.core.data.load import LoadedData
from mrpc.core.model.stored_predictions import read_table
from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.runs.store import Run

MAX_LISTED = 500
NUM_DOUBTFUL = 30
RECORD_COLUMNS = ("idx", "loss")


@dataclass(frozen=True)
class MappedPair:
    """A training pair and where it lies.

    Attributes:
        row: its place in train, from 0.
        label: 1 if the corpus calls it equivalent.
        confidence, variability, correctness: see :class:`mrpc.core.analysis.cartography.Cartography`.
        left: probability of "equivalent" on the left, if both sides were asked; ``right`` on the right.
    """

    row: int
    sentence1: str
    sentence2: str
    label: int
    confidence: float
    variability: float
    correctness: float
    region: str
    left: float | None = None
    right: float | None = None

    @property
    def both_disagree(self) -> bool:
        """Whether both sides were asked and both contradict the corpus."""
        asked = [side for side in (self.left, self.right) if side is not None]
        return len(asked) == 2 and all((side > 0.5) != bool(self.label) for side in asked)


class TrainingMap:
    """The map of one run."""

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

    def at(self, row: object) -> MappedPair:
        """Return the pair of a row of train.

        Raises:
            InputError: when the run did not train on it.
        """
        if isinstance(row, bool) or not isinstance(row, int) or row not in self._rows:
            raise InputError(f"The run did not train on pair {str(row)[:40]!r}.")
        return self._pairs([self._rows.index(row)])[0]

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
        self, answers: Answers, left: Side, right: Side, report: Report, should_stop: ShouldStop
    ) -> list[MappedPair]:
        """Return the pairs whose label was believed least, with what both sides say; doubts of both first."""
        places = self.map.doubtful(NUM_DOUBTFUL).tolist()
        pairs = self._pairs(places)
        texts = [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]
        said = []
        for side in (left, right):
            if side.missing:
                said.append([None] * len(pairs))
            else:
                answer = answers.ask(side, *texts, report=report, should_stop=should_stop)
                said.append(answer.prob_equivalent.tolist())
        asked = self._pairs(places, said[0], said[1])
        return sorted(asked, key=lambda pair: (not pair.both_disagree, pair.confidence))

    def _pairs(
        self,
        places: list[int],
        left: Iterable[float | None] | None = None,
        right: Iterable[float | None] | None = None,
    ) -> list[MappedPair]:
        found = self.map
        chosen = self._train.select([self._rows[place] for place in places])
        unasked: list[float | None] = [None] * len(places)
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
                left=on_left,
                right=on_right,
            )
            for place, row, on_left, on_right in zip(
                places, chosen, left or unasked, right or unasked, strict=True
            )
        ]


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
