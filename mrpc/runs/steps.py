"""The optimizer steps of a run as columns of numbers.

Steps are most of a log, so they are read without an event object each: a run of 100,000 steps takes 7 MB and
a few tenths of a second.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter
from typing import Literal, NamedTuple

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

STEP_MARK = b'"type":"step"'
"""What stands in a line of the log that is a step, and in no other: in a text the quotes are escaped."""


class Step(NamedTuple):
    """What is kept of one optimizer step; see :class:`mrpc.runs.events.StepEvent`."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


class StepColumns:
    """The steps of a run in ascending order, each once: a step that comes again replaces the first."""

    def __init__(self) -> None:
        self._numbers = array("d")  # row after row

    def __len__(self) -> int:
        return len(self._numbers) // _WIDTH

    def put(self, step: tuple[float, ...]) -> None:
        """Take in one step, its numbers in the order of :class:`Step`."""
        numbers = self._numbers
        if not numbers or step[0] > numbers[-_WIDTH]:
            numbers.extend(step)
            return
        row = bisect_left(range(len(self)), step[0], key=lambda row: numbers[row * _WIDTH])
        start = row * _WIDTH
        end = start + _WIDTH if numbers[start] == step[0] else start
        numbers[start:end] = array("d", step)

    def column(self, name: str) -> array[float]:
        """Return one number of every step."""
        return self._numbers[Step._fields.index(name) :: _WIDTH]

    def newest(self, num: int) -> list[Step]:
        """Return the last steps, at most ``num``, in ascending order."""
        starts = range(max(0, len(self) - num) * _WIDTH, len(self._numbers), _WIDTH)
        return [_step(self._numbers[start : start + _WIDTH]) for start in starts]


class StepLine(TypedDict):
    """A line of the log with :class:`mrpc.runs.events.StepEvent`, as far as it is kept.

    A dictionary is checked four times as quickly as an event object is made.
    """

    v: Literal[1]
    attempt: int
    type: Literal["step"]
    step: int
    epoch: float
    loss: float
    learning_rate: float
    num_pairs: int
    num_tokens: int
    num_padded_tokens: int
    duration_s: float
    train_s: float


parse_step = TypeAdapter(StepLine).validate_json
"""Read a line of the log as a :class:`StepLine`; raises ``pydantic.ValidationError``."""

step_numbers = itemgetter(*Step._fields)
"""Take the numbers of :class:`Step` out of a :class:`StepLine`."""

_WIDTH = len(Step._fields)


def _step(numbers: Iterable[float]) -> Step:
    step, epoch, loss, rate, num_pairs, num_tokens, num_padded, duration_s, train_s = numbers
    counts = int(num_pairs), int(num_tokens), int(num_padded)
    return Step(int(step), epoch, loss, rate, *counts, duration_s, train_s)
