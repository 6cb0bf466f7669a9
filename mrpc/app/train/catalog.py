"""Look after the runs: name them, pin pairs, limit the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic import ValidationError

from mrpc.errors import InputError, RunStateError
from mrpc.files import disk_trouble_in_words, write_model
from mrpc.runs.layout import (
    MAX_NAME_CHARS,
    MAX_NOTE_CHARS,
    MAX_PINNED_CHARS,
    MAX_PINNED_PAIRS,
    PinnedPair,
    PinnedPairsFile,
    RunLabel,
)
from mrpc.runs.run import ALIVE_STATES, Run, RunState
from mrpc.runs.store import RunStore, folder_bytes


@disk_trouble_in_words()
def rename(run: Run, name: str, note: str) -> None:
    """Give a run a name and a note.

    Raises:
        InputError: when one is too long or is not text.
    """
    try:
        label = RunLabel.model_validate({"name": name, "note": note}, strict=True)
    except ValidationError:
        raise InputError(
            f"A name may have {MAX_NAME_CHARS} characters and a note {MAX_NOTE_CHARS:,}."
        ) from None
    write_model(run.paths.label, label)


@disk_trouble_in_words()
def pin_pairs(run: Run, pairs: list[tuple[str, str]]) -> None:
    """Set the pairs whose probability is recorded after every evaluation.

    Raises:
        InputError: when there are too many, or a sentence is empty or too long.
        RunStateError: when the run has finished, so that no evaluation will follow.
    """
    if run.state() is RunState.FINISHED:
        raise RunStateError(
            f"Run {run.run_id} has finished: its record stays as it is. "
            "Ask its model about the pair under Compare."
        )
    if len(pairs) > MAX_PINNED_PAIRS:
        raise InputError(f"At most {MAX_PINNED_PAIRS} pairs can be pinned; these are {len(pairs)}.")
    try:
        probes = [
            PinnedPair(pair_id=_pair_id(*pair), sentence1=pair[0], sentence2=pair[1])
            for pair in dict.fromkeys(pairs)
        ]
    except ValidationError:
        raise InputError(f"A pinned sentence must have 1 to {MAX_PINNED_CHARS:,} characters.") from None
    write_model(run.paths.pinned_pairs, PinnedPairsFile(pairs=probes))


def disk_bytes(store: RunStore) -> dict[str, int]:
    """Return the size of every run, in bytes."""
    return {run.run_id: folder_bytes(run.paths.run_dir) for run in store.list()}


def apply_retention(store: RunStore, limit_bytes: int, run_ids: Iterable[str]) -> dict[str, int]:
    """Move the runs of a plan to the trash, as far as it still stands; return those that went.

    Args:
        store: the runs.
        limit_bytes: the limit of the plan.
        run_ids: the runs that a person saw in it; no other goes.
    """
    plan, seen = plan_retention(store, limit_bytes), set(run_ids)
    went = {run_id: plan[run_id] for run_id in plan if run_id in seen}
    for run_id in went:
        store.move_to_trash(store.open(run_id))
    return went


def plan_retention(store: RunStore, limit_bytes: int) -> dict[str, int]:
    """Tell which runs would have to go so that all together fit a limit: the oldest ended ones first.

    Returns:
        Their ids, each with its size in bytes.
    """
    sizes = disk_bytes(store)
    over = sum(sizes.values()) - limit_bytes
    plan: dict[str, int] = {}
    for run in reversed(store.list()):
        if over <= sum(plan.values()):
            break
        state = run.state()
        if state not in ALIVE_STATES and state is not RunState.QUEUED:
            plan[run.run_id] = sizes[run.run_id]
    return plan


def _pair_id(sentence1: object, sentence2: object) -> str:
    """Name a pair by its words, so that its record goes on when others are pinned or let go."""
    return "p" + hashlib.sha256(f"{sentence1}\0{sentence2}".encode()).hexdigest()[:12]
