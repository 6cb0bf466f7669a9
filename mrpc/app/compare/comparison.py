"""The one place that the Compare tab and its endpoints call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mrpc.app.compare.answers import Answers
from mrpc.app.compare.baselines import Baselines
from mrpc.app.compare.judging import Judgements, judge
from mrpc.app.compare.one_pair import OnePair
from mrpc.app.compare.own_pairs import OwnAnswers, answer_own_pairs, read_own_pairs
from mrpc.app.compare.recent import Recent
from mrpc.app.compare.shelf import DataShelf, check_same_split, check_split
from mrpc.app.compare.sides import BASELINES, Side, SideCatalog
from mrpc.app.compare.splits import SideScores, SplitComparison, compare_answers
from mrpc.app.progress import Report, ShouldStop, never, silent
from mrpc.errors import UnavailableError
from mrpc.runs.store import Run, RunStore
from mrpc.settings import Settings

DERIVED_DIR = ".derived"
"""Folder beside the runs for what belongs to no single run; may be deleted."""

MAX_KEPT = 8
"""Comparisons that are kept in memory, and probes."""

SplitKey = tuple[str, ...]

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import ProbeResult
    from mrpc.app.compare.cartography import MappedPair, TrainingMap
    from mrpc.app.compare.changes import SplitPairs
    from mrpc.app.compare.explaining import Explanations
    from mrpc.app.compare.loaded import LoadedSides
    from mrpc.app.compare.reporting import Report as ComparisonReport
    from mrpc.core.data.load import LoadedData


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
        self.pair = OnePair(self.catalog, self.shelf, self.answers, lambda: self.loaded)
        self._loaded: LoadedSides | None = None
        self._explanations: Explanations | None = None
        self._splits: Recent[SplitKey, SplitComparison] = Recent(MAX_KEPT)
        self._probed: Recent[SplitKey, list[ProbeResult]] = Recent(MAX_KEPT)
        self._lock = threading.Lock()

    @property
    def loaded(self) -> LoadedSides:
        """The models in memory; the first use imports torch."""
        with self._lock:
            if self._loaded is None:
                from mrpc.app.compare.loaded import LoadedSides

                self._loaded = LoadedSides()
            return self._loaded

    @property
    def explanations(self) -> Explanations:
        """What looks into answers; the first use imports torch."""
        loaded = self.loaded
        with self._lock:
            if self._explanations is None:
                from mrpc.app.compare.explaining import Explanations

                self._explanations = Explanations(self.answers, self.shelf, loaded)
            return self._explanations

    def comparable_runs(self) -> list[Run]:
        """Return the runs with a base and a fine-tuned model, the newest first."""
        return self.catalog.comparable_runs()

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
        known = self._splits.get(key)
        if known is not None:
            return known
        answers = [self.answers.read_or_predict(side, split, report, should_stop) for side in sides]
        return self._splits.keep(key, compare_answers(split, sides[0], answers[0], sides[1], answers[1]))

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
        from mrpc.app.compare.changes import SplitPairs

        comparison = self.compare_split(left, right, split)
        data = comparison.right.side.data or comparison.left.side.data
        return SplitPairs(comparison, self.shelf.get(data))

    def probe(
        self, left: str, right: str, report: Report = silent, should_stop: ShouldStop = never
    ) -> list[ProbeResult]:
        """Ask both sides pairs whose answer is known, made from validation; once for each two sides."""
        from mrpc.app.compare.behavioral import run_probes

        pairs = self.split_pairs(left, right, "validation")
        one, other = pairs.comparison.left.side, pairs.comparison.right.side
        key = _split_key(one, other, "validation")
        known = self._probed.get(key)
        if known is None:
            found = run_probes(self.answers, pairs, one, other, report, should_stop)
            known = self._probed.keep(key, found)
        return known

    def training_map(self, left: str, right: str) -> TrainingMap:
        """Return the map of the training pairs of the right side's run, or of the left's for a baseline.

        Raises:
            UnavailableError: when the run has fewer than three epochs, or neither side is a run.
        """
        from mrpc.app.compare.cartography import TrainingMap

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
        from mrpc.app.compare.reporting import MAX_LISTED_FLIPS, new_report

        shown, judgements = self.judge_split(left, right, split, report, should_stop)
        pairs = self.split_pairs(left, right, split)
        sides = shown.left.side, shown.right.side
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


def _split_key(left: Side, right: Side, split: str) -> SplitKey:
    runs = [side.run.config.data.fingerprint if side.run else "" for side in (left, right)]
    return split, left.name, left.weights_sha256, right.name, right.weights_sha256, *runs
