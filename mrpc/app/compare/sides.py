"""What can be compared, the sides of a comparison, and what is known of them.

A side is named ``RUN_ID:base``, ``RUN_ID:best``, ``RUN_ID:last``, ``RUN_ID:epoch-2``, ``RUN_ID:onnx`` or
``RUN_ID:int8`` (the best model, exported), or ``baseline:majority``. Everything here is read from run
directories; no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

from mrpc.app.format import run_title
from mrpc.core.data.pairs import LABEL_NAMES, label_words
from mrpc.errors import InputError, RunStateError
from mrpc.publish.onnx import FILES, Form, read_export
from mrpc.runs.layout import RUN_ID_PATTERN, DataRef
from mrpc.runs.record import RunRecord
from mrpc.runs.run import OVER_STATES, Run
from mrpc.runs.store import RunStore

MODEL_PATTERN = re.compile(r"base|best|last|onnx|int8|epoch-(0|[1-9]\d{0,2})")

BASELINES = {
    "majority": "always the more frequent answer",
    "overlap": "word overlap",
    "tfidf": "TF-IDF cosine",
    "embedding": "cosine of the untrained encoder's sentence vectors",
    "logistic": "logistic regression on the untrained encoder's sentence vectors",
}
"""From the simplest up: name to what it is, in words."""

NOT_KEPT = (
    "The weights of epoch {epoch} were not kept (keep_epochs is {keep}), so it cannot answer new pairs; "
    "what it answered on validation was kept."
)

FORMS: Mapping[Form, str] = {"onnx": "ONNX float32", "int8": "ONNX int8"}
"""The exported forms of a best model: what people call them."""

MAX_OTHER_RUNS = 20
"""Runs besides the current one whose sides can be chosen."""

Kind = Literal["base", "tuned", "baseline"]
Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Both(Generic[Item]):
    """What is so of both sides. A change, a gain or a difference goes from the first to the second.

    Attributes:
        first: of the side that is compared with the other; usually the base. Grey and hollow in charts.
        second: of the other side; usually the fine-tuned model. Green and full.
    """

    first: Item
    second: Item

    def __iter__(self) -> Iterator[Item]:
        yield self.first
        yield self.second

    def map(self, function: Callable[[Item], Other]) -> Both[Other]:
        """Return what a function gives for each."""
        return Both(function(self.first), function(self.second))


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: as in the module's docstring.
        kind: a model before training, after some of it, or no trained model at all.
        title: what it is, for people: "Base", "Fine-tuned, epoch 2".
        run: the run it belongs to; None for a baseline.
        epoch: epochs trained; None where it is not a whole number of them, and for baselines.
        step: optimizer steps trained; None for baselines.
        weights_sha256: hash of the weights that the run recorded; "" for baselines.
        model_dir: the folder with the weights; None for base (made anew) and where they were not kept.
        missing: why it cannot answer new pairs; "" if it can.
        model: "best" or "last" where that is what its name says, else "".
        context: for a baseline, the run of the other side: it takes that run's data and encoder.
        onnx_file: the exported file that answers; None where torch does.
    """

    name: str
    kind: Kind
    title: str
    run: Run | None = None
    epoch: int | None = None
    step: int | None = None
    weights_sha256: str = ""
    model_dir: Path | None = None
    missing: str = ""
    model: str = ""
    context: Run | None = None
    onnx_file: Path | None = None

    @property
    def is_transparent(self) -> bool:
        """Whether one can look into it: it has layers, vectors and gradients."""
        return self.kind != "baseline" and self.onnx_file is None

    @property
    def checkpoint(self) -> str:
        """The pretrained encoder that it started from; "" for baselines."""
        return self.run.config.hyperparameters.checkpoint if self.run else ""

    @property
    def data(self) -> DataRef | None:
        """The data of its run, or of the other side's for a baseline; None for the app's own."""
        run = self.run or self.context
        return run.config.data if run else None

    @property
    def full_title(self) -> str:
        """The title with its run."""
        return f"{self.title} · {run_title(self.run)}" if self.run else self.title

    @property
    def choice(self) -> str:
        """What a list of sides calls it."""
        words = f" ({self.model})" if self.model else ""
        return f"{self.title}{words}{' · stored answers only' if self.missing else ''}"


