"""What both sides say to a person's own pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.sides import Side
from mrpc.app.compare.splits import SplitComparison, compare_answers
from mrpc.app.progress import Report, ShouldStop, never, silent
from mrpc.core.data.pair_list import read_lines, read_pair_file, write_csv
from mrpc.core.data.pairs import LABEL_NAMES, SentencePair
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.errors import InputError

NAME = "your pairs"


@dataclass(frozen=True)
class OwnAnswers:
    """Answers of both sides to N pairs.

    Attributes:
        pairs: as they were given.
        left: what the left side said; ``right`` the right.
        duration_s: how long both took together.
    """

    left_side: Side
    right_side: Side
    pairs: list[SentencePair]
    left: PairPredictions
    right: PairPredictions
    duration_s: float

    @property
    def num_changed(self) -> int:
        """Pairs that both sides answer differently."""
        return int((self.left.predicted != self.right.predicted).sum())

    @property
    def comparison(self) -> SplitComparison | None:
        """The scores of both sides on the labelled pairs; None if there is no label."""
        if (self.left.label == UNLABELLED).all():
            return None
        return compare_answers(NAME, self.left_side, self.left, self.right_side, self.right)

    def as_csv(self) -> str:
        """Return all answers as CSV with formula cells neutralised."""
        header = ["sentence1", "sentence2", "label"]
        header += [f"{place}_{what}" for place in ("left", "right") for what in ("label", "prob_equivalent")]
        answers = []
        for predictions in (self.left, self.right):
            labels = [LABEL_NAMES[label] for label in predictions.predicted]
            answers.append(list(zip(labels, predictions.prob_equivalent.round(6).tolist(), strict=True)))
        rows = (
            (pair.sentence1, pair.sentence2, pair.label, *left, *right)
            for pair, left, right in zip(self.pairs, *answers, strict=True)
        )
        return write_csv(header, rows)


def read_own_pairs(text: object, path: object) -> list[SentencePair]:
    """Read the file if there is one, else the pasted lines.

    Raises:
        InputError: when there is neither.
        DataError: naming the line and what is wrong there.
    """
    if isinstance(path, str) and path:
        return read_pair_file(Path(path))[0]
    if isinstance(text, str) and text.strip():
        return read_lines(text)[0]
    raise InputError("There are no pairs yet. Paste lines, or choose a file.")


def answer_own_pairs(
    answers: Answers,
    left: Side,
    right: Side,
    pairs: list[SentencePair],
    report: Report = silent,
    should_stop: ShouldStop = never,
) -> tuple[PairPredictions, PairPredictions]:
    """Ask both sides, one after the other; the progress counts both."""
    first = [pair.sentence1 for pair in pairs]
    second = [pair.sentence2 for pair in pairs]
    labels = [pair.label for pair in pairs]
    said = []
    for done, side in enumerate((left, right)):

        def report_both(what: str, num_done: int, num_total: int, done: int = done) -> None:
            report(what, done * len(pairs) + num_done, 2 * len(pairs))

        said.append(answers.ask(side, first, second, labels, report_both, should_stop))
    return said[0], said[1]
