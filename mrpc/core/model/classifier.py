"""Build classifiers from a checkpoint, try whether one can be trained, and save and load what was trained.

torch and transformers are imported when a model is made, so that who asks for a checkpoint or a tokenizer
alone does not wait for them. No training and no predictions here.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mrpc.core.data.pairs import LABEL_NAMES
from mrpc.core.model.checkpoint_folder import (
    EncoderReport,
    longest_input,
    new_tensors,
    own_weights,
    read_config,
    report_loading,
)
from mrpc.core.model.pretrained import PretrainedFiles, load_tokenizer
from mrpc.errors import UnavailableError
from mrpc.files import replacing_folder, write_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BASE_TENSORS = "new_tensors.safetensors"
"""File in a run's ``base/`` folder: the tensors that the checkpoint lacked or a recipe set, as they began."""

ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
"""What configs call the probability that an attention weight is dropped."""

MAX_TOKENS = 512
"""The highest ``max_length`` that a training may ask for."""

LIBRARY_FAULTS = (
    *(OSError, ValueError, RuntimeError, TypeError, KeyError, IndexError, AttributeError, ImportError),
    *(AssertionError, ZeroDivisionError),
)
"""What torch and transformers raise in the code of a model that does not fit what it is given."""

SHORT_PAIR = ("A short sentence.", "Another one.")
LONG_PAIR = ("word " * MAX_TOKENS, "another " * MAX_TOKENS)
"""What a checkpoint is tried on: a short pair, and one that is longer than an encoder can take."""

_MAKING_LOCK = threading.RLock()
"""Held from setting the seed until the model is made: another one made meanwhile would draw in between."""


class Classifier(NamedTuple):
    """A model made from a checkpoint.

    Attributes:
        model: for two classes, float32, on the CPU, in evaluation mode.
        new_parameters: sorted names of the tensors that the checkpoint lacked or had in another size, drawn
            with the seed.
        encoder: what was loaded.
    """

    model: PreTrainedModel
    new_parameters: list[str]
    encoder: EncoderReport


def load_classifier(
    checkpoint: PretrainedFiles,
    seed: int,
    attention_dropout: bool = True,
    label_names: Sequence[str] = LABEL_NAMES,
) -> Classifier:
    """Make a classifier for sentence pairs from a checkpoint.

    The seed is set right before the model is made, so a plain script that calls ``torch.manual_seed(seed)``
    and then ``AutoModelForSequenceClassification.from_pretrained(..., num_labels=2)`` draws the same head.

    Args:
        checkpoint: what to start from.
        seed: of the head.
        attention_dropout: whether training drops attention weights, where the checkpoint's config says so.
        label_names: what the data calls the classes 0 and 1: ``id2label`` of the config.

    Raises:
        UnavailableError: the files do not make a model, or hold too little of its encoder.
    """
    import torch

    with _MAKING_LOCK:
        torch.manual_seed(seed)
        classifier = _from_pretrained(checkpoint.dir, label_names, attention_dropout)
    classifier.encoder.require_enough(str(checkpoint.dir))
    return classifier


@lru_cache(maxsize=32)
def try_checkpoint(checkpoint: PretrainedFiles) -> EncoderReport:
    """Load a checkpoint and let it answer a short pair and the longest one, as a training would.

    So whether it can be trained is seen before a run is made of it. Asked again for the same files it answers
    from memory; what failed is tried anew. The global random state stays as it is.

    Raises:
        UnavailableError: when the encoder cannot be trained on pairs; says why.
    """
    import torch

    from mrpc.core.text.tokenization import encode_pairs

    with torch.random.fork_rng():
        classifier = load_classifier(checkpoint, seed=0)
    model, report = classifier.model, classifier.encoder
    tokenizer = load_tokenizer(checkpoint)
    require_known_tokens(model, tokenizer, checkpoint.name)
    firsts, seconds = zip(SHORT_PAIR, LONG_PAIR, strict=True)
    encoded = encode_pairs(tokenizer, firsts, seconds, max_length=MAX_TOKENS)
    batch = tokenizer.pad(dict(encoded), return_tensors="pt")
    try:
        with torch.no_grad():
            logits = model(**batch, labels=torch.tensor([0, 1])).logits
    except LIBRARY_FAULTS as error:
        raise UnavailableError(
            f"{checkpoint.name} could not answer two pairs of sentences ({_in_short(error)}). "
            "It is no encoder that can be trained here."
        ) from None
    finally:
        del model, classifier
        gc.collect()
    if tuple(logits.shape) != (2, 2):
        raise UnavailableError(
            f"{checkpoint.name} answers two pairs with numbers of shape {tuple(logits.shape)}, not (2, 2). "
            "It is no encoder that can be trained here."
        )
    if not torch.isfinite(logits).all():
        raise UnavailableError(
            f"{checkpoint.name} answers with numbers that are not finite: its weights are damaged. "
            "It cannot be trained."
        )
    return report


