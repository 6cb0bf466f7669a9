"""Files that a visitor takes home."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=cache_dir, prefix="compare-")) / name
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)
