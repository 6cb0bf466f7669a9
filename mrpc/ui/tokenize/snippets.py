"""The few lines of plain library code that do what a view shows; a test runs every one of them.

Each function returns code with the values of the view in it. Nothing of this project is imported by it.
"""

from __future__ import annotations

from textwrap import dedent

BERT = "google-bert/bert-base-uncased"


def inspect_pair(hub_name: str, sentence1: str, sentence2: str, max_length: int, truncation: str) -> str:
    """Encode one pair and look at it from every side."""
    return _code(
        f"""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained({hub_name!r})
        inputs = tokenizer(
            {sentence1!r},
            {sentence2!r},
            truncation={truncation!r},
            max_length={max_length},
        )
        print(inputs)
        print(tokenizer.convert_ids_to_tokens(inputs["input_ids"]))
        print(inputs.sequence_ids())  # which sentence each token came from
        print(inputs.word_ids())
        print(tokenizer.decode(inputs["input_ids"]))
        """
    )


def _code(text: str) -> str:
    return dedent(text).strip() + "\n"
