"""How many pairs does it take? The same settings on five sizes of the training data, each with some seeds.

Which runs belong together is told by their settings: all that differ in training pairs and seed alone, on
the same data. So repeats that were made otherwise count as well, and nothing is queued twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING

from mrpc.app.train.curves import Measure
from mrpc.app.train.estimates import Minutes, Source
from mrpc.app.train.runs import RunSummary, list_runs
from mrpc.app.train.start import describe_time
from mrpc.config import TrainConfig
from mrpc.errors import InputError
from mrpc.runs.run import Run, RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services

NUM_SIZES = 5
SEEDS_OFFERED = (1, 3)
LEAST_PAIRS = 10
MAY_DIFFER = frozenset({"preset", "num_train_pairs", "seed", "keep_epochs", "checkpoint_every_s"})
"""Settings that change neither what is learned from a pair nor how often it is seen."""

CAME_TO_NOTHING = frozenset({RunState.FAILED, RunState.STOPPED, RunState.INTERRUPTED})
SOURCES: Sequence[Source] = ("measured", "scaled", "machine", "unknown")
"""Where minutes come from, the surest first."""


def scores_of(runs: Sequence[RunSummary], measure: Measure) -> list[float]:
    """Return the score of each run at its best epoch, in percent; all must have one."""
    return [100 * getattr(run, f"best_{measure}") for run in runs]


def spread_of(values: Sequence[float]) -> float:
    """Return the standard deviation, 0 for a single value."""
    return round(stdev(values), 2) if len(values) > 1 else 0.0


def mean_and_spread(values: Sequence[float]) -> str:
    """Write mean and standard deviation; a single value has no spread."""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


@dataclass(frozen=True)
class Size:
    """The runs of one size.

    Attributes:
        num_pairs: pairs that each is trained on.
        is_all: whether these are all pairs of the split.
        runs: by seed; empty where none was queued yet.
    """

    num_pairs: int
    is_all: bool
    runs: Sequence[RunSummary]

    @property
    def scored(self) -> list[RunSummary]:
        """The runs that have ended with a score: one under way may still find a better epoch."""
        return [run for run in self.runs if run.state is RunState.FINISHED and run.best_f1 is not None]

    @property
    def seeds(self) -> set[int]:
        """The seeds that have a run, or will have one."""
        return {run.seed for run in self.runs if run.state not in CAME_TO_NOTHING}

    @property
    def num_open(self) -> int:
        """Runs that wait or train."""
        over = {RunState.FINISHED, *CAME_TO_NOTHING}
        return sum(run.state not in over for run in self.runs)

    @property
    def num_cut(self) -> int:
        """Runs that ended before their last epoch."""
        return sum(run.state in CAME_TO_NOTHING for run in self.runs)

    @property
    def num_collapsed(self) -> int:
        """Scored runs whose model gives every validation pair the same answer."""
        return sum(run.collapsed for run in self.scored)

    def values(self, measure: Measure) -> list[float]:
        """Return a score of each run that has one, in percent."""
        return scores_of(self.scored, measure)

    def said(self, measure: Measure) -> str:
        """Write mean and standard deviation in percent."""
        values = self.values(measure)
        return mean_and_spread(values) if values else "–"


@dataclass(frozen=True)
class SizeOffer:
    """What a press of a button would queue: some runs, and how long they take together."""

    num_seeds: int
    num_runs: int
    time: str


def propose_sizes(num_split_pairs: int) -> list[int]:
    """Return five sizes, each about twice the one before, the last being all pairs."""
    sizes = [_round(num_split_pairs / 2**halvings) for halvings in range(NUM_SIZES - 1, 0, -1)]
    return [*dict.fromkeys(size for size in sizes if LEAST_PAIRS <= size < num_split_pairs), num_split_pairs]


def find_sizes(summaries: Sequence[RunSummary], run_id: object, num_split_pairs: int | None) -> list[Size]:
    """Return the sizes of a run's settings by their number of pairs: those with runs, and those proposed.

    Args:
        summaries: all runs.
        run_id: whose settings.
        num_split_pairs: pairs of the training split; None where the data are not those in use.
    """
    own = next((one for one in summaries if one.run_id == run_id), None)
    if own is None:
        return []
    runs: dict[int, list[RunSummary]] = {}
    for size in propose_sizes(num_split_pairs) if num_split_pairs else []:
        runs[size] = []
    for one in summaries:
        num_pairs = _num_pairs(one, num_split_pairs)
        if num_pairs is not None and _settings(one) == _settings(own):
            runs.setdefault(num_pairs, []).append(one)
    return [
        Size(num_pairs, num_pairs == num_split_pairs, sorted(runs[num_pairs], key=lambda one: one.seed))
        for num_pairs in sorted(runs)
    ]


def plan_sizes(services: Services, run: Run, num_seeds: int) -> list[TrainConfig]:
    """Return what is still to be trained so that each proposed size has so many seeds.

    Raises:
        MrpcError: the data are not there, or not those of the run.
    """
    num_split_pairs = require_split_pairs(services, run)
    sizes = find_sizes(list_runs(services.store), run.run_id, num_split_pairs)
    return list_missing(run.config.hyperparameters, sizes, num_split_pairs, num_seeds)


def list_missing(
    first: TrainConfig, sizes: Sequence[Size], num_split_pairs: int, num_seeds: int
) -> list[TrainConfig]:
    """Return the trainings that the proposed sizes lack.

    One seed on all sizes comes first, from the smallest to the largest: so the curve is soon there, and its
    spread comes after.
    """
    proposed = set(propose_sizes(num_split_pairs))
    return [
        _config(first, size, seed)
        for seed in range(first.seed, first.seed + num_seeds)
        for size in sizes
        if size.num_pairs in proposed and seed not in size.seeds
    ]


def plan_one_more(services: Services, run: Run, num_pairs: int) -> TrainConfig:
    """Return the training of a size with the next seed.

    Raises:
        InputError: there is no such size.
        MrpcError: the data are not there, or not those of the run.
    """
    sizes = find_sizes(list_runs(services.store), run.run_id, require_split_pairs(services, run))
    size = next((one for one in sizes if one.num_pairs == num_pairs), None)
    if size is None:
        known = ", ".join(f"{one.num_pairs:,}" for one in sizes)
        raise InputError(f"There is no size of {num_pairs:,} pairs here. There are: {known}.")
    first = run.config.hyperparameters
    seeds = range(first.seed, first.seed + len(size.runs) + 1)
    return _config(first, size, next(seed for seed in seeds if seed not in size.seeds))


def require_split_pairs(services: Services, run: Run) -> int:
    """Return how many pairs the training split of a run has.

    Raises:
        MrpcError: the data are not there, or they are not those of the run.
    """
    data = services.own_data.get(services.own_data.name_of(run.config.data))
    fingerprint = run.config.data.fingerprint
    if data.fingerprint != fingerprint:
        raise InputError(
            f"This run was trained on other data (fingerprint {fingerprint[:12]}) than those in use "
            f"({data.fingerprint[:12]}), so further sizes would not belong to it."
        )
    return int(data.dataset["train"].num_rows)


def price_sizes(
    services: Services, first: TrainConfig, sizes: Sequence[Size], num_split_pairs: int
) -> tuple[dict[int, str], list[SizeOffer]]:
    """Return what one more run of each size takes, by its pairs, and what can be queued with one press.

    The runs are read once for all of it.
    """
    minutes = services.estimates.minutes(
        [_config(first, size, first.seed) for size in sizes], num_split_pairs
    )
    by_pairs = {0 if size.is_all else size.num_pairs: one for size, one in zip(sizes, minutes, strict=True)}
    offers = []
    for num_seeds in SEEDS_OFFERED:
        missing = list_missing(first, sizes, num_split_pairs, num_seeds)
        time = _add_up([by_pairs[config.num_train_pairs] for config in missing])
        offers.append(SizeOffer(num_seeds, len(missing), describe_time(time)))
    prices = {size.num_pairs: describe_time(one) for size, one in zip(sizes, minutes, strict=True)}
    return prices, offers


def _settings(one: RunSummary) -> tuple[str, dict[str, object]]:
    return one.data_fingerprint, one.hyperparameters.model_dump(exclude=set(MAY_DIFFER))


def _num_pairs(one: RunSummary, num_split_pairs: int | None) -> int | None:
    if one.num_used_pairs:
        return one.num_used_pairs
    if num_split_pairs:
        return one.hyperparameters.num_used_pairs(num_split_pairs)
    return one.hyperparameters.num_train_pairs or None


def _config(first: TrainConfig, size: Size, seed: int) -> TrainConfig:
    num_pairs = 0 if size.is_all else size.num_pairs
    return first.model_copy(update={"num_train_pairs": num_pairs, "seed": seed})


def _add_up(times: Sequence[Minutes]) -> Minutes:
    """Return how long trainings take one after another, as surely as the least sure of them."""
    sources: list[Source] = [one.source for one in times] or ["measured"]
    source = max(sources, key=SOURCES.index)
    known = [one.minutes for one in times if one.minutes is not None]
    return Minutes(sum(known) if len(known) == len(times) else None, source)


def _round(value: float) -> int:
    """Round to two digits that people remember: 229.25 to 230."""
    step = 10 ** max(0, math.floor(math.log10(max(1.0, value))) - 1)
    return int(step * round(value / step))
