"""Files that are made on request for a person to take away."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    path = new_file(cache_dir, name)
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)


def new_file(parent: Path, name: str) -> Path:
    """Return the path of a file that is not there yet, in a new folder."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent, prefix="download-")) / name
