"""Dataset cartography of the training pairs, from the losses that the training recorded. No model here.

After Swayamdipta et al., "Dataset Cartography" (EMNLP 2020): confidence is the mean over the epochs of the
probability that the model gave to the label of the corpus, variability its standard deviation. The losses
are those of the training step, with dropout on, each before the step that used it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrpc.errors import UnavailableError

MIN_EPOCHS = 3
REGIONS = ("ambiguous", "hard", "easy")
AMBIGUOUS_SHARE = 1 / 3
"""Share of the pairs, those whose probability varies most, that counts as ambiguous."""


@dataclass(frozen=True)
class Cartography:
    """Where each training pair lies.

    Attributes:
        idx: int64 [N], the pairs' own numbers, ascending.
        confidence: float64 [N], mean probability of the corpus's label over the epochs, in [0, 1].
        variability: float64 [N], its standard deviation over the epochs, in [0, 0.5].
        correctness: float64 [N], share of the epochs in which the corpus's label was the likelier.
        region: [N], one of ``REGIONS``.
        num_epochs: epochs that went into it.
    """

    idx: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    variability: npt.NDArray[np.float64]
    correctness: npt.NDArray[np.float64]
    region: npt.NDArray[np.str_]
    num_epochs: int

    def __len__(self) -> int:
        return len(self.idx)

    def order(self, region: str) -> npt.NDArray[np.int64]:
        """Return the places of a region's pairs, the most typical first."""
        assert region in REGIONS, region
        places = np.flatnonzero(self.region == region)
        key = {"ambiguous": -self.variability, "hard": self.confidence, "easy": -self.confidence}[region]
        return places[np.argsort(key[places], kind="stable")]

    def doubtful(self, num: int) -> npt.NDArray[np.int64]:
        """Return the places of the pairs with the lowest confidence: label errors come first."""
        return np.argsort(self.confidence, kind="stable")[:num]


def build_cartography(epochs: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]) -> Cartography:
    """Place the training pairs by their confidence and variability.

    Args:
        epochs: for each epoch the pairs' numbers, int64 [N], and their losses in nats, float64 [N]. Epochs
            that were cut short are left out.

    Raises:
        UnavailableError: when fewer than three whole epochs are there.
    """
    whole = max((len(idx) for idx, _ in epochs), default=0)
    full = [(idx, losses) for idx, losses in epochs if len(idx) == whole and whole]
    if len(full) < MIN_EPOCHS:
        raise UnavailableError(
            f"The map needs the losses of at least {MIN_EPOCHS} whole epochs; this run has {len(full)}. "
            f"Train for {MIN_EPOCHS} epochs or more."
        )
    orders = [np.argsort(idx, kind="stable") for idx, _ in full]
    idx = full[0][0][orders[0]]
    for (other, _), order in zip(full, orders, strict=True):
        if (other[order] != idx).any():
            raise UnavailableError(
                "The epochs of this run were not about the same pairs, so there is no map."
            )
    # The probability of the label is exp(-loss): cross-entropy says no more and no less.
    probabilities = np.exp(
        -np.stack([losses[order] for (_, losses), order in zip(full, orders, strict=True)])
    )
    confidence, variability = probabilities.mean(axis=0), probabilities.std(axis=0)
    num_ambiguous = round(len(idx) * AMBIGUOUS_SHARE)
    varies = np.zeros(len(idx), dtype=bool)
    varies[np.argsort(-variability, kind="stable")[:num_ambiguous]] = True
    return Cartography(
        idx=idx,
        confidence=confidence,
        variability=variability,
        correctness=(probabilities > 0.5).mean(axis=0),
        region=np.select([varies, confidence < 0.5], ["ambiguous", "hard"], "easy"),
        num_epochs=len(full),
    )
