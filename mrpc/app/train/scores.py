"""The evaluations of many runs, read without their steps and kept while the app lives."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from mrpc.runs.events import EvaluationEvent
from mrpc.runs.store import Run

MAX_KEPT_RUNS = 500
MAX_READ_BYTES = 64 * 1024 * 1024


@dataclass
class _Read:
    offset: int = 0
    by_epoch: dict[int, EvaluationEvent] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Scores:
    """Reads evaluations on validation. May be used from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def validation(self, run: Run) -> list[EvaluationEvent]:
        """Return the evaluations of a run on validation, by epoch; costs what is new in its log."""
        path = run.paths.events
        with self._lock:
            kept = self._kept.setdefault(path, _Read())
            self._kept.move_to_end(path)
            while len(self._kept) > MAX_KEPT_RUNS:
                self._kept.popitem(last=False)
        with kept.lock:
            _read_on(path, kept)
            return [kept.by_epoch[epoch] for epoch in sorted(kept.by_epoch)]


def best_of(evaluations: Sequence[EvaluationEvent]) -> EvaluationEvent | None:
    """Return the best trained evaluation by F1, the earliest of equals; None before the first."""
    trained = [evaluation for evaluation in evaluations if evaluation.epoch > 0]
    return max(trained, key=lambda evaluation: (evaluation.f1, -evaluation.epoch), default=None)


def has_collapsed(evaluations: Sequence[EvaluationEvent]) -> bool:
    """Tell whether the best or the last trained model gives every pair the same answer."""
    best = best_of(evaluations)
    judged = [best, evaluations[-1]] if best is not None else []
    return any(one.num_predicted_equivalent in (0, one.num_pairs) for one in judged if one is not None)


def _read_on(path: Path, kept: _Read) -> None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < kept.offset:  # the log was replaced
                kept.offset, kept.by_epoch = 0, {}
            file.seek(kept.offset)
            content = file.read(MAX_READ_BYTES)
    except FileNotFoundError:
        kept.offset, kept.by_epoch = 0, {}
        return
    end = content.rfind(b"\n") + 1
    kept.offset += end
    for line in content[:end].splitlines():
        if b'"evaluation"' not in line:
            continue
        try:
            event = EvaluationEvent.model_validate_json(line)
        except ValidationError:  # torn or foreign; the page of the run counts such lines
            continue
        if event.split == "validation":
            kept.by_epoch[event.epoch] = event
