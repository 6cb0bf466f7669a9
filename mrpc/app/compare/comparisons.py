"""Two sides compared: on a split (made once, and held), on one pair, on a person's own pairs.

What the Compare tab and its endpoints call. A person's pairs are read and written here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.app.compare.answers import Answers, Baselines, DataShelf, PairAnswer
from mrpc.app.compare.scores import Scores, SideScores, compare_answers, score_answers
from mrpc.app.compare.sides import BASELINES, Both, Side, SideCatalog, class_names
from mrpc.core.data.pairs import SentencePair, check_pair
from mrpc.core.model.stored_predictions import UNLABELLED, PairPredictions
from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.progress import OnProgress, silent
from mrpc.publish.answers import find_answers
from mrpc.recent import Recent, built_once
from mrpc.runs.store import RunStore
from mrpc.settings import Settings

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import TestResult
    from mrpc.app.compare.cartography import MappedPair, TrainingMap
    from mrpc.app.compare.changes import Changes
    from mrpc.app.compare.explaining import Explanations
    from mrpc.app.compare.loaded import LoadedSides
    from mrpc.core.analysis.calibration import Calibration
    from mrpc.core.data.load import LoadedData

DERIVED_DIR = ".derived"
"""Folder beside the runs for what belongs to no single run; may be deleted."""

OWN_PAIRS = "your pairs"
"""What a person's own pairs are called in place of a split."""

COMPARED_SPLITS = ("validation", "test")
MAX_HELD = 64
"""Comparisons that are kept in memory, and as many stored answers of single sides."""


class Comparison:
    """Two sides on one split. Each part is computed at its first use and held.

    Attributes:
        scores: of both sides.
        sides: what is compared.
        split: validation or test.
    """

    def __init__(self, comparisons: Comparisons, key: tuple[str, ...], scores: Scores) -> None:
        """Hold the scores; :meth:`Comparisons.compare` calls this."""
        self.scores = scores
        self.sides = scores.sides.map(lambda side: side.side)
        self.split = scores.split
        self._comparisons = comparisons
        self._key = key
        self._calibrations: Recent[Both[Calibration]] = Recent(1)
        self._tests: Recent[list[TestResult]] = Recent(1)
        self._doubtful: Recent[list[MappedPair]] = Recent(1)

    @built_once
    def changes(self) -> Changes:
        """The pairs with their texts: which changed, and which kinds of pairs there are."""
        from mrpc.app.compare.changes import Changes

        return Changes(self.scores, self._comparisons.shelf.of(self.sides))

    @built_once
    def training_map(self) -> TrainingMap:
        """The data map of the second side's run, or of the first's for a baseline.

        Raises:
            UnavailableError: when the run has fewer than three epochs, or neither side is a run.
        """
        from mrpc.app.compare.cartography import TrainingMap

        run = self.sides.second.run or self.sides.first.run
        if run is None:
            raise UnavailableError("Baselines are not trained step by step, so they have no data map.")
        return TrainingMap(run, self._comparisons.shelf.get(run.config.data))

    def calibration(self, on_progress: OnProgress = silent) -> Both[Calibration]:
        """Return what validation chooses for both sides, judged on this split."""
        validation = self._on_validation(on_progress)
        return self._calibrations.once((), lambda: self.scores.calibrated_on(validation.scores))

    def baselines(self, with_encoder: bool, on_progress: OnProgress = silent) -> list[SideScores]:
        """Return the scores of the baselines on this split, the simplest first.

        Args:
            with_encoder: also those that read every sentence of train with the encoder, a minute on MRPC
                the first time. Those that have done so come anyway.
            on_progress: told how far it is.
        """
        context = self.sides.second.run or self.sides.first.run
        found = []
        for name in BASELINES:
            side = replace(self._comparisons.catalog.find(f"baseline:{name}"), context=context)
            if with_encoder or self._comparisons.baselines.is_quick(side):
                answers = self._comparisons.baselines.answers(side, self.split, on_progress)
                found.append(score_answers(side, answers))
        return found

    def behavioral_tests(self, on_progress: OnProgress = silent) -> list[TestResult]:
        """Return how both sides do on pairs whose answer is known, made from validation."""
        from mrpc.app.compare.behavioral import run_behavioral_tests

        validation = self._on_validation(on_progress)
        answers = self._comparisons.answers
        return validation._tests.once(
            (), lambda: run_behavioral_tests(answers, validation.changes, on_progress)
        )

    def known_behavioral_tests(self) -> list[TestResult] | None:
        """Return the behavioural tests if they were run, else None."""
        validation = self._comparisons.held.get(("validation", *self._key[1:]))
        return validation._tests.get(()) if validation is not None else None

    def doubtful_labels(self, on_progress: OnProgress = silent) -> list[MappedPair]:
        """Return likely label errors of train with what both sides say."""
        found, answers = self.training_map, self._comparisons.answers
        return self._doubtful.once((), lambda: found.doubtful_labels(answers, self.sides, on_progress))

    def _on_validation(self, on_progress: OnProgress) -> Comparison:
        if self.split == "validation":
            return self
        names = self.sides.map(lambda side: side.name)
        return self._comparisons.compare(names.first, names.second, "validation", on_progress)


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
        return compare_answers(OWN_PAIRS, self.sides, self.answers)

    def as_csv(self) -> str:
        """Return all answers as CSV with formula cells neutralised; the first side is left there."""
        from mrpc.files import csv_text

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


