"""Which pairs changed from the first side to the second, and on which kinds of pairs the second fails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mrpc.app.compare.scores import Scores
from mrpc.app.compare.sides import Both
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.slices import Slice, make_slices, sample_phenomena
from mrpc.errors import DataError, InputError

if TYPE_CHECKING:
    from mrpc.core.data.load import LoadedData

CELLS = st.Transitions._fields
CHANGED_CELLS = ("fixed", "broken")


@dataclass(frozen=True)
class ComparedPair:
    """A pair with what both sides say.

    Attributes:
        row: its place in the split, from 0.
        idx: the number that the corpus gives it.
        label: 1 if equivalent.
        probs: of "equivalent", of both sides.
        cell: fixed, broken, both_right or both_wrong.
    """

    row: int
    idx: int
    sentence1: str
    sentence2: str
    label: int
    probs: Both[float]
    cell: str

    @property
    def change(self) -> float:
        """How far the probability moved, with its sign."""
        return self.probs.second - self.probs.first

    def as_dict(self) -> dict[str, object]:
        """Return a plain object for scripts, which call the first side left and the second right."""
        return {
            "row": self.row,
            "idx": self.idx,
            "sentence1": self.sentence1,
            "sentence2": self.sentence2,
            "label": self.label,
            "prob_left": self.probs.first,
            "prob_right": self.probs.second,
            "change": self.change,
        }


@dataclass(frozen=True)
class KindScore:
    """How both sides do on one kind of pairs.

    Attributes:
        name: the kind, in words.
        num_pairs: pairs of this kind.
        num_right: how many each side has right.
        fixed, broken: pairs of this kind that changed.
        p: that the second side does on these pairs as on all others (Fisher's exact test), corrected for
            looking at many kinds.
    """

    name: str
    num_pairs: int
    num_right: Both[int]
    fixed: int
    broken: int
    p: float

    @property
    def accuracy(self) -> Both[float]:
        """Share that each side has right."""
        return self.num_right.map(lambda num: num / self.num_pairs)

    @property
    def interval(self) -> st.Interval:
        """95 % interval of the second side's accuracy."""
        return st.wilson_interval(self.num_right.second, self.num_pairs)


class Changes:
    """The pairs of a split with their texts and what both sides say."""

    def __init__(self, scores: Scores, data: LoadedData) -> None:
        """Bring texts and answers together.

        Raises:
            DataError: when the answers are not about these rows.
        """
        dataset = data.split(scores.split)
        rows = {idx: row for row, idx in enumerate(dataset["idx"])}
        try:
            self._rows = np.array([rows[idx] for idx in scores.sides.first.answers.idx.tolist()])
        except KeyError as error:
            raise DataError(f"The answers are about a pair {error} that is not in {scores.split}.") from None
        chosen = dataset.select(self._rows)
        self.sentence1, self.sentence2 = list(chosen["sentence1"]), list(chosen["sentence2"])
        self.scores = scores
        self._is_sample = data.kind == "sample"

    def in_cell(self, *cells: object, kind: object = None) -> list[ComparedPair]:
        """Return the pairs of some cells, the largest change in probability first.

        Args:
            cells: of :data:`CELLS`.
            kind: the name of a kind of pairs; None for all kinds.

        Raises:
            InputError: when there is no such cell or kind.
        """
        for cell in cells:
            if cell not in CELLS:
                raise InputError(f"The cell is {str(cell)[:40]!r}; it must be one of {', '.join(CELLS)}.")
        mask = np.isin(self.scores.cells, [str(cell) for cell in cells])
        return self._pairs(mask if kind is None else mask & self._kind(kind).mask)

    def of_kind(self, name: object) -> list[ComparedPair]:
        """Return the pairs of a kind, those that the second side has most wrong first.

        Raises:
            InputError: when there is no such kind.
        """
        pairs = self._pairs(self._kind(name).mask)
        return sorted(pairs, key=lambda pair: abs(pair.label - pair.probs.second), reverse=True)

    def proposed(self, num: int) -> list[ComparedPair]:
        """Return pairs to look at: those that changed most, fixed ones first, else those that moved most."""
        changed = [*self.in_cell("fixed")[: num - num // 3], *self.in_cell("broken")[: num // 3]]
        return changed or self._pairs(np.ones(len(self._rows), dtype=bool))[:num]

    @cached_property
    def kinds(self) -> list[KindScore]:
        """The score of every kind of pairs, those on which the second side is worst first."""
        right = self.scores.sides.map(lambda side: side.answers.predicted == self.scores.labels)
        p_values = [
            st.share_difference_p(
                int(right.second[kind.mask].sum()),
                int(kind.mask.sum()),
                int(right.second[~kind.mask].sum()),
                int((~kind.mask).sum()),
            )
            for kind in self._kinds
        ]
        scores = [
            KindScore(
                name=kind.name,
                num_pairs=int(kind.mask.sum()),
                num_right=Both(int(right.first[kind.mask].sum()), int(right.second[kind.mask].sum())),
                fixed=int((right.second & ~right.first)[kind.mask].sum()),
                broken=int((right.first & ~right.second)[kind.mask].sum()),
                p=p,
            )
            for kind, p in zip(self._kinds, st.corrected_p(p_values), strict=True)
        ]
        return sorted(scores, key=lambda score: (score.accuracy.second, -score.num_pairs))

    @cached_property
    def _kinds(self) -> list[Slice]:
        phenomena = None
        if self._is_sample:
            tags = sample_phenomena(self.scores.split)
            phenomena = [tags.get(idx, "") for idx in self.scores.sides.first.answers.idx.tolist()]
        return make_slices(self.sentence1, self.sentence2, phenomena)

    def _kind(self, name: object) -> Slice:
        for kind in self._kinds:
            if kind.name == name:
                return kind
        raise InputError(f"There is no kind of pairs called {str(name)[:60]!r} here.")

    def _pairs(self, mask: np.ndarray) -> list[ComparedPair]:
        probs = self.scores.sides.map(lambda side: side.answers.prob_equivalent)
        answers = self.scores.sides.first.answers
        pairs = [
            ComparedPair(
                row=int(self._rows[at]),
                idx=int(answers.idx[at]),
                sentence1=self.sentence1[at],
                sentence2=self.sentence2[at],
                label=int(answers.label[at]),
                probs=Both(float(probs.first[at]), float(probs.second[at])),
                cell=str(self.scores.cells[at]),
            )
            for at in np.flatnonzero(mask)
        ]
        return sorted(pairs, key=lambda pair: abs(pair.change), reverse=True)
