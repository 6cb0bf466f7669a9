"""From the tokenized split to the model: columns, one batch of the loader, one forward pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import datasets
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from mrpc.app.limits import check_whole, find_split
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.text.batching import PairCollator, epoch_batches
from mrpc.core.text.tokenization import encode_pairs
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.tokenize.tokenizers import Tokenizers
    from mrpc.core.data.load import LoadedData

MAX_BATCH = 16


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


class ModelInputs:
    """Takes batches to the model. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData], tokenizers: Tokenizers) -> None:
        self._read_data = read_data
        self._tokenizers = tokenizers
        self._lock = threading.Lock()  # one model in memory at a time

    def first_batch(
        self, split: object, checkpoint: str = "", batch_size: object = 8, seed: object = 42
    ) -> ModelInput:
        """Follow the first batch of a training from the columns to the logits.

        Raises:
            InputError: something given cannot be used.
            UnavailableError: the checkpoint cannot be had now.
        """
        size = check_whole(batch_size, "batch size", 1, MAX_BATCH)
        whole_seed = check_whole(seed, "seed", 0, 2**31 - 1)
        dataset = find_split(self._read_data(), split)
        rows = epoch_batches(range(len(dataset)), size, "random", whole_seed, epoch=0)[0]
        if min(dataset[rows]["label"]) < 0:
            raise InputError(
                f"Not every pair of {split} has a label, so there is no loss. Take another split."
            )
        loaded = self._tokenizers.get(checkpoint)
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

        spec = loaded.spec
        with self._lock:
            classifier = load_classifier(resolve_pretrained(spec.name, spec.folder), whole_seed)
            with torch.inference_mode():
                output = classifier.model(**batch)
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
            new_parameters=classifier.new_parameters,
        )
