"""What people call a run: its own name, or what tells it apart from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrpc.runs.store import Run


def run_title(run: Run) -> str:
    """Return a short name: the one that a person gave, else "quick · 160 pairs · 4 epochs · seed 7"."""
    given = run.read_label().name
    if given:
        return given
    config = run.config.hyperparameters
    pairs = f"{config.num_train_pairs:,} pairs" if config.num_train_pairs else "all pairs"
    epochs = f"{config.num_epochs} epoch{'s' if config.num_epochs != 1 else ''}"
    return f"{config.preset} · {pairs} · {epochs} · seed {config.seed}"


def run_choices(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (what people read, run id) for each run; runs of one title get their id behind it."""
    titles = [run_title(run) for run in runs]
    times = Counter(titles)
    return [
        (title if times[title] == 1 else f"{title} · {run.run_id[-4:]}", run.run_id)
        for title, run in zip(titles, runs, strict=True)
    ]
