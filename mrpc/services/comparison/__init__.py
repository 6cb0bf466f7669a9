"""Base and fine-tuned, or any two sides, compared. Without widgets.

:class:`Comparison` is what the Compare tab and its endpoints call; each room of it is a file beside this
one. torch is imported when a model has to answer, not to show what runs recorded.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrpc.core.pairs import LABEL_NAMES, SPLITS, SentencePair, check_pair
from mrpc.errors import InputError, UnavailableError
from mrpc.runs.store import Run, RunStore
from mrpc.services.comparison.answers import (
    Answers,
    DataShelf,
    check_same_split,
    check_split,
)
from mrpc.services.comparison.judging import Judgements, judge
from mrpc.services.comparison.ladder import Baselines
from mrpc.services.comparison.own_pairs import OwnAnswers, answer_own_pairs, read_own_pairs
from mrpc.services.comparison.sides import BASELINES, Side, SideCatalog, check_weights_differ
from mrpc.services.comparison.splits import SideScores, SplitComparison, compare_answers
from mrpc.services.progress import Report, ShouldStop, never, silent
from mrpc.settings import Settings

DERIVED_DIR = ".derived"
"""Folder beside the runs for what belongs to no single run; may be deleted."""

MAX_KEPT_SPLITS = 8

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.core.data import LoadedData
    from mrpc.services.comparison.explaining import Explanations
    from mrpc.services.comparison.flips import SplitPairs
    from mrpc.services.comparison.loaded import LoadedSides
    from mrpc.services.comparison.probing import ProbeResult
    from mrpc.services.comparison.reporting import Report as ComparisonReport
    from mrpc.services.comparison.training_map import MappedPair, TrainingMap


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


class Comparison:
    """Compares sides. One for a whole app; may be used from many threads."""

    def __init__(self, store: RunStore, data: Callable[[], LoadedData], settings: Settings) -> None:
        """Bind to a runs folder.

        Args:
            store: the runs.
            data: returns the app's own data; may load it first.
            settings: of this process.
        """
        self.catalog = SideCatalog(store)
        self.shelf = DataShelf(data)
        self.baselines = Baselines(self.shelf, settings.runs_dir / DERIVED_DIR)
        self.answers = Answers(self.shelf, self.baselines, lambda: self.loaded)
        self._loaded: LoadedSides | None = None
        self._explanations: Explanations | None = None
        self._probed: OrderedDict[tuple[str, ...], list[ProbeResult]] = OrderedDict()
        self._splits: OrderedDict[tuple[str, ...], SplitComparison] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def loaded(self) -> LoadedSides:
        """The models in memory; the first use imports torch."""
        with self._lock:
            if self._loaded is None:
                from mrpc.services.comparison.loaded import LoadedSides

                self._loaded = LoadedSides()
            return self._loaded

    @property
    def explanations(self) -> Explanations:
        """What looks into answers; the first use imports torch and captum."""
        loaded = self.loaded
        with self._lock:
            if self._explanations is None:
                from mrpc.services.comparison.explaining import Explanations

                self._explanations = Explanations(self.answers, self.shelf, loaded)
            return self._explanations

    def look_at(
        self, left: str, right: str, sentence1: str, sentence2: str
    ) -> tuple[Side, Side, SentencePair]:
        """Return two sides and a pair that came from outside, checked.

        Raises:
            InputError: for a side or a sentence that cannot be used.
        """
        return *self.catalog.find_two(left, right), check_pair(sentence1, sentence2)

    def comparable_runs(self) -> list[Run]:
        """Return the runs with a base and a fine-tuned model, the newest first."""
        return self.catalog.comparable_runs()

    def compare_pair(self, run_id: str, sentence1: str, sentence2: str) -> dict[str, Any]:
        """Answer a pair with a run's base and its best model, for scripts."""
        left, right = self.answer_pair(f"{run_id}:base", f"{run_id}:best", sentence1, sentence2)
        return {"base": left.as_dict(), "tuned": right.as_dict()}

    def answer_pair(
        self, left: str, right: str, sentence1: str, sentence2: str
    ) -> tuple[PairAnswer, PairAnswer]:
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

    def compare_split(
        self,
        left: str,
        right: str,
        split: str = "validation",
        report: Report = silent,
        should_stop: ShouldStop = never,
    ) -> SplitComparison:
        """Compare both sides on a split; from stored predictions where there are any.

        Raises:
            InputError: for a side or a split that cannot be used.
            DataError: when the runs had different rows in this split.
            UnavailableError: when nothing was stored and a side's weights are not there.
        """
        split = check_split(split)
        sides = self.catalog.find_two(left, right)
        check_same_split(*sides, split)
        key = _split_key(*sides, split)
        with self._lock:
            known = self._splits.get(key)
        if known is not None:
            return known
        answers = [self.answers.read_or_predict(side, split, report, should_stop) for side in sides]
        comparison = compare_answers(split, sides[0], answers[0], sides[1], answers[1])
        with self._lock:
            self._splits[key] = comparison
            while len(self._splits) > MAX_KEPT_SPLITS:
                self._splits.popitem(last=False)
        return comparison

    def judge_split(
        self, left: str, right: str, split: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> tuple[SplitComparison, Judgements]:
        """Compare both sides on a split, with what validation chooses for them judged there."""
        shown = self.compare_split(left, right, split, report, should_stop)
        validation = self.compare_split(left, right, "validation", report, should_stop)
        return shown, judge(shown, validation)

    def climb(
        self,
        left: str,
        right: str,
        split: str,
        with_encoder: bool,
        report: Report = silent,
        should_stop: ShouldStop = never,
    ) -> list[SideScores]:
        """Score the baselines, the simplest first, then both sides.

        Args:
            left: one side.
            right: the other side.
            split: validation or test.
            with_encoder: also those that read every sentence of train with the encoder, a minute on MRPC
                the first time. Those that have done so come anyway.
            report: told how far it is.
            should_stop: asked before every batch.
        """
        shown = self.compare_split(left, right, split, report, should_stop)
        context = shown.right.side.run or shown.left.side.run
        rungs = []
        for name in BASELINES:
            side = replace(self.catalog.find(f"baseline:{name}"), context=context)
            if with_encoder or self.baselines.is_quick(side):
                answers = self.baselines.answers(side, split, report, should_stop)
                rungs.append(compare_answers(split, side, answers, side, answers).left)
        return [*rungs, *(scores for scores in (shown.left, shown.right) if scores.side.kind != "baseline")]

    def split_pairs(self, left: str, right: str, split: str) -> SplitPairs:
        """Return the pairs of a comparison with their texts, to list and to cut into kinds."""
        from mrpc.services.comparison.flips import SplitPairs

        comparison = self.compare_split(left, right, split)
        data = comparison.right.side.data or comparison.left.side.data
        return SplitPairs(comparison, self.shelf.get(data))

    def probe(
        self, left: str, right: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> list[ProbeResult]:
        """Ask both sides pairs whose answer is known, made from validation; once for each two sides."""
        from mrpc.services.comparison.probing import run_probes

        pairs = self.split_pairs(left, right, "validation")
        one, other = pairs.comparison.left.side, pairs.comparison.right.side
        key = _split_key(one, other, "validation")
        with self._lock:
            known = self._probed.get(key)
        if known is None:
            known = run_probes(self.answers, pairs, one, other, report, should_stop)
            with self._lock:
                self._probed[key] = known
                while len(self._probed) > MAX_KEPT_SPLITS:
                    self._probed.popitem(last=False)
        return known

    def training_map(self, left: str, right: str) -> TrainingMap:
        """Return the map of the training pairs of the right side's run, or of the left's for a baseline.

        Raises:
            UnavailableError: when the run has fewer than three epochs, or neither side is a run.
        """
        from mrpc.services.comparison.training_map import TrainingMap

        one, other = self.catalog.find_two(left, right)
        run = other.run or one.run
        if run is None:
            raise UnavailableError("Baselines are not trained step by step, so there is no map of them.")
        return TrainingMap(run, self.shelf.get(run.config.data))

    def doubt_labels(
        self, left: str, right: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> list[MappedPair]:
        """Return likely label errors of train with what both sides say."""
        found = self.training_map(left, right)
        sides = self.catalog.find_two(left, right)
        return found.doubtful_labels(self.answers, *sides, report, should_stop)

    def answer_own(
        self,
        left: str,
        right: str,
        text: object,
        path: object,
        report: Report = silent,
        should_stop: ShouldStop = never,
    ) -> OwnAnswers:
        """Ask both sides a person's own pairs.

        Args:
            left: one side.
            right: the other side.
            text: pasted lines, taken when there is no file.
            path: of an uploaded file, or None.
            report: told how far it is.
            should_stop: asked before every batch.

        Raises:
            DataError: for pairs that cannot be used, with the line.
        """
        sides = self.catalog.find_two(left, right)
        pairs = read_own_pairs(text, path)
        started_at = time.perf_counter()
        said = answer_own_pairs(self.answers, *sides, pairs, report, should_stop)
        return OwnAnswers(*sides, pairs, *said, time.perf_counter() - started_at)

    def report(
        self, left: str, right: str, split: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> ComparisonReport:
        """Put together all that is known of a comparison; probes are in it if they were run."""
        from mrpc.services.comparison.reporting import MAX_LISTED_FLIPS, new_report

        shown, judgements = self.judge_split(left, right, split, report, should_stop)
        pairs = self.split_pairs(left, right, split)
        sides = shown.left.side, shown.right.side
        with self._lock:
            probes = self._probed.get(_split_key(*sides, "validation"))
        try:
            counts: dict[str, int] | None = self.training_map(left, right).counts()
        except UnavailableError:
            counts = None
        return new_report(
            comparison=shown,
            judgements=judgements,
            rungs=self.climb(left, right, split, False, report, should_stop),
            slices=pairs.slice_scores(),
            fixed=pairs.in_cell("fixed")[:MAX_LISTED_FLIPS],
            broken=pairs.in_cell("broken")[:MAX_LISTED_FLIPS],
            probes=probes,
            map_counts=counts,
        )

    def flips(self, left: str, right: str, split: str, cell: str) -> dict[str, Any]:
        """Return the pairs of a cell, the largest change in probability first, for scripts."""
        pairs = self.split_pairs(left, right, split).in_cell(cell)
        return {
            "split": split,
            "cell": cell,
            "num_pairs": len(pairs),
            "pairs": [pair.as_dict() for pair in pairs],
        }

    def num_pairs(self, left: str, right: str, split: str) -> int:
        """Return how many pairs a split of the sides' data has."""
        return len(self._dataset(left, right, split))

    def pick_pair(self, left: str, right: str, split: str, row: object) -> SentencePair:
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
        return SentencePair(**dataset[int(row)])

    def known_label(
        self, left: str, right: str, split: str, row: object, sentence1: str, sentence2: str
    ) -> int | None:
        """Return the label of a row of the data if the sentences are still those of the row, else None."""
        try:
            pair = self.pick_pair(left, right, split, row)
        except InputError:
            return None
        return pair.label if (pair.sentence1, pair.sentence2) == (sentence1, sentence2) else None

    def _dataset(self, left: str, right: str, split: str) -> Dataset:
        sides = self.catalog.find(left), self.catalog.find(right)
        ref = next((side.data for side in sides if side.data is not None), None)
        if split not in SPLITS:
            raise InputError(f"The split is {str(split)[:40]!r}; it must be one of {', '.join(SPLITS)}.")
        return self.shelf.get(ref).dataset[split]

    def _answer(self, side: Side, pair: SentencePair) -> PairAnswer:
        sha256 = "" if side.kind == "baseline" else self.loaded.get(side).weights_sha256
        started_at = time.perf_counter()
        answer = self.answers.ask(side, [pair.sentence1], [pair.sentence2])
        latency_ms = (time.perf_counter() - started_at) * 1000
        label = LABEL_NAMES[int(answer.predicted[0])]
        return PairAnswer(side, label, float(answer.prob_equivalent[0]), sha256, latency_ms)


def _split_key(left: Side, right: Side, split: str) -> tuple[str, ...]:
    runs = [side.run.config.data.fingerprint if side.run else "" for side in (left, right)]
    return split, left.name, left.weights_sha256, right.name, right.weights_sha256, *runs
