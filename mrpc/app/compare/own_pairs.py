"""What both sides say to a person's own pairs. The only place that reads and writes them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.scores import Scores, compare_answers
from mrpc.app.compare.sides import Both, Side, class_names
from mrpc.core.data.pairs import SentencePair
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.errors import InputError
from mrpc.files import csv_text
from mrpc.progress import OnProgress, silent

NAME = "your pairs"


@dataclass(frozen=True)
class OwnAnswers:
    """Answers of both sides to N pairs.

    Attributes:
        sides: who answered.
        pairs: as they were given.
        how_read: what was understood of the file or the lines, and what was left out, a sentence each.
        answers: what each side said.
        duration_s: how long both took together.
    """

    sides: Both[Side]
    pairs: list[SentencePair]
    how_read: list[str]
    answers: Both[PairPredictions]
    duration_s: float

    @property
    def num_changed(self) -> int:
        """Pairs that both sides answer differently."""
        return int((self.answers.first.predicted != self.answers.second.predicted).sum())

    @property
    def scores(self) -> Scores | None:
        """The scores of both sides on the labelled pairs; None if there is no label."""
        if (self.answers.first.label == UNLABELLED).all():
            return None
        return compare_answers(NAME, self.sides, self.answers)

    def as_csv(self) -> str:
        """Return all answers as CSV with formula cells neutralised; the first side is left there."""
        header = ["sentence1", "sentence2", "label"]
        header += [f"{place}_{what}" for place in ("left", "right") for what in ("label", "prob_equivalent")]
        names = class_names(self.sides)
        said = self.answers.map(
            lambda answers: list(
                zip(
                    [names[label] for label in answers.predicted],
                    answers.prob_equivalent.round(6).tolist(),
                    strict=True,
                )
            )
        )
        rows = (
            (pair.sentence1, pair.sentence2, pair.label, *first, *second)
            for pair, first, second in zip(self.pairs, said.first, said.second, strict=True)
        )
        return csv_text(header, rows)


def answer_own_pairs(
    answers: Answers, sides: Both[Side], text: object, path: object, on_progress: OnProgress = silent
) -> OwnAnswers:
    """Read a person's pairs and ask both sides, one after the other; the progress counts both.

    Args:
        answers: asks a side.
        sides: who is asked.
        text: pasted lines, taken when there is no file.
        path: of an uploaded file, or None.
        on_progress: told how far it is.

    Raises:
        InputError: when there is neither.
        DataError: for pairs that cannot be used, with the line.
    """
    from mrpc.core.data.read import read_lines, read_pair_file  # brings datasets along

    names = class_names(sides)
    if isinstance(path, str) and path:
        pairs, report = read_pair_file(Path(path), label_names=names)
    elif isinstance(text, str) and text.strip():
        pairs, report = read_lines(text, label_names=names)
    else:
        raise InputError("There are no pairs yet. Paste lines, or choose a file.")
    started_at = time.perf_counter()
    first, second = [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]
    labels = [pair.label for pair in pairs]

    def ask(side: Side) -> PairPredictions:
        before = len(pairs) if side is sides.second else 0

        def tell(what: str, num_done: int, num_total: int) -> None:
            on_progress(what, before + num_done, 2 * len(pairs))

        return answers.ask(side, first, second, labels, tell)

    said = sides.map(ask)
    return OwnAnswers(sides, pairs, report.sentences(), said, time.perf_counter() - started_at)
