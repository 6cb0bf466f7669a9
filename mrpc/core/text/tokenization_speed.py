"""Tokenize rows in one of the ways of the course, in a process of its own that can be measured and ended.

``python -m mrpc.core.text.tokenization_speed ROWS.arrow CHECKPOINT_DIR WAY WORK_DIR`` writes JSON, one
object a line: ``{"ready": true}`` when the libraries are loaded, ``{"rows": 1000}`` for rows done since the
last such line, some ten times a second, and ``{"seconds": 1.2, "columns": [...]}`` at the end. Nothing is
cached: what is written goes to ``WORK_DIR``, which the caller removes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WAYS = ("one_call", "one_by_one", "batched", "two_processes")
TICK_S = 0.1


class _Counter:
    """Counts rows and tells about them now and then, from whichever process it finds itself in."""

    def __init__(self) -> None:
        self._rows = 0
        self._told_at = 0.0

    def add(self, rows: int) -> None:
        self._rows += rows
        if time.monotonic() - self._told_at >= TICK_S:
            self.tell()

    def tell(self) -> None:
        _say({"rows": self._rows})
        self._rows, self._told_at = 0, time.monotonic()


def _say(values: dict[str, object]) -> None:
    os.write(1, json.dumps(values).encode() + b"\n")  # one write a line: worker processes share the pipe


def _encode(
    rows: dict[str, Any], tokenizer: PreTrainedTokenizerBase, counter: _Counter, is_batch: bool
) -> dict[str, Any]:
    encoded = dict(tokenizer(rows["sentence1"], rows["sentence2"], truncation=True))
    counter.add(len(rows["sentence1"]) if is_batch else 1)
    return encoded


def run(rows_file: Path, checkpoint_dir: Path, way: str, work_dir: Path) -> dict[str, object]:
    """Tokenize every row and return the seconds it took and the columns that came out."""
    import datasets

    from mrpc.core.model.pretrained import PretrainedFiles, load_tokenizer

    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_file(str(rows_file))
    tokenizer = load_tokenizer(PretrainedFiles("", checkpoint_dir, ""))
    counter = _Counter()
    _say({"ready": True})
    start = time.perf_counter()
    if way == "one_call":
        encoded = tokenizer(list(dataset["sentence1"]), list(dataset["sentence2"]), truncation=True)
        columns = list(encoded)
        counter.add(len(dataset))
    else:
        result = dataset.map(
            partial(_encode, tokenizer=tokenizer, counter=counter, is_batch=way != "one_by_one"),
            batched=way != "one_by_one",
            num_proc=2 if way == "two_processes" else None,
            load_from_cache_file=False,
            cache_file_name=str(work_dir / f"{way}.arrow"),
            new_fingerprint=way,
        )
        columns = result.column_names
    seconds = time.perf_counter() - start
    counter.tell()
    return {"seconds": seconds, "columns": columns}


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    rows_file, checkpoint_dir, way, work_dir = arguments
    assert way in WAYS, way
    _say(run(Path(rows_file), Path(checkpoint_dir), way, Path(work_dir)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
