"""Which number format the steps of a training are computed in on this machine.

Whatever it is, weights, optimizer, evaluation and predictions stay in float32.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from mrpc.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from mrpc.config import TrainConfig

Mixed = Literal["no", "bf16", "fp16"]

WORDS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}


class Precision(NamedTuple):
    """What :func:`select_precision` decided.

    Attributes:
        mixed: "no", "bf16" or "fp16", as accelerate calls them.
        warning: what the user should know, or "".
    """

    mixed: Mixed
    warning: str = ""


def select_precision(config: TrainConfig, requested: str, device: torch.device) -> Precision:
    """Decide on mixed precision: never a format that the hardware would have to emulate.

    ``auto`` takes bfloat16 where :func:`computes_in` says that the hardware does.

    Args:
        config: the run's own settings.
        requested: what ``accelerate launch`` or its config file asks for; counts where the run does not say.
        device: where the model lives.

    Raises:
        TrainingError: the run wants a format that the hardware lacks.
    """
    wanted = config.mixed_precision
    if config.loop == "pytorch":
        return Precision("no")
    if wanted == "auto" and computes_in("bf16", device):
        return Precision("bf16")
    if wanted == "bf16":
        if not computes_in(wanted, device):
            raise TrainingError(
                f"mixed_precision is {wanted}, but this {device.type} does not compute in it.",
                "Start the run with mixed_precision no.",
            )
        return Precision(wanted)
    if requested == "no" or computes_in(requested, device):
        return Precision(cast("Mixed", requested))
    return Precision(
        "no",
        f"The config of accelerate asks for {requested}, but this {device.type} does not compute in it: "
        "the training runs in float32.",
    )


def computes_in(mixed: str, device: torch.device) -> bool:
    """Tell whether the hardware itself multiplies in a format, "bf16" or "fp16".

    For bfloat16: GPUs from Ampere on, and CPUs with AMX or with ``avx512_bf16`` in their vector units, such
    as AMD's since Zen 4. Emulated elsewhere, it is tens of times slower than float32.
    """
    import torch

    if device.type == "cuda":
        return mixed == "fp16" or (mixed == "bf16" and torch.cuda.get_device_capability(device) >= (8, 0))
    if device.type == "cpu":
        units = torch.cpu.get_capabilities()
        has_amx = units.get("amx_tile") and units.get("amx_bf16")
        return mixed == "bf16" and bool(has_amx or torch.cpu._is_avx512_bf16_supported())
    return False


def train_in_bfloat16(model: PreTrainedModel) -> None:
    """Let ``model(...)`` compute by torch's autocast to bfloat16 in training; evaluation stays in float32."""
    import torch

    plain: Any = model.forward

    @functools.wraps(plain)
    def forward(*args: object, **inputs: object) -> object:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.training):
            outputs = plain(*args, **inputs)
        outputs.logits = outputs.logits.float()
        return outputs

    model.forward = forward
