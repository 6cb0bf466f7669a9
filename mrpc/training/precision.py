"""Which number format the forward pass may use on this machine."""

from __future__ import annotations

from typing import NamedTuple

import torch

from mrpc.errors import TrainingError


class Precision(NamedTuple):
    """What :func:`select_precision` decided.

    Attributes:
        mixed: "no", "bf16" or "fp16", as accelerate calls them.
        warning: what the user should know, or "".
    """

    mixed: str
    warning: str = ""


def select_precision(wanted: str, requested: str, device: torch.device) -> Precision:
    """Decide on mixed precision: never a format that the hardware would have to emulate.

    Args:
        wanted: the run's own setting.
        requested: what ``accelerate launch`` or its config file asks for; counts where ``wanted`` is "no".
        device: where the model lives.

    Raises:
        TrainingError: the run wants a format that the hardware lacks.
    """
    if wanted != "no":
        if not _has_hardware_for(wanted, device):
            raise TrainingError(
                f"mixed_precision is {wanted}, but this {device.type} does not compute in it.",
                "Start the run with mixed_precision no.",
            )
        return Precision(wanted)
    if requested == "no" or _has_hardware_for(requested, device):
        return Precision(requested)
    return Precision(
        "no",
        f"The config of accelerate asks for {requested}, but this {device.type} does not compute in it: "
        "the training runs in float32.",
    )


def _has_hardware_for(mixed: str, device: torch.device) -> bool:
    if device.type == "cuda":
        return mixed == "fp16" or (mixed == "bf16" and torch.cuda.get_device_capability(device) >= (8, 0))
    if device.type == "cpu":  # emulated, bfloat16 is tens of times slower than float32
        has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return mixed == "bf16" and has_bf16
    return False