class Comparisons:
    """Compares sides. One for a whole app; may be used from many threads."""

    def __init__(self, store: RunStore, data: Callable[[], LoadedData], settings: Settings) -> None:
        """Bind to a runs folder.

        Args:
            store: the runs.
            data: returns the app's own data; may load it first.
            settings: of this process.
        """
        self.held: Recent[Comparison] = Recent(MAX_HELD)
        self._stored: Recent[PairPredictions | None] = Recent(MAX_HELD)
        self.catalog = SideCatalog(store)
        self.shelf = DataShelf(data)
        self.baselines = Baselines(self.shelf, settings.runs_dir / DERIVED_DIR)
        self.answers = Answers(self.shelf, self.baselines, lambda: self.loaded)

    @built_once
    def loaded(self) -> LoadedSides:
        """The models in memory; the first use imports torch."""
        from mrpc.app.compare.loaded import LoadedSides

        return LoadedSides()

    @built_once
    def explanations(self) -> Explanations:
        """What looks into answers; the first use imports torch."""
        from mrpc.app.compare.explaining import Explanations

        return Explanations(self.answers, self.shelf, self.loaded)

    def compare(
        self, first: object, second: object, split: object = "validation", on_progress: OnProgress = silent
    ) -> Comparison:
        """Return the comparison of two sides on a split; from stored predictions where there are any.

        Raises:
            InputError: for a side or a split that cannot be used.
            DataError: when the runs had different rows in this split.
            UnavailableError: when nothing was stored and a side's weights are not there.
        """
        if split not in COMPARED_SPLITS:
            raise InputError(f"The split is {str(split)[:40]!r}; it must be {' or '.join(COMPARED_SPLITS)}.")
        assert isinstance(split, str)
        sides = self.catalog.find_two(first, second)
        _check_same_split(sides, split)
        key = (split, *(text for side in sides for text in _identity(side)))

        def make() -> Comparison:
            answers = sides.map(lambda side: self.answers.read_or_predict(side, split, on_progress))
            return Comparison(self, key, compare_answers(split, sides, answers))

        return self.held.once(key, make)

    def compare_shown(
        self, on_progress: OnProgress, first: object, second: object, split: object, consent: object
    ) -> Comparison | None:
        """Return the comparison on the split that may be shown; None where test must be asked for first."""
        shown = shown_split(split, consent)
        return self.compare(first, second, shown, on_progress) if shown else None

    def one_answer(self, side: Side) -> int | None:
        """Return the label that a model says to all of validation; None if it does not, or nobody knows."""
        run = side.run
        if run is None:
            return None
        answers = self._stored.once(
            _identity(side), lambda: find_answers(run, "validation", side.weights_sha256, side.epoch)
        )
        return None if answers is None else answers.only_answer

    def look_at(
        self, first: object, second: object, sentence1: object, sentence2: object
    ) -> tuple[Both[Side], SentencePair]:
        """Return two sides and a pair that came from outside, checked.

        Raises:
            InputError: for a side or a sentence that cannot be used.
        """
        return self.catalog.find_two(first, second), check_pair(sentence1, sentence2)

    def answer_pair(
        self, first: object, second: object, sentence1: object, sentence2: object
    ) -> Both[PairAnswer]:
        """Answer a pair with both sides.

        Raises:
            InputError: for a side or a sentence that cannot be used.
            UnavailableError: when a side's weights are not there.
            RunStateError: when base and fine-tuned are the same weights.
        """
        sides, pair = self.look_at(first, second, sentence1, sentence2)
        return sides.map(lambda side: self.answers.ask_one(side, pair))

    def answer_own(
        self, first: object, second: object, text: object, path: object, on_progress: OnProgress = silent
    ) -> OwnAnswers:
        """Read a person's pairs and ask both sides, one after the other; the progress counts both.

        Args:
            first: the name of one side.
            second: the name of the other.
            text: pasted lines, taken when there is no file.
            path: of an uploaded file, or None.
            on_progress: told how far it is.

        Raises:
            InputError: for a side that cannot be used, or when there are no pairs.
            DataError: for pairs that cannot be used, with the line.
        """
        from mrpc.core.data.read import read_lines, read_pair_file  # brings datasets along

        sides = self.catalog.find_two(first, second)
        names = class_names(sides)
        if isinstance(path, str) and path:
            pairs, report = read_pair_file(Path(path), label_names=names)
        elif isinstance(text, str) and text.strip():
            pairs, report = read_lines(text, label_names=names)
        else:
            raise InputError("There are no pairs yet. Paste lines, or choose a file.")
        started_at = time.perf_counter()
        sentence1, sentence2 = [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]
        labels = [pair.label for pair in pairs]

        def ask(side: Side) -> PairPredictions:
            before = len(pairs) if side is sides.second else 0

            def tell(what: str, num_done: int, num_total: int) -> None:
                on_progress(what, before + num_done, 2 * len(pairs))

            return self.answers.ask(side, sentence1, sentence2, labels, tell)

        answers = sides.map(ask)
        return OwnAnswers(sides, pairs, report.sentences(), answers, time.perf_counter() - started_at)


def shown_split(split: object, consent: object) -> str:
    """Return the split that may be shown; "" where test must be asked for first."""
    if split == "test":
        return "test" if consent is True else ""
    return "validation"


def _check_same_split(sides: Both[Side], split: str) -> None:
    """Refuse two sides whose runs had different rows in this split.

    Raises:
        DataError: naming both fingerprints.
    """
    known = [side.data for side in sides if side.data is not None]
    if len(known) < 2:
        return
    fingerprints = [data.split_fingerprint(split) for data in known]
    if fingerprints[0] != fingerprints[1]:
        first, second = sides.map(lambda side: side.name)
        raise DataError(
            f"{first} and {second} were trained on different data: their {split} splits differ "
            f"(fingerprints {fingerprints[0]} and {fingerprints[1]}), so their scores cannot be compared."
        )


def _identity(side: Side) -> tuple[str, str, str]:
    """Return what a comparison of a side stays the same with: its name, its weights and its data."""
    return side.name, side.weights_sha256, side.data.fingerprint if side.data else ""
