"""What a training process reports, one event a line of ``events.jsonl``.

Every event has a schema version ``v``, a sequence number that never goes back, unix ``time`` in seconds,
the ``attempt`` (1, and one more for each resume) and the optimizer ``step`` it belongs to. Events are keyed
by step, or by epoch: a resumed run repeats some steps and the last write wins. A number that is not finite
is an event of its own, :class:`NonFiniteEvent`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mrpc.runs.layout import Fingerprint


class BaseEvent(BaseModel):
    """What all events have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    seq: int = Field(0, ge=0)
    time: float = 0.0
    attempt: int = 1
    step: int = Field(0, ge=0)


class StartedEvent(BaseEvent):
    """The shape of the training is known: the first step comes next."""

    type: Literal["started"] = "started"
    num_steps: int
    num_epochs: int
    num_train_pairs: int
    num_validation_pairs: int
    majority_accuracy: float = Field(description="Accuracy on validation of always answering the majority.")
    majority_f1: float
    device: str
    num_threads: int
    num_processes: int = 1
    mixed_precision: Literal["no", "bf16", "fp16"] = Field("no", description="What the steps compute in.")
    versions: dict[str, str] = {}
    base_weights_sha256: Fingerprint
    checkpoint_sha256: str
    new_parameters: list[str] = Field([], description="Names of the tensors that the checkpoint lacked.")
    num_encoder_tensors: int | None = Field(None, description="Tensors of the encoder, the head aside.")
    num_loaded_tensors: int | None = Field(None, description="Of them, those that the checkpoint had.")
    encoder_notes: list[str] = Field([], description="What was changed in the encoder to train it.")
    max_length: int | None = Field(None, description="Longer pairs are cut to this, by config and encoder.")


class ResumedEvent(BaseEvent):
    """A cut run goes on from a checkpoint; ``step`` is that of the checkpoint."""

    type: Literal["resumed"] = "resumed"
    cut_step: int = Field(description="The last step that the attempt before had reported.")
    skipped: list[str] = Field([], description="Checkpoints that could not be used, with the reason.")


class PhaseEvent(BaseEvent):
    """What the process does now, in words."""

    type: Literal["phase"] = "phase"
    phase: str


class StepEvent(BaseEvent):
    """One optimizer step.

    Attributes:
        epoch: epochs done after this step, a fraction.
        loss: mean cross-entropy of the step's pairs, in nats, dropout on.
        learning_rate: the rate that this step used.
        grad_norm: length of the gradient before clipping.
        num_pairs: pairs in the step; ``num_tokens`` their real tokens, ``num_padded_tokens`` all positions.
        duration_s: wall time of the step.
        train_s: training time so far, over all attempts.
    """

    type: Literal["step"] = "step"
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None = None
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


class EvaluationEvent(BaseEvent):
    """The model on a whole split. Epoch 0 is the untrained model."""

    type: Literal["evaluation"] = "evaluation"
    epoch: int
    split: str = "validation"
    loss: float
    accuracy: float
    f1: float
    num_predicted_equivalent: int
    num_pairs: int
    duration_s: float
    is_best: bool = False
    weights_sha256: Fingerprint

    @property
    def is_one_answer(self) -> bool:
        """Whether every pair got the same answer."""
        return self.num_predicted_equivalent in (0, self.num_pairs)


class CheckpointEvent(BaseEvent):
    """A checkpoint is complete on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    num_bytes: int
    duration_s: float


class PinnedPairEvent(BaseEvent):
    """Probability of "equivalent" of each pair that the user pinned, after an evaluation."""

    type: Literal["probe"] = "probe"
    epoch: int
    probabilities: dict[str, float] = Field(description="Id of the pair to probability.")


class NonFiniteEvent(BaseEvent):
    """A number that should be finite is not."""

    type: Literal["non_finite"] = "non_finite"
    what: str
    value: str


class WarningEvent(BaseEvent):
    """Something the user should know."""

    type: Literal["warning"] = "warning"
    message: str


class FinishedEvent(BaseEvent):
    """The training ran to its end."""

    type: Literal["finished"] = "finished"
    train_s: float
    peak_memory_bytes: int
    best_epoch: int
    weights_sha256: dict[str, Fingerprint] = Field(description='Hash of the weights of "best" and "last".')


class StoppedEvent(BaseEvent):
    """The training ended because the user asked for it."""

    type: Literal["stopped"] = "stopped"
    saved: bool
    train_s: float = 0.0
    weights_sha256: dict[str, Fingerprint] = {}


class FailedEvent(BaseEvent):
    """The training ended with an error."""

    type: Literal["failed"] = "failed"
    cause: str
    suggestion: str = ""
    traceback: str = Field("", description="The last lines of the traceback.")


Event = Annotated[
    StartedEvent
    | ResumedEvent
    | PhaseEvent
    | StepEvent
    | EvaluationEvent
    | CheckpointEvent
    | PinnedPairEvent
    | NonFiniteEvent
    | WarningEvent
    | FinishedEvent
    | StoppedEvent
    | FailedEvent,
    Field(discriminator="type"),
]
TerminalEvent = FinishedEvent | StoppedEvent | FailedEvent

EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
