"""The rows of the data: by number, by page, by search, and how long they are.

Everything is asked of the Arrow table, which is mapped from disk: a page or a search over 400,000 rows
costs tens of milliseconds and next to no memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrpc.app.inputs import check_whole, find_split
from mrpc.core.data.pairs import LABEL_NAMES, SPLITS, Words, label_words
from mrpc.errors import InputError
from mrpc.recent import Recent

if TYPE_CHECKING:
    from datasets import Dataset

    from mrpc.core.data.load import LoadedData

PAGE_ROWS = 10
MAX_QUERY_CHARS = 200
NUM_BINS = 24
MAX_BIN_SHARE = 0.995
"""The longest pairs, in the last half per cent, share the last bar of the histogram."""


@dataclass(frozen=True)
class Row:
    """One row of a split.

    Attributes:
        number: its place in the split, from 0.
        sentence1: the first sentence.
        sentence2: the second.
        label: 0 or 1; -1 where it is not known.
        idx: the number that the corpus gives it.
        names: what the data calls 0 and 1.
    """

    number: int
    sentence1: str
    sentence2: str
    label: int
    idx: int
    names: tuple[str, str] = LABEL_NAMES

    @property
    def label_words(self) -> str:
        """The name of the label as people write it."""
        return self.label_name.replace("_", " ") or "no label"

    @property
    def label_name(self) -> str:
        """What the data calls its label, as "equivalent"; "" where it is not known."""
        return self.names[self.label] if self.label >= 0 else ""


@dataclass(frozen=True)
class Page:
    """Some rows of those that were asked for.

    Attributes:
        rows: at most :data:`PAGE_ROWS`.
        start: how many rows come before them.
        num_found: rows that the search and the filter leave.
        num_rows: rows of the split.
    """

    rows: list[Row]
    start: int
    num_found: int
    num_rows: int


@dataclass(frozen=True)
class SplitOverview:
    """What one split holds.

    Attributes:
        split: its name.
        label_counts: rows of label 0 and of label 1.
        bin_width: characters a bar of the histogram.
        histogram: for each label, rows in each bar; both sentences together, in characters.
        names: what the data calls 0 and 1.
    """

    split: str
    label_counts: tuple[int, int]
    bin_width: int
    histogram: tuple[list[int], list[int]]
    names: tuple[str, str] = LABEL_NAMES

    @property
    def words(self) -> Words:
        """The names of 0 and 1 as people write them."""
        return label_words(self.names)

    @property
    def share_equivalent(self) -> float:
        """Share of the labelled rows that are equivalent: how often always saying so is right."""
        return self.label_counts[1] / max(1, sum(self.label_counts))

    @property
    def bars(self) -> list[tuple[str, int, int]]:
        """The bars of the histogram: lengths in words, equivalent rows and other rows."""
        lows = [place * self.bin_width for place in range(len(self.histogram[0]))]
        spans = [f"{low:,} to {low + self.bin_width - 1:,}" for low in lows[:-1]]
        return list(zip([*spans, f"{lows[-1]:,} or more"], *self.histogram[::-1], strict=True))

    @property
    def highest(self) -> int:
        """Rows of one label in the highest bar, at least 1."""
        return max(1, *self.histogram[0], *self.histogram[1])


class Explorer:
    """Reads rows of a data set. May be used from many threads."""

    def __init__(self, read_data: Callable[[], LoadedData]) -> None:
        self._read_data = read_data
        self._overviews: Recent[SplitOverview] = Recent(len(SPLITS))

    @property
    def data(self) -> LoadedData:
        """The data set."""
        return self._read_data()

    def num_rows(self) -> dict[str, int]:
        """Return how many rows each split has."""
        return {split: len(rows) for split, rows in self._read_data().dataset.items()}

    def features(self) -> dict[str, str]:
        """Return the type of each column, as datasets prints it."""
        return {name: str(feature) for name, feature in self._split("train").features.items()}

    def row(self, split: object, number: object) -> Row:
        """Return one row.

        Raises:
            InputError: there is no such split or row.
        """
        dataset = self._split(split)
        return self._rows(dataset, [check_whole(number, "row", 0, len(dataset) - 1)])[0]

    def find(self, sentence1: object, sentence2: object) -> tuple[str, Row] | None:
        """Return the split and the row of a pair, or None where the data does not hold it."""
        if not isinstance(sentence1, str) or not isinstance(sentence2, str):
            return None
        found = self.data.find(sentence1, sentence2)
        return None if found is None else (found[0], self.row(*found))

    def page(self, split: object, query: object = "", label: object = "", start: object = 0) -> Page:
        """Return the rows that hold a text, in any case, in one of their sentences.

        Args:
            split: which split.
            query: text to look for; "" finds every row.
            label: "equivalent" for 1, "not_equivalent" for 0, whatever the data calls them, or "" for both.
            start: how many of the found rows to pass over; more than there are gives the last page.

        Raises:
            InputError: something given cannot be used.
        """
        dataset = self._split(split)
        found = self._find(dataset, _check_query(query), _check_label(label))
        num_found = len(dataset) if found is None else len(found)
        first = min(check_whole(start, "start", 0, 2**53), max(0, num_found - 1) // PAGE_ROWS * PAGE_ROWS)
        numbers = range(first, min(first + PAGE_ROWS, num_found))
        rows = self._rows(dataset, list(numbers) if found is None else [int(found[n]) for n in numbers])
        return Page(rows, first, num_found, len(dataset))

    def overview(self, split: object) -> SplitOverview:
        """Return counts and lengths of a split; computed once.

        Raises:
            InputError: there is no such split.
        """
        dataset = self._split(split)
        name = str(split)
        return self._overviews.once(name, lambda: _overview(name, _table(dataset), self.data.label_names))

    def _split(self, split: object) -> Dataset:
        return find_split(self._read_data(), split)

    def _rows(self, dataset: Dataset, numbers: list[int]) -> list[Row]:
        table, names = _table(dataset), self.data.label_names
        # A slice each: taking from many chunks at once would join them all first.
        values = ((number, table.slice(number, 1).to_pylist()[0]) for number in numbers)
        return [Row(number, **row, names=names) for number, row in values]

    def _find(self, dataset: Dataset, query: str, label: int | None) -> np.ndarray | None:
        """Return the numbers of the rows that are wanted, or None for all."""
        table = _table(dataset)
        conditions = [] if label is None else [pc.equal(table.column("label"), label)]
        if query:
            texts = (table.column(name) for name in ("sentence1", "sentence2"))
            conditions.append(pc.or_(*(pc.match_substring(text, query, ignore_case=True) for text in texts)))
        return pc.indices_nonzero(reduce(pc.and_, conditions)).to_numpy() if conditions else None


def _table(dataset: Dataset) -> pa.Table:
    table = dataset.with_format("arrow")[:]
    assert isinstance(table, pa.Table)
    return table


def _overview(split: str, table: pa.Table, names: tuple[str, str]) -> SplitOverview:
    labels = table.column("label").to_numpy()
    lengths = pc.add(
        pc.utf8_length(table.column("sentence1")), pc.utf8_length(table.column("sentence2"))
    ).to_numpy()
    long = float(np.quantile(lengths, MAX_BIN_SHARE))
    bin_width = max(1, -(-int(long + 1) // NUM_BINS))
    bins = np.minimum(lengths // bin_width, NUM_BINS - 1)
    histogram = [np.bincount(bins[labels == label], minlength=NUM_BINS).tolist() for label in (0, 1)]
    counts = np.bincount(labels[labels >= 0], minlength=2)
    return SplitOverview(
        split, (int(counts[0]), int(counts[1])), bin_width, (histogram[0], histogram[1]), names
    )


def _check_query(query: object) -> str:
    if not isinstance(query, str):
        raise InputError("The text to search for must be a string.")
    if len(query) > MAX_QUERY_CHARS:
        raise InputError(
            f"The text to search for has {len(query):,} characters; at most {MAX_QUERY_CHARS} are taken."
        )
    if any(0xD800 <= ord(character) <= 0xDFFF for character in query):
        raise InputError("The text to search for holds half of a surrogate pair. Delete it.")
    return query.strip()


def _check_label(label: object) -> int | None:
    if label == "":
        return None
    if label in LABEL_NAMES:
        return LABEL_NAMES.index(str(label))
    raise InputError(
        f"label is {str(label)[:60]!r}; it must be {' or '.join(LABEL_NAMES)}, or empty for both."
    )


def marked(sentence: str, query: str) -> list[tuple[str, bool]]:
    """Cut a sentence into pieces, each with whether it is what was searched for, in any case."""
    if not query:
        return [(sentence, False)]
    parts = re.split(f"({re.escape(query)})", sentence, flags=re.IGNORECASE)
    return [(part, place % 2 == 1) for place, part in enumerate(parts) if part]
