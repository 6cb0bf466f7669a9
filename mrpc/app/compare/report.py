"""Everything that a report of a comparison says, put together from the other rooms."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mrpc.app.compare.behavioral import ProbeResult
from mrpc.app.compare.changes import FlippedPair, SliceScore
from mrpc.app.compare.judging import Judgements
from mrpc.app.compare.sides import Side, run_title
from mrpc.app.compare.splits import SideScores, SplitComparison
from mrpc.config import changed_settings
from mrpc.runs.process import installed_versions

MAX_LISTED_FLIPS = 40


@dataclass(frozen=True)
class Report:
    """What a report says.

    Attributes:
        written_at: unix time, in seconds.
        facts: what is known of each side, name to text, the left first.
        data: what is known of the data, name to text.
        versions: of the packages in this process.
        rungs: baselines that were fitted, then both sides.
        fixed: the pairs that changed most, at most 40; ``broken`` likewise.
        probes: None if they were not run.
        map_counts: pairs in each region of the data map; None without a map.
    """

    written_at: float
    facts: tuple[dict[str, str], dict[str, str]]
    data: dict[str, str]
    versions: dict[str, str]
    comparison: SplitComparison
    judgements: Judgements
    rungs: list[SideScores]
    slices: list[SliceScore]
    fixed: list[FlippedPair]
    broken: list[FlippedPair]
    probes: list[ProbeResult] | None
    map_counts: dict[str, int] | None


def describe_side(side: Side) -> dict[str, str]:
    """Return what is known of a side, for people."""
    facts = {"side": side.full_title, "name": side.name}
    if side.run is None:
        return facts
    config = side.run.config
    changed = ", ".join(f"{name} {value}" for name, value in changed_settings(config.hyperparameters).items())
    process = side.run.read_process()
    versions = process.versions if process else {}
    facts |= {
        "run": f"{run_title(side.run)} ({side.run.run_id})",
        "checkpoint": side.checkpoint,
        "trained": f"{side.step} steps" if side.step else "not at all: the head is random",
        "weights sha256": side.weights_sha256,
        "preset": config.hyperparameters.preset,
        "changed settings": changed or "none",
        "seed": str(config.hyperparameters.seed),
        "trained with": ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown",
    }
    return facts


def describe_data(comparison: SplitComparison) -> dict[str, str]:
    """Return what is known of the data, for people."""
    ref = comparison.right.side.data or comparison.left.side.data
    share = float(comparison.labels.mean())
    facts = {
        "split": f"{comparison.split}, {len(comparison.labels):,} pairs, {100 * share:.1f} % equivalent",
    }
    if ref is not None:
        facts |= {
            "source": {"hub": "Hugging Face Hub", "folder": "a folder", "sample": "bundled sample"}[ref.kind],
            "fingerprint": ref.fingerprint,
            "fingerprint of the split": ref.split_fingerprints.get(comparison.split, "unknown"),
        }
    return facts


def new_report(**parts: Any) -> Report:
    """Put a report together, now and with the versions of this process."""
    comparison: SplitComparison = parts["comparison"]
    return Report(
        written_at=time.time(),
        facts=(describe_side(comparison.left.side), describe_side(comparison.right.side)),
        data=describe_data(comparison),
        versions=installed_versions(),
        **parts,
    )
