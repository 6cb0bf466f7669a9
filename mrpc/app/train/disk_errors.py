"""A disk that is full, read-only or away, told to a person in words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mrpc.errors import UnavailableError

ADVICE = {
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some space.",
    errno.EROFS: "Make the runs folder writable, or choose another with --runs-dir.",
    errno.EACCES: "Make the runs folder writable, or choose another with --runs-dir.",
    errno.EPERM: "Make the runs folder writable, or choose another with --runs-dir.",
}


@contextmanager
def disk_trouble_in_words() -> Iterator[None]:
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
