"""The data that runs were trained on, and whether two sides saw the same rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mrpc.app.compare.sides import Side
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
                from mrpc.core.data.load import load_data

                data = load_data(ref.kind, ref.data_dir, ref.columns)
                if data.fingerprint != ref.fingerprint:
                    raise DataError(
                        f"The data of this run ({ref.data_dir or ref.kind}) changed since: fingerprint "
                        f"{data.fingerprint}, then {ref.fingerprint}. Put the old rows back."
                    )
                self._other = (ref.fingerprint, data)
            return self._other[1]


def check_split(split: object) -> str:
    """Return the name of a split that can be compared.

    Raises:
        InputError: for any other name.
    """
    if split not in COMPARED_SPLITS:
        raise InputError(f"The split is {str(split)[:40]!r}; it must be {' or '.join(COMPARED_SPLITS)}.")
    assert isinstance(split, str)
    return split


def check_same_split(left: Side, right: Side, split: str) -> None:
    """Refuse two sides whose runs had different rows in this split.

    Raises:
        DataError: naming both fingerprints.
    """
    if left.data is None or right.data is None:
        return
    fingerprints = [split_fingerprint(data, split) for data in (left.data, right.data)]
    if fingerprints[0] != fingerprints[1]:
        raise DataError(
            f"{left.name} and {right.name} were trained on different data: their {split} splits differ "
            f"(fingerprints {fingerprints[0]} and {fingerprints[1]}), so their scores cannot be compared."
        )


def split_fingerprint(data: DataRef, split: str) -> str:
    """Return the fingerprint of a split's rows, or of all rows where a run recorded no other."""
    return data.split_fingerprints.get(split, data.fingerprint)
