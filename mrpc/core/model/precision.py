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

    ``auto`` takes bfloat16 where there are matrix units for it, see :func:`has_bfloat16_units`.

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
    if wanted == "auto" and has_bfloat16_units(device):
        return Precision("bf16")
    if wanted == "bf16":
        if not _computes_in(wanted, device):
            raise TrainingError(
                f"mixed_precision is {wanted}, but this {device.type} does not compute in it.",
                "Start the run with mixed_precision no.",
            )
        return Precision(wanted)
    if requested == "no" or _computes_in(requested, device):
        return Precision(cast("Mixed", requested))
    return Precision(
        "no",
        f"The config of accelerate asks for {requested}, but this {device.type} does not compute in it: "
        "the training runs in float32.",
    )


def has_bfloat16_units(device: torch.device) -> bool:
    """Tell whether there are matrix units for bfloat16: in a CPU with AMX, in GPUs from Ampere on.

    A CPU that has it in its vector units alone (``avx512_bf16``) has to be asked for it with bf16.
    """
    import torch

    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_tile") and capabilities.get("amx_bf16"))
    return _computes_in("bf16", device)


def _computes_in(mixed: str, device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return mixed == "fp16" or (mixed == "bf16" and torch.cuda.get_device_capability(device) >= (8, 0))
    if device.type == "cpu":  # emulated, bfloat16 is tens of times slower than float32
        return mixed == "bf16" and (torch.cpu._is_avx512_bf16_supported() or has_bfloat16_units(device))
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
