"""Vectors that are kept on disk; a file that is not there or not whole counts as none."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np


def read_vectors(path: Path, num: int) -> np.ndarray | None:
    """Return float32 [num, H], or None when the file is missing, torn, or of another length."""
    try:
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == num else None


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write vectors beside the file and move them over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{threading.get_ident()}.npy")
    np.save(beside, vectors)
    beside.replace(path)
