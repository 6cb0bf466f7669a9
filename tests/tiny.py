"""A vocabulary and sentence pairs small enough to read, for the tiny BERT of ``conftest.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NOUNS = [
    *("city", "town", "mayor", "company", "police", "bank", "storm", "river", "bridge", "train", "ship"),
    *("school", "union", "court", "judge", "strike", "vote", "price", "team", "match", "fire", "road"),
]
_OTHERS = """
the a an in on at of to and or not no is was were will has had said that this it he she they from for with by
after before than more less first second sentence roads closed opened sold bought won lost rose fell left came
"""


def tiny_vocabulary() -> dict[str, int]:
    """Return a WordPiece vocabulary of whole words, letters, digits and punctuation."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    marks = ".,'\"-?!$%:;()"
    continuations = [f"##{letter}" for letter in letters]
    pieces = [*SPECIAL_TOKENS, *letters, *continuations, *marks, *NUMBERS, *NOUNS, *_OTHERS.split()]
    return {token: number for number, token in enumerate(dict.fromkeys(pieces))}


def tiny_rows(num: int, start: int = 0) -> list[dict[str, Any]]:
    """Return pairs of different lengths in the words of the vocabulary; every second one is equivalent."""
    rows = []
    for idx in range(start, start + num):
        subject, place = NOUNS[idx % 22], NOUNS[(idx * 7 + 3) % 22]
        tail = " after the storm" * (idx % 4)
        closed, said = NUMBERS[idx % 10], NUMBERS[idx % 10 if idx % 2 else (idx + 3) % 10]
        rows.append(
            {
                "sentence1": f"The {subject} of the {place} closed {closed} roads{tail}.",
                "sentence2": f"{said} roads were closed by the {subject} of the {place}{tail}.",
                "label": idx % 2,
                "idx": idx,
            }
        )
    return rows


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_tiny_data(directory: Path, num_train: int = 64) -> Path:
    """Write a folder of 64 (or more), 16 and 16 pairs and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    write_jsonl(directory / "train.jsonl", tiny_rows(num_train))
    write_jsonl(directory / "validation.jsonl", tiny_rows(16, start=num_train))
    write_jsonl(directory / "test.jsonl", tiny_rows(16, start=num_train + 16))
    return directory


def write_checkpoint_stub(
    directory: Path, num_layers: int = 2, width: int = 32, vocabulary: int = 100
) -> Path:
    """Write a folder that looks like a checkpoint of ``vocabulary * width`` parameters, in no time."""
    directory.mkdir(parents=True)
    config = {"model_type": "bert", "num_hidden_layers": num_layers, "hidden_size": width}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text("{}")
    tensor = {"dtype": "F32", "shape": [vocabulary, width], "data_offsets": [0, 4 * vocabulary * width]}
    head = json.dumps({"__metadata__": {"format": "pt"}, "words": tensor}).encode()
    weights = len(head).to_bytes(8, "little") + head + bytes(4 * vocabulary * width)
    (directory / "model.safetensors").write_bytes(weights)
    return directory


def write_tiny_checkpoint(directory: Path) -> Path:
    """Write a BERT of 2 layers, 32 wide, without a classification head, and return its folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    vocabulary = tiny_vocabulary()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(directory)
    BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=512).save_pretrained(directory)
    return directory


def folder_sha256(folder: Path) -> str:
    """Return the hash of the weights in a folder, as :func:`weights_sha256` gives it for a model."""
    from safetensors.torch import load_file  # heavy: conftest.py imports this module first

    from mrpc.core.model.checkpoint_folder import weights_sha256

    return weights_sha256(load_file(folder / "model.safetensors"))
