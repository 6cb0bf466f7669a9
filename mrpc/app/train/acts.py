"""What a person does with runs, by the name that a button of the page sends. No gradio here.

Everything that comes with it is untrusted: it is checked here, or by the service that is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrpc.app.format import render_bytes
from mrpc.app.limits import check_number, check_whole
from mrpc.app.train.form import LABELS
from mrpc.app.train.launcher import MAX_SEEDS
from mrpc.app.train.sizes import SEEDS_OFFERED, plan_one_more, plan_sizes
from mrpc.app.train.start import in_peoples_words
from mrpc.app.visitors import require_owner
from mrpc.config import TrainConfig, build_config
from mrpc.errors import ConfigError, InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services

MAX_LIMIT_GB = 1e6
MAX_VALUES_CHARS = 400
MAX_PAIRS = 10_000_000
GRID_SETTINGS = 2
"""Settings that a grid varies at once."""

ENDINGS = frozenset({"keep", "discard", "end-now", "leave-queue"})
"""What a visitor may do with a preview of their own; the launcher looks whose it is."""

PLACES = {"up": -1, "down": 1}


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
    fields: Mapping[str, Any]

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
    if act.name not in _ACTS:
        raise InputError(f"{act.name[:60]!r} is not something that can be done with a run.")
    if act.name not in ENDINGS:
        require_owner()
    return _ACTS[act.name](services, act)


def _stop(services: Services, act: Act) -> str:
    services.launcher.stop(act.run_id, act.name == "keep")
    return ""


def _end_now(services: Services, act: Act) -> str:
    services.launcher.kill(act.run_id)
    return ""


def _resume(services: Services, act: Act) -> str:
    services.launcher.resume(act.run_id)
    return ""


def _predict_test(services: Services, act: Act) -> str:
    services.launcher.evaluate_test(act.run_id)
    return (
        "Predicting test with the base and the fine-tuned model in the background. The scores appear above."
    )


def _pin(services: Services, act: Act) -> str:
    sentence1, sentence2 = act.text("sentence1").strip(), act.text("sentence2").strip()
    pairs = [(pair.sentence1, pair.sentence2) for pair in services.catalog.read_pinned(act.run_id)]
    services.catalog.pin_pairs(act.run_id, [*pairs, (sentence1, sentence2)])
    return ""


def _unpin(services: Services, act: Act) -> str:
    kept = [one for one in services.catalog.read_pinned(act.run_id) if one.pair_id != act.text("pair_id")]
    services.catalog.pin_pairs(act.run_id, [(pair.sentence1, pair.sentence2) for pair in kept])
    return ""


def _move(services: Services, act: Act) -> str:
    services.launcher.queue.move(act.run_id, PLACES[act.name])
    return ""


def _leave_queue(services: Services, act: Act) -> str:
    services.launcher.remove_from_queue(act.run_id)
    return ""


def _label(services: Services, act: Act) -> str:
    services.catalog.rename(act.run_id, act.text("name"), act.text("note"))
    return "Saved."


def _repeat(services: Services, act: Act) -> str:
    num = check_whole(act.number("num_seeds"), "The number of seeds", 1, MAX_SEEDS)
    return _say_queued(len(services.launcher.repeat_with_seeds(act.run_id, num)))


def _grid(services: Services, act: Act) -> str:
    """Queue the settings of a run with each combination of some values, each with some seeds."""
    run = services.store.open(act.run_id)
    config, data = run.config.hyperparameters, run.config.data
    axes = {}
    for number in range(1, GRID_SETTINGS + 1):
        name = act.text(f"setting{number}")
        if name:
            axes[name] = _grid_values(name, act.text(f"values{number}"))
    if not axes:
        raise InputError("Choose a setting, and write its values separated by commas.")
    num_seeds = check_whole(act.number("num_seeds"), "The number of seeds", 1, MAX_SEEDS)
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
        raise InputError(" ".join(in_peoples_words(error).values()) or str(error)) from None
    for values in wanted:
        group = None
        for seed in range(config.seed, config.seed + num_seeds):
            run_id = services.launcher.add_to_queue({**values, "seed": seed}, data, group)
            group = group or run_id
    return _say_queued(len(points) * num_seeds)


def _sizes(services: Services, act: Act) -> str:
    """Queue what is still missing so that each proposed size has so many seeds."""
    num_seeds = check_whole(act.number("num_seeds"), "The number of seeds", 1, max(SEEDS_OFFERED))
    configs = plan_sizes(services, services.monitoring.list_runs(), act.run_id, num_seeds)
    data = services.store.open(act.run_id).config.data
    for config in configs:
        services.launcher.add_to_queue(config.model_dump(), data)
    return _say_queued(len(configs)) if configs else "All of these runs are there, or wait already."


def _one_more(services: Services, act: Act) -> str:
    """Queue one more seed of one size."""
    num_pairs = check_whole(act.number("num_pairs"), "The number of pairs", 1, MAX_PAIRS)
    config = plan_one_more(services, services.monitoring.list_runs(), act.run_id, num_pairs)
    services.launcher.add_to_queue(config.model_dump(), services.store.open(act.run_id).config.data)
    return _say_queued(1)


def _grid_values(name: str, text: str) -> list[str]:
    if name not in TrainConfig.model_fields:
        raise InputError(f"There is no setting called {name[:60]!r}.")
    values = [value.strip() for value in text[:MAX_VALUES_CHARS].split(",") if value.strip()]
    if not values:
        raise InputError(f"Write the values of {LABELS[name]} separated by commas.")
    return list(dict.fromkeys(values))


def _delete(services: Services, act: Act) -> str:
    services.catalog.delete(act.run_id)
    return f"Moved to the trash, which holds {render_bytes(services.store.trash_bytes())}."


def _retain(services: Services, act: Act) -> str:
    limit_bytes = limit_of(act.number("limit_gb"))
    went = services.catalog.apply_retention(limit_bytes, act.text("run_ids").split(","))
    size = render_bytes(sum(deletion.num_bytes for deletion in went))
    runs = "1 run" if len(went) == 1 else f"{len(went)} runs"
    return f"{runs}, {size}, moved to the trash. Emptying it frees the disk."


def _empty_trash(services: Services, act: Act) -> str:
    return f"The trash is empty; {render_bytes(services.store.empty_trash())} were freed."


def limit_of(limit_gb: object) -> int:
    """Return a limit on the disk in bytes.

    Raises:
        InputError: it is no number of GB.
    """
    return int(1e9 * check_number(limit_gb, "The limit in GB", 0, MAX_LIMIT_GB))


def _say_queued(num: int) -> str:
    return "1 run waits in the queue." if num == 1 else f"{num} runs wait in the queue."


_ACTS: Mapping[str, Callable[[Services, Act], str]] = {
    "keep": _stop,
    "discard": _stop,
    "end-now": _end_now,
    "resume": _resume,
    "predict-test": _predict_test,
    "pin": _pin,
    "unpin": _unpin,
    "up": _move,
    "down": _move,
    "leave-queue": _leave_queue,
    "label": _label,
    "repeat": _repeat,
    "grid": _grid,
    "sizes": _sizes,
    "one-more": _one_more,
    "delete": _delete,
    "retain": _retain,
    "empty-trash": _empty_trash,
}
