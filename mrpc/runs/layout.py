"""Every file name of a run directory, and the small JSON files in it as pydantic models.

::

    RUNS_DIR/
      .trash/                  deleted runs, until it is emptied
      .data/FINGERPRINT/       pairs that runs were trained on: a Parquet file a split, and report.json
      training.lock            held by the training process from before it imports torch until it exits
      queue.json, queue.lock   runs that wait for their turn
      RUN_ID/
        config.json            RunConfig, written once, when the run is created
        process.json           ProcessInfo, written by the training process right after it has the lock
        evaluation.json        ProcessInfo, written by the process that predicts test, while it does
        status.json            RunStatus, replaced by the training process about once a second
        events.jsonl           see mrpc.runs.events
        train.lock             held by the process that trains this run, as long as it lives
        evaluation.lock        held by the process that predicts test
        label.json             RunLabel, written by the app
        control/stop.json      StopRequest, written by the app
        control/probes.json    pairs that the user pinned, written by the app
        checkpoints/step-N/    complete or invisible
        base/                  the tensors that the pretrained checkpoint lacked
        models/best, last, epoch-N    standard Hugging Face folders
        predictions/           parquet, one file an evaluation
        derived/               computed by the app; may be deleted
        training.log           stdout and stderr of the training process
        trainer.json           TrainerReport, written by the training process in the trainer loop
        trackers/              what a tracker of accelerate writes, with --log-with
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mrpc.config import TrainConfig

SCHEMA_VERSION = 1
RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
TRASH = ".trash"
DATA = ".data"

TRAINING_LOCK = "training.lock"

RUN_FOLDERS = (
    *("control", "checkpoints", "base", "models", "models/best", "models/last", "predictions", "derived"),
    *("derived/onnx", "trackers"),
)
"""Folders of a run: one that is a link would lead out of it."""

MAX_PINNED_PAIRS = 5
MAX_PINNED_CHARS = 2000
"""The longest sentence of a pinned pair, in characters."""

MAX_NAME_CHARS = 80
MAX_NOTE_CHARS = 2000

TrackerName = Literal["tensorboard", "trackio", "wandb"]


Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
"""A hash in hex and nothing else: a run may come from elsewhere, and code and cards of it show this."""

UnixTime = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
"""Seconds; the highest is in the year 5138, and a calendar can still tell it."""

SplitName = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]


class DataRef(BaseModel):
    """Which data a run uses; ``DataRef.model_validate(loaded_data)`` makes one of what was loaded.

    Attributes:
        kind: where the rows came from.
        data_dir: the folder or file, for ``folder``.
        columns: the columns of the sentences and the label there; None for the usual names.
        name: what texts call the data.
        label_names: what the classes 0 and 1 are called.
        fingerprint: hash of all rows (see ``mrpc.core.data.load``), equal for equal rows from any source.
        split_fingerprints: the same for each split.
        reason: why this source was taken, in words.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    kind: Literal["hub", "folder", "sample"]
    data_dir: Path | None = None
    columns: tuple[str, ...] | None = None
    name: str = "MRPC"
    label_names: tuple[str, str] = ("not_equivalent", "equivalent")
    fingerprint: Fingerprint
    split_fingerprints: dict[SplitName, Fingerprint] = {}
    reason: str = ""

    @property
    def title(self) -> str:
        """What a list of settings calls it: its own name, or where it came from."""
        return self.name if self.kind == "folder" and self.name != "MRPC" else f"{self.kind} data"

    def split_fingerprint(self, split: str) -> str:
        """Return the fingerprint of a split's rows, or of all rows where a run recorded no other."""
        return self.split_fingerprints.get(split, self.fingerprint)


