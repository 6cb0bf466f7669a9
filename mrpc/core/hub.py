"""What is asked of the Hugging Face Hub: whether it answers, which files there are, and the files.

Nothing here hangs: every question has a deadline over all, kept even when a server accepts and never answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrpc.errors import UnavailableError


@dataclass(frozen=True)
class DatasetDownload:
    """The files of ``nyu-mll/glue``, configuration ``mrpc``, on this machine.

    Attributes:
        files: one Parquet file a split.
        reason: where they came from, in words.
    """

    files: dict[str, Path]
    reason: str


def download_dataset() -> DatasetDownload:
    """Return the files of the corpus from the Hub or from this machine's cache of it.

    Raises:
        UnavailableError: it does not answer in time, or a download broke.
    """
    raise UnavailableError("the Hub is not asked yet.")


def download_checkpoint(repo_id: str, weights: bool) -> Path:
    """Return a folder with the files of a repository.

    Raises:
        UnavailableError: the Hub does not answer in time, has no safetensors, or a download broke.
    """
    raise UnavailableError(f"{repo_id}: the Hub is not asked yet.")
