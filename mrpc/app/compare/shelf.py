"""The data that runs were trained on, and whether two sides saw the same rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mrpc.app.compare.sides import Both, Side
from mrpc.errors import DataError, InputError
from mrpc.runs.layout import DataRef

if TYPE_CHECKING:
    from mrpc.core.data.load import LoadedData

COMPARED_SPLITS = ("validation", "test")


class DataShelf:
    """The data of runs: the app's own where it is the same, else loaded as the run names it."""

    def __init__(self, app_data: Callable[[], LoadedData]) -> None:
        self._app_data = app_data
        self._other: tuple[str, LoadedData] | None = None
        self._labels: tuple[str, dict[tuple[str, str], int]] | None = None
        self._lock = threading.Lock()

    def get(self, ref: DataRef | None) -> LoadedData:
        """Return the data of a run; the app's own for None.

        Raises:
            DataError: when the rows changed since the run.
            UnavailableError: when they cannot be had now.
        """
        data = self._app_data()
        if ref is None or data.fingerprint == ref.fingerprint:
            return data
        with self._lock:
            if self._other is None or self._other[0] != ref.fingerprint:
                from mrpc.core.data.load import load_again

                data = load_again(ref.kind, ref.data_dir, ref.columns, ref.fingerprint)
                self._other = (ref.fingerprint, data)
            return self._other[1]

    def labels(self, ref: DataRef | None) -> dict[tuple[str, str], int]:
        """Return the label of each pair of the data, all splits together."""
        data = self.get(ref)
        with self._lock:
            if self._labels is None or self._labels[0] != data.fingerprint:
                found = {}
                for split in data.dataset.values():
                    rows = zip(split["sentence1"], split["sentence2"], split["label"], strict=True)
                    found.update({(one, other): label for one, other, label in rows if label in (0, 1)})
                self._labels = data.fingerprint, found
            return self._labels[1]


def check_split(split: object) -> str:
    """Return the name of a split that can be compared.

    Raises:
        InputError: for any other name.
    """
    if split not in COMPARED_SPLITS:
        raise InputError(f"The split is {str(split)[:40]!r}; it must be {' or '.join(COMPARED_SPLITS)}.")
    assert isinstance(split, str)
    return split


def check_same_split(sides: Both[Side], split: str) -> None:
    """Refuse two sides whose runs had different rows in this split.

    Raises:
        DataError: naming both fingerprints.
    """
    known = [side.data for side in sides if side.data is not None]
    if len(known) < 2:
        return
    fingerprints = [data.split_fingerprint(split) for data in known]
    if fingerprints[0] != fingerprints[1]:
        first, second = sides.map(lambda side: side.name)
        raise DataError(
            f"{first} and {second} were trained on different data: their {split} splits differ "
            f"(fingerprints {fingerprints[0]} and {fingerprints[1]}), so their scores cannot be compared."
        )