def require_known_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a tokenizer with tokens for which its encoder has no embedding.

    Raises:
        UnavailableError: says how many there are, and what to do.
    """
    num_rows = next(model.get_input_embeddings().parameters()).shape[0]
    if len(tokenizer) > num_rows:
        raise UnavailableError(
            f"The tokenizer of {name} has {len(tokenizer)} tokens, but the encoder knows {num_rows}. "
            "Call model.resize_token_embeddings(len(tokenizer)) and save it again."
        )


def load_finetuned(directory: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a folder that :func:`save_model_folder` wrote, without drawing a random number.

    Raises:
        UnavailableError: the folder is not there or does not hold every tensor of a model.
    """
    if not directory.is_dir():
        raise UnavailableError(f"The weights {directory} are not there (any more).")
    model, missing, _ = _from_pretrained(directory, None)
    if missing:
        raise UnavailableError(f"{directory} is not a fine-tuned model: it lacks {', '.join(missing)}.")
    return model, load_tokenizer(PretrainedFiles(directory.name, directory, ""))


def save_model_folder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Write a standard Hugging Face folder, complete or invisible; an older one is replaced in one step."""
    with replacing_folder(directory) as beside, _quiet_transformers():
        model.save_pretrained(beside, state_dict=own_weights(model))
        tokenizer.save_pretrained(beside)


def save_base_tensors(
    model: PreTrainedModel, new_parameters: list[str], directory: Path, checkpoint_sha256: str
) -> None:
    """Save the tensors that the checkpoint lacked or a recipe changed: :func:`load_base` needs them."""
    from safetensors.torch import save

    tensors = {name: model.state_dict()[name].detach().cpu().contiguous() for name in new_parameters}
    content = save(tensors, metadata={"checkpoint_sha256": checkpoint_sha256})
    write_bytes(directory / BASE_TENSORS, content)


def load_base(checkpoint: PretrainedFiles, directory: Path) -> PreTrainedModel:
    """Make the model as it was before training: the checkpoint and the tensors that were new then.

    Raises:
        UnavailableError: the tensors are not there, or the checkpoint is not the one of that training.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(directory / BASE_TENSORS, framework="pt") as file:
            expected = (file.metadata() or {}).get("checkpoint_sha256")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError):
        raise UnavailableError(f"{directory} does not hold the model before training.") from None
    if expected != checkpoint.sha256:
        raise UnavailableError(
            f"The checkpoint {checkpoint.name} is not the one of this training: its weights have the sha256 "
            f"{checkpoint.sha256[:12]}, the training began with {str(expected)[:12]}."
        )
    with torch.random.fork_rng():
        model, missing, _ = _from_pretrained(checkpoint.dir, LABEL_NAMES)
    if not set(missing) <= set(tensors) <= set(model.state_dict()):
        raise UnavailableError(f"{directory} does not fit the checkpoint {checkpoint.name}.")
    model.load_state_dict(tensors, strict=False)
    return model


def _from_pretrained(
    directory: Path, label_names: Sequence[str] | None, attention_dropout: bool = True
) -> Classifier:
    """Make a model for two classes; with None as names, they are those that the folder's config has."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    named: dict[str, dict[int, str] | dict[str, int]] = {}
    if label_names is not None:
        named["id2label"] = dict(enumerate(label_names))
        named["label2id"] = {name: number for number, name in enumerate(label_names)}
    try:
        with _MAKING_LOCK, _quiet_transformers():
            config = AutoConfig.from_pretrained(
                str(directory),
                num_labels=len(LABEL_NAMES),
                **named,
                trust_remote_code=False,
                local_files_only=True,
            )
            if config.model_type not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
                raise UnavailableError(
                    f"{directory} is of the type {config.model_type}, for which transformers has no "
                    "classifier of texts. Choose an encoder of texts."
                )
            for name in ATTENTION_DROPOUT:
                if not attention_dropout and hasattr(config, name):
                    setattr(config, name, 0.0)
            notes = _fit_config(config, directory)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                str(directory),
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # of a head; an encoder that does not fit is refused
            )
    except (*LIBRARY_FAULTS, SafetensorError, StrictDataclassError) as error:
        code = (
            " Its config names code of its own, which is not run."
            if "auto_map" in read_config(directory)
            else ""
        )
        raise UnavailableError(f"{directory} does not make a model: {_in_short(error)}.{code}") from None
    if loading["mismatched_keys"]:
        _, old, _ = max(loading["mismatched_keys"], key=lambda entry: str(entry[0]))
        notes.append(f"Its head of another size ({old[0]} instead of 2 numbers) is replaced by a new one.")
    report = report_loading(model, loading, notes)
    return Classifier(model.eval(), sorted(new_tensors(loading)), report)


def _in_short(error: Exception) -> str:
    """Return what a library says of a fault: its kind, and the first sentence or what fits a line."""
    text = " ".join(str(error).split())[:200].split(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _fit_config(config: Any, directory: Path) -> list[str]:
    """Set in a config what a classifier of pairs needs, and say what that was."""
    notes = []
    if config.problem_type not in (None, "single_label_classification"):
        notes.append(f"Its config says {config.problem_type}; here it learns two classes.")
        config.problem_type = None
    if config.pad_token_id is None:
        tokenizer = load_tokenizer(PretrainedFiles(directory.name, directory, ""))
        config.pad_token_id = tokenizer.pad_token_id
        notes.append(f"It names no padding token; {tokenizer.pad_token} stands in for it.")
    longest = longest_input(config.to_dict())
    if longest is not None and longest < MAX_TOKENS:
        notes.append(f"Longer pairs are cut to {longest} tokens: it has no positions for more.")
    return notes


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep progress bars and the table of new parameters off the log; the page shows what is random."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
