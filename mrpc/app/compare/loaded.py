"""The models of the sides, at most two in memory, each behind its own lock. Imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from mrpc.app.compare.sides import Side
from mrpc.core.model.checkpoint_folder import file_sha256, weights_sha256
from mrpc.core.model.classifier import load_base, load_finetuned
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.pretrained import PretrainedFiles, load_tokenizer, resolve_pretrained
from mrpc.errors import RunStateError, UnavailableError
from mrpc.publish.onnx import require_packages
from mrpc.recent import Recent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_LOADED = 2


class LoadedSides:
    """Keeps the models of the two sides looked at last. May be used from many threads."""

    def __init__(self) -> None:
        self._loaded: Recent[Predictor] = Recent(MAX_LOADED)

    def get(self, side: Side) -> Predictor:
        """Return the model of a side, loaded if it is not, and sure to be the one that the run recorded.

        Raises:
            UnavailableError: when its weights were not kept, or are gone.
            RunStateError: when the weights are not those that the run recorded.
        """
        assert side.run is not None, "a baseline has no model"

        def load() -> Predictor:
            self._loaded.trim(MAX_LOADED - 1)  # never three in memory, not even while one is loaded
            return _load(side)

        return self._loaded.once((side.run.run_id, side.weights_sha256), load)

    def __len__(self) -> int:
        return len(self._loaded)


def _load(side: Side) -> Predictor:
    assert side.run is not None
    if side.kind == "base":
        config = side.run.config
        checkpoint = resolve_pretrained(config.hyperparameters.checkpoint, config.checkpoint_dir)
        model, tokenizer = load_base(checkpoint, side.run.paths.base), load_tokenizer(checkpoint)
    elif side.onnx_file is not None:
        return _load_onnx(side, side.onnx_file)
    elif side.model_dir is None:
        raise UnavailableError(side.missing)
    else:
        model, tokenizer = load_finetuned(side.model_dir)
    _check_recorded(side, weights_sha256(model))
    return Predictor(model, tokenizer, side.run.config.hyperparameters.max_length)


def _load_onnx(side: Side, file: Path) -> Predictor:
    from mrpc.core.model.onnx_model import OnnxClassifier

    require_packages()
    assert side.run is not None
    assert side.model_dir is not None
    if not file.is_file():
        raise UnavailableError(f"{file.name} of {side.name} is gone. Export the run again.")
    _check_recorded(side, file_sha256(file))
    return Predictor(
        cast("PreTrainedModel", OnnxClassifier(file).eval()),  # answers as one; nothing else is asked of it
        load_tokenizer(PretrainedFiles(side.name, side.model_dir, "")),
        side.run.config.hyperparameters.max_length,
    )


def _check_recorded(side: Side, actual: str) -> None:
    """Refuse weights that are not those of the record.

    Raises:
        RunStateError: they have another hash.
    """
    if actual != side.weights_sha256:
        raise RunStateError(
            f"The weights of {side.name} are not those that the run recorded (sha256 {actual[:12]}, recorded "
            f"{side.weights_sha256[:12]}). The folder was changed; no answer is given in its name."
        )
