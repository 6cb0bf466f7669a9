"""Files that are never seen half written, that somebody else may have put there, or that a person takes away.

A folder of runs may be shared, copied or unpacked from an archive, so a name in it may be a link, a pipe or a
file of any size. Imports the standard library, pydantic and :mod:`mrpc.errors` alone.
"""

from __future__ import annotations

import atexit
import csv
import ctypes
import errno
import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from mrpc.errors import UnavailableError

PROJECT_DIR = Path(__file__).resolve().parent.parent
"""The folder of this project: from there its processes are started."""

MAX_SMALL_BYTES = 1_000_000
"""The largest file that :func:`read_small` reads, unless it is told otherwise."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Model = TypeVar("Model", bound=BaseModel)


# ---------------------------------------------------------------- read


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, and nothing else: no link, pipe, device or folder.

    Raises:
        FileNotFoundError: when there is no regular file of that name.
        OSError: when it may not be read.
    """
    if path.is_symlink():  # Windows has no O_NOFOLLOW
        raise FileNotFoundError(errno.ENOENT, "a link, which is not followed", str(path))
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # a pipe would wait for its writer
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_small(path: Path, max_bytes: int = MAX_SMALL_BYTES) -> bytes | None:
    """Return the content of a small regular file; None when it is missing, unreadable, or too large."""
    try:
        with open_regular(path) as file:
            content = file.read(max_bytes + 1)
    except OSError:
        return None
    return content if len(content) <= max_bytes else None


def read_tail(path: Path, num_bytes: int) -> bytes:
    """Return the last bytes of a regular file; nothing when it is missing or unreadable."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - num_bytes))
            return file.read(num_bytes)
    except OSError:
        return b""


def copy_regular(files: Mapping[str, Path], folder: Path) -> None:
    """Copy regular files into a folder, under the names that are given; "a/b" is b in the folder a.

    Raises:
        FileNotFoundError: one is missing, or is a link.
    """
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(source) as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy)


def hash_file(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_model(path: Path, model: type[Model]) -> Model | None:
    """Read a small JSON file as a pydantic model; None when it cannot be read or does not fit the model."""
    content = read_small(path)
    try:
        return None if content is None else model.model_validate_json(content)
    except ValidationError:
        return None


# ---------------------------------------------------------------- write


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``path`` in one step when the block ends.

    It is written beside ``path`` and synced first. After an error it is deleted, and ``path`` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of a file in one step."""
    with replacing(path) as file:
        file.write(content)


def write_model(path: Path, model: BaseModel) -> None:
    """Replace a JSON file with a pydantic model in one step."""
    write_bytes(path, model.model_dump_json(indent=2).encode() + b"\n")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Make a new folder that takes the place of ``folder``, complete or not at all, when the block ends.

    It is filled beside ``folder``, its files are synced, and then it is moved. After an error it is deleted.
    A killed process leaves it behind; its name starts with a dot and that of ``folder``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        beside.chmod(0o755)
        yield beside
        for path in beside.iterdir():
            path.chmod(0o644)
            sync(path)
        sync(beside)
        _move_over(beside, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk. Windows syncs no folders, and needs no telling."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows wants it writable
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_over(new: Path, folder: Path) -> None:
    """Put ``new`` in the place of ``folder``; what was there ends up at ``new``."""
    if not folder.exists():
        new.rename(folder)
    elif not _exchange(new, folder):
        old = new.with_name(new.name + ".old")
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can (Linux), so that a reader never finds none."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    at_cwd, rename_exchange = -100, 2
    return renameat2 is not None and not renameat2(
        at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), rename_exchange
    )


ADVICE = {
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some space.",
    errno.EROFS: "Make the runs folder writable, or choose another with --runs-dir.",
    errno.EACCES: "Make the runs folder writable, or choose another with --runs-dir.",
    errno.EPERM: "Make the runs folder writable, or choose another with --runs-dir.",
}


@contextmanager
def disk_errors_explained() -> Iterator[None]:
    """Say what the operating system did not let us do; also a decorator of a function.

    Raises:
        UnavailableError: instead of the ``OSError``.
    """
    try:
        yield
    except OSError as error:
        what = error.strerror or type(error).__name__
        where = f" ({error.filename})" if error.filename else ""
        advice = ADVICE.get(error.errno or 0, "Try again.")
        raise UnavailableError(f"The runs folder cannot be used: {what}{where}. {advice}") from error


@cache
def scratch_dir() -> Path:
    """Return an empty folder that is removed when the interpreter ends."""
    path = Path(tempfile.mkdtemp(prefix="mrpc-lab-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


# ---------------------------------------------------------------- take away


def new_file(parent: Path, name: str) -> Path:
    """Return the path of a file that is not there yet, in a new folder."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent, prefix="download-")) / name


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    path = new_file(cache_dir, name)
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV text. A text cell that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe_cell(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return "" if cell is None else cell