class RunConfig(BaseModel):
    """``config.json``: all that is needed to start or resume a run.

    Attributes:
        hyperparameters: "train" on disk.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    created_at: UnixTime = Field(description="Unix time, s.")
    hyperparameters: TrainConfig = Field(alias="train")
    data: DataRef
    checkpoint_dir: Path | None = Field(
        None, description="Folder of a local checkpoint named on the command line."
    )
    group: str | None = Field(None, description="Runs that differ in their seed alone share a group.")
    log_with: TrackerName | None = Field(None, description="A tracker that gets the run's numbers as well.")
    visitor: str | None = Field(
        None, description="Hash of the cookie of the visitor who started it; None for the owner."
    )


class ProcessInfo(BaseModel):
    """``process.json``: which process trains (or trained) this run.

    A pid alone is not enough, since pids are reused: the start time and the boot id tell them apart.
    """

    model_config = ConfigDict(frozen=True)

    pid: int = Field(ge=1, lt=2**31)
    started_at: float = Field(
        description="Start of the process as the operating system tells it, unix time, s."
    )
    boot_id: str
    process_group: int
    folder: str = Field(
        "", description="Device and inode of the run's folder: this process trains no copy of it."
    )
    has_lock: bool = Field(False, description="It holds the run's lock as long as it lives.")
    host: str = Field("", description="Name of the machine or container.")
    pid_namespace: str = Field("", description='Where the pid means this process; "" outside of Linux.')
    start_ticks: int | None = Field(
        None, description="Start of the process in ticks since boot, which no set clock changes; Linux alone."
    )
    attempt: int = Field(ge=1, description="1, and one more for each resume.")
    command: list[str]
    versions: dict[str, str]


class RunStatus(BaseModel):
    """``status.json``: the newest summary, so that a list of runs need not read whole event logs."""

    model_config = ConfigDict(allow_inf_nan=False)

    attempt: int = 1
    phase: str = "starting"
    step: int = 0
    num_steps: int | None = None
    epoch: float = 0.0
    num_epochs: int | None = None
    updated_at: UnixTime = 0.0
    train_s: float = Field(
        0.0, description="Seconds spent in training steps and evaluations, over all attempts."
    )
    num_train_pairs: int | None = None
    tokens_per_s: float | None = Field(None, description="Real tokens a second over the steps so far.")
    tokens_per_epoch: int | None = None
    evaluation_s: float | None = Field(None, description="Seconds that the newest validation took.")
    best_epoch: int | None = None
    best_f1: float | None = None
    best_accuracy: float | None = None
    peak_memory_bytes: int | None = None
    outcome: Literal["finished", "stopped", "failed"] | None = None
    error: str | None = None


class TrainerReport(BaseModel):
    """``trainer.json``: what transformers' Trainer reports of an evaluation, for runs of that loop.

    Attributes:
        without_compute_metrics: of a single pair, without a function that computes metrics.
        with_compute_metrics: of the untrained model on validation, with one.
    """

    without_compute_metrics: dict[str, float]
    with_compute_metrics: dict[str, float]


class RunLabel(BaseModel):
    """``label.json``: what the user wrote about a run."""

    name: str = Field("", max_length=MAX_NAME_CHARS)
    note: str = Field("", max_length=MAX_NOTE_CHARS)


class PinnedPair(BaseModel):
    """A pair that the user pinned: its probability is recorded after every evaluation.

    Attributes:
        pair_id: names it in the events; "probe_id" on disk.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    pair_id: str = Field(alias="probe_id", min_length=1, max_length=20)
    sentence1: str = Field(min_length=1, max_length=MAX_PINNED_CHARS)
    sentence2: str = Field(min_length=1, max_length=MAX_PINNED_CHARS)


class PinnedPairsFile(BaseModel):
    """``control/probes.json``: the pinned pairs."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    pairs: list[PinnedPair] = Field([], alias="probes", max_length=MAX_PINNED_PAIRS)


class StopRequest(BaseModel):
    """``control/stop.json``: this attempt is to end.

    Attributes:
        reason: a person asked for it, or the time for which a GPU was lent is over.
    """

    attempt: int
    save: bool
    requested_at: float
    reason: Literal["asked", "gpu time"] = "asked"


class RunPaths:
    """The files of one run directory; see the picture at the top of this module."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.config = run_dir / "config.json"
        self.process = run_dir / "process.json"
        self.evaluation = run_dir / "evaluation.json"
        self.train_lock = run_dir / "train.lock"
        self.evaluation_lock = run_dir / "evaluation.lock"
        self.status = run_dir / "status.json"
        self.events = run_dir / "events.jsonl"
        self.label = run_dir / "label.json"
        self.stop = run_dir / "control" / "stop.json"
        self.pinned_pairs = run_dir / "control" / "probes.json"
        self.checkpoints = run_dir / "checkpoints"
        self.base = run_dir / "base"
        self.models = run_dir / "models"
        self.best_model = self.models / "best"
        self.last_model = self.models / "last"
        self.predictions = run_dir / "predictions"
        self.derived = run_dir / "derived"
        self.onnx = self.derived / "onnx"
        self.log = run_dir / "training.log"
        self.trainer_report = run_dir / "trainer.json"
        self.trackers = run_dir / "trackers"

    def epoch_model(self, epoch: int) -> Path:
        """Return the folder of the weights after ``epoch`` epochs."""
        return self.models / f"epoch-{epoch:03d}"

    def validation_predictions(self, epoch: int) -> Path:
        """Return the predictions on validation after ``epoch`` epochs; 0 is the untrained model."""
        return self.predictions / f"validation-epoch-{epoch:03d}.parquet"

    def test_predictions(self, model: str) -> Path:
        """Return the predictions of ``model`` ("base", "best" or "last") on test."""
        return self.predictions / f"test-{model}.parquet"

    def derived_predictions(self, split: str, weights_sha256: str, fingerprint: str) -> Path:
        """Return what these weights answered to these rows, where it was asked for after the run."""
        return self.derived / f"{split}-{weights_sha256[:16]}-{fingerprint[:16]}.parquet"

    def train_records(self, epoch: int) -> Path:
        """Return the losses of the training pairs as they passed in ``epoch`` (1-based)."""
        return self.predictions / f"train-epoch-{epoch:03d}.parquet"
