"""The checkpoints that may be chosen: what they are called, whether they are available, and their tokenizers.

However many pages and scripts want to know, the Hub is asked at most once in :data:`AGE_S` about each
repository, and answers or counts as silent within its time limit. Files of this machine are looked at anew; a
folder that was named on the command line is tried on two pairs, once for the same files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.model.pretrained import (
    Availability,
    Pretrained,
    PretrainedFiles,
    PretrainedSize,
    availability_of,
    list_pretrained,
    load_tokenizer,
    local_pretrained,
    pretrained_size,
    resolve_pretrained,
)
from mrpc.errors import ConfigError, UnavailableError
from mrpc.recent import Recent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AGE_S = 10.0
"""An answer of the Hub counts for so long, in seconds."""

MAX_LOADED = 8
"""Tokenizers kept in memory, the last used; each takes some ten megabytes."""


@dataclass(frozen=True)
class LoadedTokenizer:
    """A tokenizer and where it came from.

    Attributes:
        spec: what the checkpoint is called.
        checkpoint: its files, without weights.
        tokenizer: to be used through :mod:`mrpc.core.text.tokenization` alone.
        hidden_size: width of the model that it belongs to.
    """

    spec: Pretrained
    checkpoint: PretrainedFiles
    tokenizer: PreTrainedTokenizerBase
    hidden_size: int

    @property
    def uses_token_type_ids(self) -> bool:
        """Whether the model looks at token types."""
        return "token_type_ids" in self.tokenizer.model_input_names


class CheckpointShelf:
    """The checkpoints that may be chosen here. May be used from many threads."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """Take the allow-list and the folders that were named on the command line."""
        self._specs = list_pretrained(folders)
        self._asked: Recent[Availability] = Recent(len(self._specs), AGE_S)
        self._looked_at: Recent[Availability] = Recent(len(self._specs), 0.0)  # anew each time, one by one
        self._loaded: Recent[LoadedTokenizer] = Recent(MAX_LOADED)

    def spec(self, name: object) -> Pretrained:
        """Return what is known of a checkpoint.

        Raises:
            ConfigError: there is none of this name that may be chosen.
        """
        spec = self._specs.get(name) if isinstance(name, str) else None
        if spec is None:
            raise ConfigError(
                f"checkpoint is {str(name)[:100]!r}; it must be one of {', '.join(self._specs)}."
            )
        return spec

    def size(self, name: str) -> PretrainedSize | None:
        """Return how large a checkpoint is, or None where that cannot be known before it is loaded."""
        return pretrained_size(self.spec(name))

    def encoder_notes(self, name: str) -> list[str]:
        """Return what is changed in an encoder of the user's own to train it, a sentence each."""
        if self.spec(name).folder is None:
            return []
        encoder = self.availability(name).encoder
        return [] if encoder is None else [encoder.sentence, *encoder.notes]

    def availability(self, name: str) -> Availability:
        """Tell whether a checkpoint is available now; waits for the Hub as long as its time limit at most."""
        spec = self.spec(name)
        answers = self._looked_at if spec.repo_id is None else self._asked
        return answers.once(name, lambda: availability_of(spec) if spec.folder is None else _try_folder(spec))

    def availabilities(self) -> list[Availability]:
        """Tell it of every checkpoint, in the time that the slowest answer takes."""
        with ThreadPoolExecutor(len(self._specs)) as pool:
            return list(pool.map(self.availability, self._specs))

    def require(self, name: str, folder: Path | None = None) -> None:
        """Refuse a checkpoint that a training could not load now.

        Args:
            name: what the config calls it.
            folder: where a run has it from, if from a folder; that one counts, whatever may be chosen here.

        Raises:
            ConfigError: when it may not be chosen.
            UnavailableError: when its files are not available; says why.
        """
        answer = self.availability(name) if folder is None else _try_folder(local_pretrained(folder))
        if not answer.available:
            raise UnavailableError(f"The checkpoint {answer.spec.label} is not available: {answer.reason}")

    def tokenizer(self, name: str = "") -> LoadedTokenizer:
        """Return a checkpoint's tokenizer, loaded at the first call for it.

        Args:
            name: of the checkpoint; "" is the default.

        Raises:
            ConfigError: there is no checkpoint of this name.
            UnavailableError: its files are not available now; the next call tries again.
        """
        spec = self.spec(DEFAULT_CHECKPOINT if name == "" else name)
        return self._loaded.once(spec.name, lambda: _load_tokenizer(spec))


def _try_folder(spec: Pretrained) -> Availability:
    """Tell whether the encoder in a folder can be trained: how much of it is loaded, and what is changed."""
    from mrpc.core.model.classifier import try_checkpoint  # imports torch

    try:
        report = try_checkpoint(resolve_pretrained(spec.name, spec.folder))
    except UnavailableError as error:
        return Availability(spec, False, str(error))
    reason = " ".join(["On this machine.", report.sentence, *report.notes])
    return Availability(spec, True, reason, report)


def _load_tokenizer(spec: Pretrained) -> LoadedTokenizer:
    checkpoint = resolve_pretrained(spec.name, spec.folder, weights=False)
    config = json.loads((checkpoint.dir / "config.json").read_bytes())
    hidden_size = config.get("hidden_size") or config.get("dim") or 768
    return LoadedTokenizer(spec, checkpoint, load_tokenizer(checkpoint), int(hidden_size))
