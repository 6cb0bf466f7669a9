"""What people call a run: its own name, or what tells it apart from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrpc.config import TrainConfig
    from mrpc.runs.store import Run


def run_title(run: Run) -> str:
    """Return a short name: the one that a person gave, else "quick · 160 pairs · 4 epochs · seed 7"."""
    return compose_title(run.read_label().name, run.config.hyperparameters, run.read_status().num_train_pairs)


def compose_title(name: str, config: TrainConfig, num_used_pairs: int | None) -> str:
    """Return the same of what is known of a run.

    Args:
        name: the one that a person gave, or "".
        config: its settings.
        num_used_pairs: what it is really trained on, which may be fewer than were asked for; None before it
            is known.
    """
    if name:
        return name
    num_pairs = num_used_pairs or config.num_train_pairs
    pairs = f"{num_pairs:,} pairs" if config.num_train_pairs else "all pairs"
    epochs = f"{config.num_epochs} epoch{'s' if config.num_epochs != 1 else ''}"
    return f"{config.preset} · {pairs} · {epochs} · seed {config.seed}"


def run_choices(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (what people read, run id) for each run; runs of one title get their id behind it."""
    titles = distinct_titles([(run_title(run), run.run_id) for run in runs])
    return [(title, run.run_id) for title, run in zip(titles, runs, strict=True)]


def distinct_titles(runs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the titles of (title, run id); those of one title get the end of their id behind it."""
    times = Counter(title for title, _ in runs)
    return [title if times[title] == 1 else f"{title} · {run_id[-4:]}" for title, run_id in runs]
