"""One step of training, as in the first cell of the course: two sentences, one label each, one AdamW step."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mrpc.app.limits import check_number, check_whole
from mrpc.app.task import OnProgress, silent
from mrpc.core.data.pairs import check_pair
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.text.tokenization import TokenRow, token_rows, tokenizer_lock

if TYPE_CHECKING:
    from mrpc.app.tokenize.tokenizers import Tokenizers

COURSE_LEARNING_RATE = 1e-3
"""What ``AdamW(model.parameters())`` takes when it is told nothing, as in the course's first cell."""

NUM_PARTS = 3


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


class TrainingSteps:
    """Takes single steps, each on a model made anew. May be used from many threads, one at a time trains."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self._tokenizers = tokenizers
        self._lock = threading.Lock()

    def take(
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
            UnavailableError: the checkpoint cannot be had now.
        """
        pair = check_pair(sentences[0], sentences[1])
        rate = check_number(learning_rate, "learning rate", 0.0, 1e-2)
        whole_seed = check_whole(seed, "seed", 0, 2**31 - 1)
        loaded = self._tokenizers.get(checkpoint)
        with tokenizer_lock(loaded.tokenizer):
            batch = loaded.tokenizer(
                [pair.sentence1, pair.sentence2],
                padding=True,
                truncation=True,
                max_length=min(128, loaded.tokenizer.model_max_length),
                return_tensors="pt",
            )
        batch["labels"] = torch.tensor([1, 1])
        spec = loaded.spec
        with self._lock:
            on_progress("Loading the model", 0, NUM_PARTS)
            model, new_parameters, _ = load_classifier(resolve_pretrained(spec.name, spec.folder), whole_seed)
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
