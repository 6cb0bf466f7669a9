"""Pairs that a person brings through the page: read, kept beside the runs, and found again.

A data set goes by a name: that of its folder in ``RUNS_DIR/.data``, a hash of its rows. The empty name is the
data that the app was started with. Names, files and columns come from a browser: all are checked here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.recent import Recent
from mrpc.runs.layout import DataRef
from mrpc.runs.store import RunStore

if TYPE_CHECKING:
    from mrpc.core.data.load import LoadedData

NAME_PATTERN = re.compile(r"[0-9a-f]{16}(-[0-9a-f]{8})?")
MAX_FILES = 12
MAX_LISTED = 50
MAX_COLUMNS_CHARS = 200
MAX_OPEN = 4
"""Data sets that stay open; their rows are mapped into memory, not read."""


class OwnData:
    """The data sets that were brought, of one runs folder. May be used from many threads."""

    def __init__(self, store: RunStore, app_data: Callable[[], LoadedData]) -> None:
        self._store = store
        self._app_data = app_data
        self._open: Recent[LoadedData] = Recent(MAX_OPEN)

    def keep(self, paths: object, columns: object = "") -> str:
        """Read files that were uploaded, keep their rows, and return the name of the data set.

        Args:
            paths: one file, or one a split, where the browser's upload put them.
            columns: names of the columns of both sentences and of the label, with commas; "" for the usual.

        Raises:
            InputError: there is no file, or there are too many.
            DataError: the rows cannot be used; names the file and the line, and what was found there.
            UnavailableError: they cannot be kept.
        """
        from mrpc.core.data.columns import parse_columns
        from mrpc.core.data.load import store_dataset
        from mrpc.core.data.read import UPLOAD_LIMITS

        files = [Path(path) for path in paths if isinstance(path, str)] if isinstance(paths, list) else []
        if not files:
            raise InputError("There is no file yet. Choose one, or one for each split.")
        if len(files) > MAX_FILES:
            raise InputError(f"These are {len(files)} files; at most {MAX_FILES} are taken.")
        if len({file.name.lower() for file in files}) < len(files):
            raise InputError("Two of the files have one name. Name them train, validation and test.")
        if not isinstance(columns, str) or len(columns) > MAX_COLUMNS_CHARS:
            raise InputError(f"The columns are at most {MAX_COLUMNS_CHARS} characters of text.")
        wanted = parse_columns(columns) if columns.strip() else None
        try:
            self._store.remove_unused_data()
            with tempfile.TemporaryDirectory() as gathered:
                for file in files:
                    shutil.copyfile(file, Path(gathered) / file.name)
                source = Path(gathered) if len(files) > 1 else Path(gathered) / files[0].name
                name = _printable(", ".join(file.name for file in files))
                try:
                    kept = store_dataset(source, self._store.data_dir, wanted, UPLOAD_LIMITS, name)
                except DataError as error:  # a person knows the file, not where it lies here
                    said = str(error).replace(f"{gathered}{os.sep}", "").replace(gathered, "The upload")
                    raise DataError(said) from None
        except OSError as error:
            raise UnavailableError(f"The file cannot be kept: {error.strerror or error}.") from None
        assert kept.data_dir is not None
        self._open.forget(kept.data_dir.name)
        return kept.data_dir.name

    def get(self, name: object) -> LoadedData:
        """Return a data set; the app's own for "" or None.

        Raises:
            InputError: nothing of that name was kept.
            DataError: it changed since.
        """
        if name is None or name == "":
            return self._app_data()
        folder = self._folder(name)

        def load() -> LoadedData:
            from mrpc.core.data.load import load_data

            return load_data("folder", folder)

        return self._open.once(folder.name, load)

    def ref(self, name: object) -> DataRef | None:
        """Return what a run on this data set writes down; None for the data of the app.

        Raises:
            InputError, DataError: as for :meth:`get`.
        """
        return DataRef.model_validate(self.get(name)) if name else None

    def name_of(self, ref: DataRef) -> str:
        """Return the name under which a run's data set was kept; "" for any other data."""
        folder = ref.data_dir
        return folder.name if folder is not None and folder.parent == self._store.data_dir.absolute() else ""

    def choices(self) -> list[tuple[str, str]]:
        """Return (what people call it, name): the data of the app, then what was kept, the newest first."""
        from mrpc.core.data.report import read_report

        found = []
        for folder in _newest(self._store.data_dir):
            report = read_report(folder / "report.json")
            if report is not None:
                num = sum(split.num_pairs for split in report.splits.values())
                found.append((f"{_printable(report.name)} ({num:,} pairs)", folder.name))
        return [(f"{self._app_data().name} (the data of this app)", ""), *found[:MAX_LISTED]]

    def _folder(self, name: object) -> Path:
        folder = self._store.data_dir.absolute() / str(name)
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name) or not folder.is_dir():
            raise InputError(f"There is no data set {str(name)[:40]!r} here. Choose its file again.")
        return folder


def _newest(folder: Path) -> list[Path]:
    """Return the folders of data sets, the one that was kept last first."""
    try:
        found = [path for path in folder.iterdir() if NAME_PATTERN.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:  # there is none yet
        return []


def _printable(name: str) -> str:
    return "".join(character for character in name if character.isprintable())
