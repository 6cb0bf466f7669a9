"""What a person does with runs, by the name that a button of the page sends. No gradio here.

Everything that comes with it is untrusted: it is checked here, or by the service that is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.app.format import render_bytes, render_count
from mrpc.app.inputs import check_number, check_whole
from mrpc.app.train.sizes import SEEDS_OFFERED, plan_one_more, plan_sizes
from mrpc.app.train.start import LABELS, label_problems
from mrpc.app.visitors import require_owner
from mrpc.config import TrainConfig, build_config
from mrpc.errors import ConfigError, InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.runs.run import Run

MAX_LIMIT_GB = 1e6
MAX_VALUES_CHARS = 400
MAX_PAIRS_OF_A_SIZE = 10_000_000
GRID_SETTINGS = 2
"""Settings that a grid varies at once."""

ENDINGS = frozenset({"keep", "discard", "end-now", "leave-queue"})
"""What a visitor may do with a preview of their own; the launcher looks whose it is."""

MAX_SEEDS = 20
"""Runs that are queued at once."""


@dataclass(frozen=True)
class Act:
    """What a person wants done.

    Attributes:
        name: of the act.
        run_id: with which run; untrusted.
        fields: what the page sent with it; untrusted.
    """

    name: str
    run_id: object
    fields: Mapping[str, object]

    def text(self, name: str) -> str:
        """Return a field as text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> object:
        """Return a field as a number, if it is one."""
        try:
            return float(self.text(name))
        except ValueError:
            return self.text(name)


def act_on(services: Services, act: Act) -> str:
    """Do it, and return what there is to say, as plain text; "" where the page shows it anyway.

    Raises:
        MrpcError: it cannot be done; says why.
    """
    if act.name not in ENDINGS:
        require_owner()
    launcher, store = services.launcher, services.store
    match act.name:
        case "keep" | "discard":
            launcher.stop(act.run_id, act.name == "keep")
        case "end-now":
            launcher.kill(act.run_id)
        case "resume":
            launcher.resume(act.run_id)
        case "predict-test":
            launcher.evaluate_test(act.run_id)
            return (
                "Predicting test with the base and the fine-tuned model in the background. The scores appear "
                "above."
            )
        case "pin" | "unpin":
            _pin(store.open(act.run_id), act)
        case "up" | "down":
            launcher.queue.move(act.run_id, 1 if act.name == "down" else -1)
        case "leave-queue":
            launcher.remove_from_queue(act.run_id)
        case "label":
            store.open(act.run_id).rename(act.text("name"), act.text("note"))
            return "Saved."
        case "repeat" | "grid" | "sizes" | "one-more":
            return _queue(services, act)
        case "delete":
            store.move_to_trash(store.open(act.run_id))
            return f"Moved to the trash, which holds {render_bytes(store.trash_bytes())}."
        case "retain":
            limit_bytes = limit_of(act.number("limit_gb"))
            went = store.apply_retention(limit_bytes, act.text("run_ids").split(","))
            size = render_bytes(sum(went.values()))
            return (
                f"{render_count(len(went), 'run')}, {size}, moved to the trash. Emptying it frees the disk."
            )
        case "empty-trash":
            return f"The trash is empty; {render_bytes(store.empty_trash())} were freed."
        case _:
            raise InputError(f"{act.name[:60]!r} is not something that can be done with a run.")
    return ""


def _pin(run: Run, act: Act) -> None:
    """Follow one more pair through a run, or one less."""
    pairs = [
        (pair.sentence1, pair.sentence2)
        for pair in run.read_pinned()
        if act.name == "pin" or pair.pair_id != act.text("pair_id")
    ]
    if act.name == "pin":
        pairs.append((act.text("sentence1").strip(), act.text("sentence2").strip()))
    run.pin_pairs(pairs)


def _queue(services: Services, act: Act) -> str:
    """Queue runs that differ from one in some settings; those that differ in their seed alone are a group."""
    run = services.store.open(act.run_id)
    config, data, add = run.config.hyperparameters, run.config.data, services.launcher.add_to_queue
    ids = []
    match act.name:
        case "repeat":
            group = run.config.group or run.run_id
            highest = max(
                other.config.hyperparameters.seed
                for other in [run, *services.store.list()]
                if group in (other.run_id, other.config.group)
            )
            for number in range(1, _num_seeds(act) + 1):
                ids.append(add({**config.model_dump(), "seed": highest + number}, data, group))
        case "grid":
            for values, *repeats in _grid(config, act):
                ids.append(add(values, data))
                ids += [add(repeat, data, ids[-1]) for repeat in repeats]
        case _:
            ids = [add(missing.model_dump(), data) for missing in _of_sizes(services, run, act)]
    if not ids:
        return "All of these runs are there, or wait already."
    return "1 run waits in the queue." if len(ids) == 1 else f"{len(ids)} runs wait in the queue."


def _grid(config: TrainConfig, act: Act) -> list[list[dict[str, object]]]:
    """Return settings with each combination of some values, each with some seeds."""
    axes = {}
    for number in range(1, GRID_SETTINGS + 1):
        name = act.text(f"setting{number}")
        if name:
            axes[name] = _grid_values(name, act.text(f"values{number}"))
    if not axes:
        raise InputError("Choose a setting, and write its values separated by commas.")
    num_seeds = _num_seeds(act)
    points = list(itertools.product(*axes.values()))
    if len(points) * num_seeds > MAX_SEEDS:
        raise InputError(
            f"This grid is {len(points) * num_seeds:,} runs; at most {MAX_SEEDS} can be queued at once."
        )
    wanted = [{**config.model_dump(), **dict(zip(axes, point, strict=True))} for point in points]
    try:
        for values in wanted:
            build_config(values)  # all are checked before the first is queued
    except ConfigError as error:
        raise InputError(" ".join(label_problems(error).values()) or str(error)) from None
    seeds = range(config.seed, config.seed + num_seeds)
    return [[{**values, "seed": seed} for seed in seeds] for values in wanted]


def _of_sizes(services: Services, run: Run, act: Act) -> list[TrainConfig]:
    """Return what is missing so that each proposed size has so many seeds, or one more seed of one size."""
    if act.name == "sizes":
        num_seeds = check_whole(act.number("num_seeds"), "The number of seeds", 1, max(SEEDS_OFFERED))
        return plan_sizes(services, run, num_seeds)
    num_pairs = check_whole(act.number("num_pairs"), "The number of pairs", 1, MAX_PAIRS_OF_A_SIZE)
    return [plan_one_more(services, run, num_pairs)]


def _num_seeds(act: Act) -> int:
    return check_whole(act.number("num_seeds"), "The number of seeds", 1, MAX_SEEDS)


def _grid_values(name: str, text: str) -> list[str]:
    if name not in TrainConfig.model_fields:
        raise InputError(f"There is no setting called {name[:60]!r}.")
    values = [value.strip() for value in text[:MAX_VALUES_CHARS].split(",") if value.strip()]
    if not values:
        raise InputError(f"Write the values of {LABELS[name]} separated by commas.")
    return list(dict.fromkeys(values))


def limit_of(limit_gb: object) -> int:
    """Return a limit on the disk in bytes.

    Raises:
        InputError: it is no number of GB.
    """
    return int(1e9 * check_number(limit_gb, "The limit in GB", 0, MAX_LIMIT_GB))
