"""Vectors that are kept on disk; a file that is not there or not whole counts as none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mrpc.files import open_regular, replacing


def read_vectors(path: Path, num: int) -> np.ndarray | None:
    """Return float32 [num, H], or None when the file is missing, torn, or of another length."""
    try:
        with open_regular(path) as file:
            vectors: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == num else None


def write_vectors(path: Path, vectors: np.ndarray) -> None:
    """Write vectors, whole or not at all."""
    with replacing(path) as file:
        np.save(file, vectors)
