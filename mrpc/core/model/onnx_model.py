"""A classifier as an ONNX file: write it, make it smaller in int8, and ask it as one asks the original.

onnx, onnxscript and onnxruntime are optional packages (``requirements/onnx.txt``); they are imported when one
of these functions is called: see :func:`mrpc.publish.onnx.require_packages`.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from mrpc.core.model.prediction import MODEL_INPUTS
from mrpc.errors import UnavailableError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OPSET = 18
"""Version of the operators: the lowest that torch's exporter writes without converting."""

MAX_BATCH = 4096
MAX_LENGTH = 512

EXAMPLE = (["One pair.", "A second, longer pair of sentences."], ["Its other sentence.", "And this."])
"""What the model is traced with; batch and length stay free."""


def export_onnx(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Write a classifier as one ONNX file in float32, for any number of pairs of any length.

    Its inputs are those that the tokenizer gives, int64 [B, T], and its output is ``logits``, float32 [B, C].

    Raises:
        UnavailableError: torch cannot write this kind of model.
    """
    encoding = tokenizer(*EXAMPLE, padding=True, return_tensors="pt")
    names = [name for name in MODEL_INPUTS if name in encoding]
    example = tuple(encoding[name] for name in names)
    batch, length = (
        torch.export.Dim("batch", max=MAX_BATCH),
        torch.export.Dim("length", min=2, max=MAX_LENGTH),
    )
    classifier = _Logits(model, names).eval()
    try:
        with _quiet(), torch.inference_mode():
            torch.onnx.export(
                classifier,
                example,
                path,
                input_names=names,
                output_names=["logits"],
                opset_version=OPSET,
                dynamic_shapes=(tuple({0: batch, 1: length} for _ in names),),
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0][:200]
        raise UnavailableError(
            f"This model ({model.config.model_type}) cannot be written as ONNX by torch {torch.__version__}: "
            f"{reason}"
        ) from None


def quantize_onnx(source: Path, path: Path) -> None:
    """Write the same model with its matrices in int8; activations are scaled as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)


class OnnxClassifier(torch.nn.Module):
    """An ONNX file that answers as the classifier did that it was made of; it gives no gradients.

    Attributes:
        device: where its inputs must be.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path) -> None:
        """Load a file that :func:`export_onnx` or :func:`quantize_onnx` wrote."""
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # as many as torch: they are compared
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._names = [each.name for each in self._session.get_inputs()]

    def forward(self, **batch: torch.Tensor) -> SequenceClassifierOutput:
        """Answer a batch; inputs are int64 [B, T], logits come as float32 [B, C]."""
        inputs = {name: batch[name].numpy() for name in self._names}
        (logits,) = self._session.run(["logits"], inputs)
        return SequenceClassifierOutput(logits=torch.from_numpy(logits))


class _Logits(torch.nn.Module):
    """Takes its inputs in a fixed order and returns logits alone, as an ONNX graph does."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice of the exporter and of the quantizer, meant for their developers, off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
