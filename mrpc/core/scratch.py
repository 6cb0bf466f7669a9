"""A folder of this process alone, for what has no better place; gone when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def scratch_dir() -> Path:
    """Return an empty folder that is removed when the interpreter ends."""
    path = Path(tempfile.mkdtemp(prefix="mrpc-lab-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
