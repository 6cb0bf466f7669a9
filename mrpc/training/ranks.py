"""The processes that train one run together: which one this is, its share of a batch, what they exchange.

One process is the usual case; everything here then gives back what it was given. Rank 0 is the main
process: it alone holds the lock and writes into the run directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather, gather_object

from mrpc.errors import TrainingError
from mrpc.settings import LaunchedProcesses, cpu_is_forced

Value = TypeVar("Value")


class Ranks:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: this process, from 0.
        world_size: how many there are.
        device: where this process computes; accelerate picks it, as ``accelerate config`` says.
    """

    def __init__(self, rank: int, world_size: int, device: torch.device) -> None:
        self.rank = rank
        self.world_size = world_size
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this process writes into the run directory."""
        return self.rank == 0

    @property
    def are_several(self) -> bool:
        """Whether there is more than one process."""
        return self.world_size > 1

    def share(self, rows: Sequence[int]) -> list[int]:
        """Return this process' rows of a batch.

        DistributedDataParallel needs a forward pass of every process, so where a short batch leaves nothing
        for this one it gets the batch's first row, with :meth:`weight` 0.
        """
        return list(rows[self.rank :: self.world_size]) or list(rows[:1])

    def num_own(self, num_rows: int) -> int:
        """Return how many rows of a batch of ``num_rows`` are really this process' own."""
        return len(range(self.rank, num_rows, self.world_size))

    def weight(self, num_rows: int) -> float:
        """Return what to multiply this process' mean loss with.

        DistributedDataParallel averages the gradients of the processes, whatever their shares; with these
        weights that average is the gradient of the mean over all ``num_rows`` rows. 1.0 in one process.
        """
        return self.world_size * self.num_own(num_rows) / num_rows

    def gather_rows(self, own: torch.Tensor, num_rows: int) -> torch.Tensor:
        """Put together what the processes computed for their rows of one batch.

        Args:
            own: [n, ...], one entry for each row of :meth:`share`.
            num_rows: rows of the whole batch.

        Returns:
            [num_rows, ...], in the order of the whole batch, in every process.
        """
        if not self.are_several:
            return own
        longest = -(-num_rows // self.world_size)
        padded = own.new_zeros((longest, *own.shape[1:]))
        num_own = self.num_own(num_rows)
        padded[:num_own] = own[:num_own]
        parts = gather(padded).view(self.world_size, longest, *own.shape[1:])
        return parts.transpose(0, 1).reshape(self.world_size * longest, *own.shape[1:])[:num_rows]

    def gather(self, value: Value) -> list[Value]:
        """Return every process' value, by rank, in every process."""
        return gather_object([value]) if self.are_several else [value]

    def broadcast(self, value: Value) -> Value:
        """Return the main process' value in every process."""
        if not self.are_several:
            return value
        values: list[Any] = [value]
        broadcast_object_list(values)
        return values[0]


def join(launched: LaunchedProcesses) -> Ranks:
    """Join the other processes of this training.

    Raises:
        TrainingError: when accelerate sees another number of processes than were launched: they would all
            train the same run, each for itself.
    """
    if launched.is_one_of_several_asked_for:
        raise TrainingError(
            "`accelerate launch` was asked for several processes on a CPU, but it starts only one.",
            "Start them with: ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m mrpc.training RUN_DIR",
        )
    state = PartialState(cpu=cpu_is_forced())
    if state.num_processes != launched.world_size:
        raise TrainingError(
            f"{launched.world_size} processes were launched, but accelerate sees {state.num_processes}.",
            "On a CPU set ACCELERATE_USE_CPU=true before torchrun; with GPUs use `accelerate launch`.",
        )
    return Ranks(state.process_index, state.num_processes, state.device)
