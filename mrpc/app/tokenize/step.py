"""The first steps of a training: a batch from its columns to the loss, and one step of AdamW."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import datasets
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from mrpc.app.inputs import MAX_BATCH_ROWS, check_number, check_whole, find_split
from mrpc.core.data.pairs import check_pair
from mrpc.core.model.classifier import Classifier, load_classifier
from mrpc.core.model.pretrained import Pretrained, resolve_pretrained
from mrpc.core.text.batching import PairCollator, epoch_batches
from mrpc.core.text.tokenization import TokenRow, encode_pairs, token_rows, tokenizer_lock
from mrpc.errors import InputError
from mrpc.progress import OnProgress, silent

if TYPE_CHECKING:
    from mrpc.app.checkpoints import CheckpointShelf
    from mrpc.core.data.load import LoadedData

NUM_PARTS = 3

COURSE_LEARNING_RATE = 1e-3
"""What ``AdamW(model.parameters())`` takes when it is told nothing, as in the course's first cell."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one pair, from the logits to the loss.

    Attributes:
        row: number of the pair in its split.
        label: 0 or 1, as people labelled it.
        logits: one for each class.
        probs: their softmax.
        predicted: their argmax, the answer.
        loss: cross-entropy in nats, minus the logarithm of the probability of the label.
    """

    row: int
    label: int
    logits: list[float]
    probs: list[float]
    predicted: int
    loss: float

    @property
    def is_right(self) -> bool:
        """Whether the answer is the label."""
        return self.predicted == self.label


@dataclass(frozen=True)
class ModelInput:
    """The way of one batch into the model.

    Attributes:
        seed: of the training.
        rows: numbers of the rows in the batch: the first of a training with this seed.
        columns_tokenized: columns after the tokenizer, and their types.
        columns_ready: columns after removing, renaming and setting the format.
        shapes: shape of each tensor of the batch.
        dtype: type of the tensors.
        loss: mean cross-entropy of the model before training, in nats.
        answers: what the model says of each row.
        new_parameters: names of the tensors that the checkpoint lacks, drawn with the seed.
    """

    seed: int
    rows: list[int]
    columns_tokenized: dict[str, str]
    columns_ready: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    dtype: str
    loss: float
    answers: list[Answer]
    new_parameters: list[str]

    @property
    def num_right(self) -> int:
        """Rows that are answered rightly."""
        return sum(answer.is_right for answer in self.answers)

    @property
    def num_equivalent(self) -> int:
        """Rows with label 1."""
        return sum(answer.label for answer in self.answers)

    @property
    def only_answer(self) -> int | None:
        """The class that all rows get, or None where they differ or there is one row only."""
        predicted = {answer.predicted for answer in self.answers}
        return predicted.pop() if len(predicted) == 1 and len(self.answers) > 1 else None


@dataclass(frozen=True)
class MovedPart:
    """How far one part of the model moved in the step.

    Attributes:
        name: in words.
        num_weights: how many numbers it holds.
        distance: length of the difference, as of one long vector.
        largest: the largest change of a single weight.
        norm: length of the weights before.
    """

    name: str
    num_weights: int
    distance: float
    largest: float
    norm: float


@dataclass(frozen=True)
class TrainingStep:
    """What one step did.

    Attributes:
        rows: the tokens of each sentence, padding included.
        shapes: shape of each tensor of the batch.
        loss_before: mean cross-entropy, in nats.
        loss_after: of the same batch after the step.
        probs_before: probability of label 1 for each sentence. Above one half, argmax answers 1.
        probs_after: after the step.
        head: how far the new classification head moved.
        encoder: how far everything else moved.
    """

    rows: list[list[TokenRow]]
    shapes: dict[str, tuple[int, ...]]
    loss_before: float
    loss_after: float
    probs_before: list[float]
    probs_after: list[float]
    head: MovedPart
    encoder: MovedPart


class FirstSteps:
    """Makes models anew. May be used from many threads; one model at a time is in memory."""

    def __init__(self, read_data: Callable[[], LoadedData], checkpoints: CheckpointShelf) -> None:
        self._read_data = read_data
        self._checkpoints = checkpoints
        self._lock = threading.Lock()

    def first_batch(
        self, split: object, checkpoint: str = "", batch_size: object = 8, seed: object = 42
    ) -> ModelInput:
        """Follow the first batch of a training from the columns to the logits.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the checkpoint is not available now.
        """
        size = check_whole(batch_size, "batch size", 1, MAX_BATCH_ROWS)
        whole_seed = check_whole(seed, "seed", 0, 2**31 - 1)
        dataset = find_split(self._read_data(), split)
        rows = epoch_batches(range(len(dataset)), size, "random", whole_seed, epoch=0)[0]
        if min(dataset[rows]["label"]) < 0:
            raise InputError(
                f"Not every pair of {split} has a label, so there is no loss. Take another split."
            )
        loaded = self._checkpoints.tokenizer(checkpoint)
        tokenizer = loaded.tokenizer
        datasets.disable_progress_bars()
        tokenized = dataset.select(rows).map(
            lambda batch: dict(encode_pairs(tokenizer, batch["sentence1"], batch["sentence2"])),
            batched=True,
            keep_in_memory=True,
            new_fingerprint="tokenized",
        )
        ready = tokenized.remove_columns(["sentence1", "sentence2", "idx"]).rename_column("label", "labels")
        ready.set_format("torch")
        loader = DataLoader(ready, batch_size=size, collate_fn=PairCollator(tokenizer))
        batch = next(iter(loader))

        with self._untrained(loaded.spec, whole_seed) as (model, new_parameters, _), torch.inference_mode():
            output = model(**batch)
            losses = cross_entropy(output.logits, batch["labels"], reduction="none")
        return ModelInput(
            seed=whole_seed,
            rows=rows,
            columns_tokenized={name: str(kind) for name, kind in tokenized.features.items()},
            columns_ready={name: str(kind) for name, kind in ready.features.items()},
            shapes={key: tuple(tensor.shape) for key, tensor in batch.items()},
            dtype=str(next(iter(batch.values())).dtype),
            loss=output.loss.item(),
            answers=[
                Answer(*values)
                for values in zip(
                    rows,
                    batch["labels"].tolist(),
                    output.logits.tolist(),
                    output.logits.softmax(-1).tolist(),
                    output.logits.argmax(-1).tolist(),
                    losses.tolist(),
                    strict=True,
                )
            ],
            new_parameters=new_parameters,
        )

    def take_step(
        self,
        sentences: Sequence[object],
        checkpoint: str = "",
        learning_rate: object = COURSE_LEARNING_RATE,
        seed: object = 42,
        on_progress: OnProgress = silent,
    ) -> TrainingStep:
        """Make the model, take one AdamW step on two sentences that are labelled 1, and compare.

        The model is in evaluation mode, as ``from_pretrained`` leaves it and the course's cell uses it, so
        there is no dropout.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the checkpoint is not available now.
        """
        pair = check_pair(sentences[0], sentences[1])
        rate = check_number(learning_rate, "learning rate", 0.0, 1e-2)
        whole_seed = check_whole(seed, "seed", 0, 2**31 - 1)
        loaded = self._checkpoints.tokenizer(checkpoint)
        with tokenizer_lock(loaded.tokenizer):
            batch = loaded.tokenizer(
                [pair.sentence1, pair.sentence2],
                padding=True,
                truncation=True,
                max_length=min(128, loaded.tokenizer.model_max_length),
                return_tensors="pt",
            )
        batch["labels"] = torch.tensor([1, 1])
        on_progress("Loading the model", 0, NUM_PARTS)
        with self._untrained(loaded.spec, whole_seed) as (model, new_parameters, _):
            before = {name: weights.detach().clone() for name, weights in model.named_parameters()}
            optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
            on_progress("Forward and backward", 1, NUM_PARTS)
            output = model(**batch)
            output.loss.backward()
            on_progress("The step, and the batch once more", 2, NUM_PARTS)
            optimizer.step()
            after = dict(model.named_parameters())
            with torch.inference_mode():
                again = model(**batch)
        head = [name for name in before if name in set(new_parameters)]
        return TrainingStep(
            rows=[token_rows(loaded.tokenizer, batch, index) for index in (0, 1)],
            shapes={key: tuple(tensor.shape) for key, tensor in batch.items()},
            loss_before=output.loss.item(),
            loss_after=again.loss.item(),
            probs_before=output.logits.softmax(-1)[:, 1].tolist(),
            probs_after=again.logits.softmax(-1)[:, 1].tolist(),
            head=_moved("the new head", before, after, head),
            encoder=_moved(
                "the pretrained encoder", before, after, [name for name in before if name not in head]
            ),
        )

    @contextmanager
    def _untrained(self, spec: Pretrained, seed: int) -> Iterator[Classifier]:
        """Make the model of a checkpoint as a training begins with it; nobody else makes one meanwhile."""
        with self._lock:
            yield load_classifier(resolve_pretrained(spec.name, spec.folder), seed)


def _moved(
    name: str, before: dict[str, torch.Tensor], after: dict[str, torch.nn.Parameter], names: list[str]
) -> MovedPart:
    changes = [(after[key].detach() - before[key]).flatten() for key in names]
    return MovedPart(
        name=name,
        num_weights=sum(change.numel() for change in changes),
        distance=float(torch.stack([change.norm() for change in changes]).norm()) if changes else 0.0,
        largest=max((float(change.abs().max()) for change in changes), default=0.0),
        norm=float(torch.stack([before[key].norm() for key in names]).norm()) if names else 0.0,
    )
