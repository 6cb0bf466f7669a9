"""Look after the runs: name, pin pairs, limit the disk, and take one away whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrpc.app.downloads import new_file
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
from mrpc.runs.log import read_events
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


@disk_trouble_in_words()
def bundle(run: Run, parent: Path) -> Path:
    """Pack what a run recorded, without its weights, and the command that reproduces it.

    Args:
        run: the run.
        parent: where a new folder for the archive is made.
    """
    path = new_file(parent, f"{run.run_id}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", run.config.model_dump_json(indent=2))
        archive.writestr("events.csv", events_csv(run))
        archive.writestr("reproduce.sh", f"#!/bin/sh\n{reproduce_command(run)}\n")
        process = run.read_process()
        if process is not None:
            archive.writestr("versions.json", json.dumps(process.versions, indent=2))
        for file in sorted(run.paths.predictions.glob("*.parquet")):
            if file.is_file() and not file.is_symlink():
                archive.write(file, f"predictions/{file.name}")
    return path


def events_csv(run: Run) -> str:
    """Return the events of a run as a table: one line an event, the union of all fields as columns."""
    rows: list[dict[str, Any]] = [event.model_dump(mode="json") for event in read_events(run.paths.events)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    output = io.StringIO()
    writer = csv.DictWriter(output, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return output.getvalue()


def _cell(value: object) -> object:
    """Return what stands in the table; text that a spreadsheet would run as a formula gets a quote."""
    if isinstance(value, list | dict):
        return json.dumps(value)
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _pair_id(sentence1: object, sentence2: object) -> str:
    """Name a pair by its words, so that its record goes on when others are pinned or let go."""
    return "p" + hashlib.sha256(f"{sentence1}\0{sentence2}".encode()).hexdigest()[:12]


def reproduce_command(run: Run) -> str:
    """Return the shell command that trains the same again."""
    command = ["python", "-m", "mrpc.training", "--preset", run.config.hyperparameters.preset]
    for name, value in run.config.hyperparameters.model_dump().items():
        is_local = name == "checkpoint" and run.config.checkpoint_dir is not None
        if name != "preset" and not is_local:
            command += [f"--{name.replace('_', '-')}", str(value)]
    if run.config.checkpoint_dir is not None:
        command += ["--checkpoint-dir", str(run.config.checkpoint_dir)]
    if run.config.data.data_dir is not None:
        command += ["--data-dir", str(run.config.data.data_dir)]
    if run.config.data.columns is not None:
        command += ["--columns", ",".join(run.config.data.columns)]
    return shlex.join(command)
