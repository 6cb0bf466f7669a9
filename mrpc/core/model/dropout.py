"""Dropout masks from a fast random stream that a checkpoint can hold.

torch's ``bernoulli_``, the heart of ``F.dropout``, takes 5 to 8 ns an element on one AMD core and does not
use a second one. Here 64 raw bits of numpy's SFC64 decide on four elements: each 16-bit lane is compared with
a threshold, about 0.6 ns an element. The draws are independent as before; the probability is rounded to a
multiple of 1/65536 (0.1 becomes 0.100006), and the kept elements are scaled by what was really drawn, so that
the expectation stays exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

LANES = 1 << 16


class DropoutStream:
    """Draws dropout masks without touching any global random state.

    An evaluation between two steps therefore cannot shift later masks, and a resumed run that puts
    the state back draws the very same ones.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.SFC64(seed)

    def apply(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Return ``x`` with each element zeroed with probability ``p``, the others scaled by 1 / (1 - p).

        Args:
            x: float tensor of any shape, on the CPU.
            p: in [0, 1).
        """
        if p == 0.0:
            return x
        num_dropped = min(round(p * LANES), LANES - 1)
        num = x.numel()
        lanes = self._bits.random_raw(math.ceil(num / 4)).view(np.int16)[:num]
        mask = torch.empty(num, dtype=x.dtype)
        torch.ge(torch.from_numpy(lanes), num_dropped - LANES // 2, out=mask)  # 1.0 where kept
        return x * mask.mul_(LANES / (LANES - num_dropped)).view(x.shape)

    def state_dict(self) -> dict[str, object]:
        """Return the state as plain integers."""
        state = self._bits.state
        words = [int(word) for word in state["state"]["state"]]
        return {"words": words, "has_uint32": int(state["has_uint32"]), "uinteger": int(state["uinteger"])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned."""
        self._bits.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["words"], dtype=np.uint64)},
            "has_uint32": state["has_uint32"],
            "uinteger": state["uinteger"],
        }
