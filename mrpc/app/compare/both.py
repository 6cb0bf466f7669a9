"""Two of something: what is so of the first side of a comparison and of the second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Both(Generic[Item]):
    """What is so of both sides. A change, a gain or a difference goes from the first to the second.

    Attributes:
        first: of the side that is compared with the other; usually the base. Grey and hollow in charts.
        second: of the other side; usually the fine-tuned model. Green and full.
    """

    first: Item
    second: Item

    def __iter__(self) -> Iterator[Item]:
        yield self.first
        yield self.second

    def map(self, function: Callable[[Item], Other]) -> Both[Other]:
        """Return what a function gives for each."""
        return Both(function(self.first), function(self.second))