class SideCatalog:
    """Finds sides in a runs folder. May be used from many threads."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def comparable_runs(self) -> list[Run]:
        """Return the runs with a base and a fine-tuned model, the newest first."""
        return [run for run in self._store.list() if run.state() in OVER_STATES and run.has_weights()]

    def find(self, name: object) -> Side:
        """Return the side of this name.

        Raises:
            InputError: when the name is not of the form, or the run has no such model.
            UnknownRunError: when there is no such run.
        """
        run_id, _, model = name.partition(":") if isinstance(name, str) else ("", "", "")
        if run_id == "baseline" and model in BASELINES:
            return Side(name=f"baseline:{model}", kind="baseline", title=f"Baseline: {BASELINES[model]}")
        if not RUN_ID_PATTERN.fullmatch(run_id) or not MODEL_PATTERN.fullmatch(model):
            raise InputError(
                f"{str(name)[:90]!r} names no side. Write RUN_ID:base, RUN_ID:best, RUN_ID:last, "
                f"RUN_ID:epoch-2, RUN_ID:onnx, RUN_ID:int8, or baseline: and one of {', '.join(BASELINES)}."
            )
        run = self._store.open(run_id)
        return self._side_of(run, model, self.read_record(run))

    def find_two(self, first: object, second: object) -> Both[Side]:
        """Return two sides that can be compared.

        Raises:
            InputError: when they are one and the same.
            RunStateError: when a base and a fine-tuned model have the same weights.
        """
        sides = Both(self.find(first), self.find(second))
        if sides.first.name == sides.second.name:
            raise InputError(f"Both sides are {sides.first.name}. Choose two different ones.")
        check_weights_differ(sides)
        return Both(
            replace(sides.first, context=sides.second.run), replace(sides.second, context=sides.first.run)
        )

    def sides_of(self, run: Run) -> list[Side]:
        """Return all sides of a run: base, best, last, its exports, then every evaluated epoch."""
        record = self.read_record(run)
        models = ["base", "best", "last", *FORMS, *(f"epoch-{epoch}" for epoch in record.by_epoch if epoch)]
        sides = []
        for model in models:
            try:
                sides.append(self._side_of(run, model, record))
            except InputError:
                continue
        return sides

    def choices(self, runs: list[Run], run_id: object) -> list[tuple[str, str]]:
        """Return (what people read, side): all sides of a run, the baselines, base, best, last of others.

        Args:
            runs: that can be compared, the newest first.
            run_id: of the one with all its sides.
        """
        own = [
            (side.choice, side.name) for run in runs if run.run_id == run_id for side in self.sides_of(run)
        ]
        baselines = [self.find(f"baseline:{name}") for name in BASELINES]
        others = [
            (f"{side.choice} · {run.run_id}", side.name)
            for run in [run for run in runs if run.run_id != run_id][:MAX_OTHER_RUNS]
            for side in self.sides_of(run)
            if side.kind == "base" or side.model
        ]
        return own + [(side.choice, side.name) for side in baselines] + others

    def read_record(self, run: Run) -> RunRecord:
        """Return what the run has recorded."""
        return self._store.records.read(run)

    def _side_of(self, run: Run, model: str, record: RunRecord) -> Side:
        name = f"{run.run_id}:{model}"
        for form in FORMS:
            if model == form:
                return self._exported(run, form, record)
        if model in ("base", "epoch-0"):
            if record.started is None:
                raise InputError(f"Run {run.run_id} did not record its model before training.")
            return Side(name, "base", "Base", run, 0, 0, record.started.base_weights_sha256)
        epoch = record.best_epoch if model == "best" else max(filter(None, record.by_epoch), default=None)
        if model.startswith("epoch-"):
            epoch = int(model.removeprefix("epoch-"))
            if epoch not in record.by_epoch:
                raise InputError(f"Run {run.run_id} has no epoch {epoch}; it evaluated {_epochs(record)}.")
        last = record.last_weights
        if epoch is None and last is not None and model in ("best", "last"):
            step, sha256 = last  # stopped before its first evaluation: both are what was saved then
        elif model == "last" and last is not None and last.sha256:
            step, sha256 = last
            if epoch is not None and record.by_epoch[epoch].weights_sha256 != sha256:
                epoch = None  # stopped between two evaluations
        elif epoch is not None:
            step, sha256 = record.by_epoch[epoch].step, record.by_epoch[epoch].weights_sha256
        else:
            raise InputError(f"Run {run.run_id} has no fine-tuned model yet.")
        model_dir = _kept_weights(run, model, epoch, sha256, record)
        missing = (
            "" if model_dir else NOT_KEPT.format(epoch=epoch, keep=run.config.hyperparameters.keep_epochs)
        )
        where = f"epoch {epoch}" if epoch is not None else f"step {step}"
        role = "" if model.startswith("epoch-") else model
        return Side(name, "tuned", f"Fine-tuned, {where}", run, epoch, step, sha256, model_dir, missing, role)

    def _exported(self, run: Run, form: Form, record: RunRecord) -> Side:
        """Return the best model as the ONNX file that it was exported to."""
        best, export = self._side_of(run, "best", record), read_export(run)
        if export is None:
            raise InputError(f"Run {run.run_id} was not exported to ONNX. Fine-tune has a button for it.")
        if export.weights_sha256 != best.weights_sha256:
            raise InputError(f"Run {run.run_id} has trained on since it was exported. Export it again.")
        file = export.files[form]
        where = best.title.partition(", ")[2]
        return replace(
            best,
            name=f"{run.run_id}:{form}",
            title=f"{FORMS[form]}, {where}",
            weights_sha256=file.sha256,
            model_dir=run.paths.best_model,
            onnx_file=run.paths.onnx / FILES[form],
            model="",
        )


def check_weights_differ(sides: Both[Side]) -> None:
    """Refuse a base and a fine-tuned model that have the same weights.

    A model that is loaded has the weights that its run recorded, or it gives no answer.

    Raises:
        RunStateError: when they are the same.
    """
    hashes = sides.map(lambda side: side.weights_sha256)
    if {side.kind for side in sides} == {"base", "tuned"} and hashes.first == hashes.second:
        raise RunStateError(
            f"{sides.first.name} and {sides.second.name} have the same weights ({hashes.first[:12]}): the "
            "fine-tuned model is the base. This comparison would mean nothing, so it is not shown."
        )


def side_names(sides: Both[Side]) -> Both[str]:
    """Return what both are called beside each other; with their runs where the titles are the same."""
    if sides.first.title == sides.second.title:
        return sides.map(lambda side: side.full_title)
    return sides.map(lambda side: side.title)


def class_names(sides: Both[Side]) -> tuple[str, str]:
    """Return what the data of two sides calls the classes 0 and 1."""
    ref = sides.second.data or sides.first.data
    return ref.label_names if ref is not None else LABEL_NAMES


def class_words(sides: Both[Side]) -> tuple[str, str]:
    """Return what the data of two sides calls the classes 0 and 1, in words."""
    return label_words(class_names(sides))


def _epochs(record: RunRecord) -> str:
    return ", ".join(str(epoch) for epoch in record.by_epoch if epoch) or "none"


def _kept_weights(run: Run, model: str, epoch: int | None, sha256: str, record: RunRecord) -> Path | None:
    """Return a folder that holds these weights: its own, or one that is known to hold the same."""
    paths = run.paths
    candidates = {"best": [paths.best_model], "last": [paths.last_model]}.get(model)
    if candidates is None:
        assert epoch is not None
        candidates = [paths.epoch_model(epoch)]
        if record.best_epoch == epoch:
            candidates.append(paths.best_model)
        if record.last_weights is not None and record.last_weights.sha256 == sha256:
            candidates.append(paths.last_model)
    for directory in candidates:
        if not directory.is_symlink() and (directory / "config.json").is_file():
            return directory
    return None
