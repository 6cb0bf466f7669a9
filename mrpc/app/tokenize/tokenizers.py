"""The tokenizers in use, each loaded once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.model.pretrained import (
    BUNDLED_REPO_ID,
    Pretrained,
    PretrainedFiles,
    list_pretrained,
    load_tokenizer,
    resolve_pretrained,
)
from mrpc.errors import ConfigError
from mrpc.recent import Recent
from mrpc.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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


class Tokenizers:
    """Loads tokenizers by the name of their checkpoint. May be used from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._specs = list_pretrained(settings.checkpoint_dirs)
        self._loaded: Recent[LoadedTokenizer] = Recent(MAX_LOADED)

    def label(self, name: str = "") -> str:
        """Return what people call a checkpoint.

        Raises:
            ConfigError: there is no checkpoint of this name.
        """
        return self._spec(name).label

    def hub_name(self, name: str = "") -> str:
        """Return what a plain script gives to ``from_pretrained``: a repository, or a folder.

        Raises:
            ConfigError: there is no checkpoint of this name.
        """
        spec = self._spec(name)
        if spec.name == DEFAULT_CHECKPOINT:
            return BUNDLED_REPO_ID
        return spec.repo_id or str(spec.folder)

    def get(self, name: str = "") -> LoadedTokenizer:
        """Return a tokenizer, loaded at the first call for it.

        Args:
            name: of a checkpoint; "" is the default.

        Raises:
            ConfigError: there is no checkpoint of this name.
            UnavailableError: its files cannot be had now; the next call tries again.
        """
        spec = self._spec(name)
        return self._loaded.once(spec.name, lambda: _load(spec))

    def _spec(self, name: str) -> Pretrained:
        spec = self._specs.get(name or DEFAULT_CHECKPOINT) if isinstance(name, str) else None
        if spec is None:
            raise ConfigError(
                f"checkpoint is {str(name)[:100]!r}; it must be one of {', '.join(self._specs)}."
            )
        return spec


def _load(spec: Pretrained) -> LoadedTokenizer:
    checkpoint = resolve_pretrained(spec.name, spec.folder, weights=False)
    config = json.loads((checkpoint.dir / "config.json").read_bytes())
    hidden_size = config.get("hidden_size") or config.get("dim") or 768
    return LoadedTokenizer(spec, checkpoint, load_tokenizer(checkpoint), int(hidden_size))
