"""Small tokenizers of the main families, as checkpoint folders without weights: all of it works offline.

The byte-level vocabularies know every byte and some merges, so every text can be encoded.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from tests.tiny import tiny_vocabulary

FAMILIES = ("bert", "distilbert", "roberta", "modernbert")
WORDS = ("the", "this", "This", "is", "first", "second", "sentence", "one", "roads", "closed")


def make_family(directory: Path, family: str) -> Path:
    """Write a checkpoint folder of one of :data:`FAMILIES` and return it."""
    folder = directory / f"tiny-{family}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": family, "hidden_size": 32}))
    {"bert": _bert, "distilbert": _distilbert, "roberta": _roberta, "modernbert": _modernbert}[family](folder)
    return folder


def _bert(folder: Path) -> None:
    BertTokenizer(vocab=tiny_vocabulary(), do_lower_case=True, model_max_length=512).save_pretrained(folder)


def _distilbert(folder: Path) -> None:
    # As its repository on the Hub: BERT's files, and a tokenizer_config.json that names no class.
    _bert(folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 512}')


def _roberta(folder: Path) -> None:
    vocabulary, merges = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=512).save_pretrained(folder)


def _modernbert(folder: Path) -> None:
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    vocabulary, merges = _byte_level(special)
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in special])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=8192,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("cls", "pad", "sep", "unk", "mask")},
    ).save_pretrained(folder)


def _byte_level(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return a vocabulary of all bytes and of some words, and the merges that make these words."""
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in WORDS:
        for text in (word, f"Ġ{word}"):
            for end in range(2, len(text) + 1):
                if text[:end] not in tokens:
                    merges.append((text[: end - 1], text[end - 1]))
                    tokens.append(text[:end])
    return {token: number for number, token in enumerate(tokens)}, merges
