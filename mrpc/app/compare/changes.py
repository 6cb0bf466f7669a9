"""Which pairs changed from a left to a right side, and on which kind of pairs the right side fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrpc.app.compare.splits import SplitComparison
from mrpc.core.analysis import statistics as st
from mrpc.core.analysis.slices import Slice, make_slices, sample_phenomena
from mrpc.errors import DataError, InputError

if TYPE_CHECKING:
    from mrpc.core.data.load import LoadedData

CELLS = st.Transitions._fields


@dataclass(frozen=True)
class FlippedPair:
    """A pair with what both sides say.

    Attributes:
        row: its place in the split, from 0.
        idx: the number that the corpus gives it.
        label: 1 if equivalent.
        left: probability of "equivalent" on the left; ``right`` on the right.
        cell: fixed, broken, both_right or both_wrong.
    """

    row: int
    idx: int
    sentence1: str
    sentence2: str
    label: int
    left: float
    right: float
    cell: str

    @property
    def change(self) -> float:
        """How far the probability moved, with its sign."""
        return self.right - self.left

    def as_dict(self) -> dict[str, Any]:
        """Return a plain object for scripts."""
        return {
            "row": self.row,
            "idx": self.idx,
            "sentence1": self.sentence1,
            "sentence2": self.sentence2,
            "label": self.label,
            "prob_left": self.left,
            "prob_right": self.right,
            "change": self.change,
        }


@dataclass(frozen=True)
class SliceScore:
    """How both sides do on one kind of pairs.

    Attributes:
        name: the kind, in words.
        num_pairs: pairs of this kind.
        left_right: how many the left side has right; ``right_right`` the right side.
        left_interval: 95 % interval of the left accuracy; ``right_interval`` of the right one.
        fixed, broken: pairs of this kind that changed.
        p: that the right side does on these pairs as on all others (Fisher's exact test), corrected for
            looking at many kinds.
    """

    name: str
    num_pairs: int
    left_right: int
    right_right: int
    left_interval: st.Interval
    right_interval: st.Interval
    fixed: int
    broken: int
    p: float

    @property
    def left_accuracy(self) -> float:
        """Share that the left side has right."""
        return self.left_right / self.num_pairs

    @property
    def right_accuracy(self) -> float:
        """Share that the right side has right."""
        return self.right_right / self.num_pairs


class SplitPairs:
    """The pairs of a comparison with their texts."""

    def __init__(self, comparison: SplitComparison, data: LoadedData) -> None:
        """Bring texts and answers together.

        Raises:
            DataError: when the answers are not about these rows.
        """
        dataset = data.split(comparison.split)
        rows = {idx: row for row, idx in enumerate(dataset["idx"])}
        try:
            self._rows = np.array([rows[idx] for idx in comparison.left.answers.idx.tolist()])
        except KeyError as error:
            raise DataError(
                f"The answers are about a pair {error} that is not in {comparison.split}."
            ) from None
        chosen = dataset.select(self._rows)
        self.sentence1, self.sentence2 = list(chosen["sentence1"]), list(chosen["sentence2"])
        self.comparison = comparison
        self._is_sample = data.kind == "sample"

    def in_cell(self, cell: object) -> list[FlippedPair]:
        """Return the pairs of a cell, the largest change in probability first.

        Raises:
            InputError: when there is no such cell.
        """
        if cell not in CELLS:
            raise InputError(f"The cell is {str(cell)[:40]!r}; it must be one of {', '.join(CELLS)}.")
        return self._pairs(self.comparison.cells == cell)

    def in_slice(self, name: object) -> list[FlippedPair]:
        """Return the pairs of a kind, those that the right side has most wrong first.

        Raises:
            InputError: when there is no such kind.
        """
        for item in self._slices():
            if item.name == name:
                pairs = self._pairs(item.mask)
                return sorted(pairs, key=lambda pair: abs(pair.label - pair.right), reverse=True)
        raise InputError(f"There is no kind of pairs called {str(name)[:60]!r} here.")

    def slice_scores(self) -> list[SliceScore]:
        """Score every kind of pairs, those on which the right side is worst first."""
        was = self.comparison.left.answers.predicted == self.comparison.labels
        now = self.comparison.right.answers.predicted == self.comparison.labels
        slices = self._slices()
        p_values = [
            st.share_difference_p(
                int(now[item.mask].sum()),
                int(item.mask.sum()),
                int(now[~item.mask].sum()),
                int((~item.mask).sum()),
            )
            for item in slices
        ]
        scores = []
        for item, p in zip(slices, st.corrected_p(p_values), strict=True):
            num = int(item.mask.sum())
            left, right = int(was[item.mask].sum()), int(now[item.mask].sum())
            scores.append(
                SliceScore(
                    name=item.name,
                    num_pairs=num,
                    left_right=left,
                    right_right=right,
                    left_interval=st.wilson_interval(left, num),
                    right_interval=st.wilson_interval(right, num),
                    fixed=int((now & ~was)[item.mask].sum()),
                    broken=int((was & ~now)[item.mask].sum()),
                    p=p,
                )
            )
        return sorted(scores, key=lambda score: (score.right_accuracy, -score.num_pairs))

    def _slices(self) -> list[Slice]:
        phenomena = None
        if self._is_sample:
            tags = sample_phenomena(self.comparison.split)
            phenomena = [tags.get(idx, "") for idx in self.comparison.left.answers.idx.tolist()]
        return make_slices(self.sentence1, self.sentence2, phenomena)

    def _pairs(self, mask: np.ndarray) -> list[FlippedPair]:
        left, right = self.comparison.left.answers, self.comparison.right.answers
        before, after = left.prob_equivalent, right.prob_equivalent
        pairs = [
            FlippedPair(
                row=int(self._rows[at]),
                idx=int(left.idx[at]),
                sentence1=self.sentence1[at],
                sentence2=self.sentence2[at],
                label=int(left.label[at]),
                left=float(before[at]),
                right=float(after[at]),
                cell=str(self.comparison.cells[at]),
            )
            for at in np.flatnonzero(mask)
        ]
        return sorted(pairs, key=lambda pair: abs(pair.change), reverse=True)
