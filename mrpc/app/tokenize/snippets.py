"""The few lines of plain library code that do what a view shows; a test runs every one of them.

Each function returns code with the values of the view in it. Nothing of this project is imported by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import dedent

LOAD_DATA = 'raw_datasets = load_dataset("nyu-mll/glue", "mrpc")'


FAILING_MAP = """\
failed = rows.map(lambda batch: {"testtest": [3]}, batched=True)
"""
"""The course's failing experiment: one value for a batch of many rows."""

FIXED_MAP = """\
fixed = rows.map(
    lambda batch: {"testtest": [3] * len(batch["sentence1"])},
    batched=True,
)
"""


def inspect_pair(
    hub_name: str, sentence1: str, sentence2: str, max_length: int, truncation: str, pad_to_max: bool
) -> str:
    """Encode one pair and look at it from every side."""
    padding = '\n            padding="max_length",' if pad_to_max else ""
    return _code(
        f"""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained({_quoted(hub_name)})
        inputs = tokenizer(
            {_quoted(sentence1)},
            {_quoted(sentence2)},
            truncation={_quoted(truncation)},
            max_length={max_length},{padding}
        )
        print(inputs)
        print(tokenizer.convert_ids_to_tokens(inputs["input_ids"]))
        print(inputs.sequence_ids())  # which sentence each token came from
        print(inputs.word_ids())
        print(tokenizer.decode(inputs["input_ids"]))
        """
    )


def one_or_two(hub_name: str, sentence1: str, sentence2: str) -> str:
    """Encode two sentences alone and as a pair."""
    return _code(
        f"""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained({_quoted(hub_name)})
        first = tokenizer({_quoted(sentence1)})
        second = tokenizer({_quoted(sentence2)})
        pair = tokenizer({_quoted(sentence1)}, {_quoted(sentence2)})

        joined = first["input_ids"] + second["input_ids"]
        print(tokenizer.convert_ids_to_tokens(joined))  # a second start token in the middle
        print(tokenizer.convert_ids_to_tokens(pair["input_ids"]))
        print(pair.get("token_type_ids"))  # None where the model has no token types
        """
    )


def compare_checkpoints(hub_names: Sequence[str], sentence1: str, sentence2: str) -> str:
    """Encode one pair with several tokenizers."""
    names = "".join(f"\n            {_quoted(name)}," for name in hub_names)
    return _code(
        f"""
        from transformers import AutoTokenizer

        for checkpoint in [{names}
        ]:
            tokenizer = AutoTokenizer.from_pretrained(checkpoint)
            inputs = tokenizer({_quoted(sentence1)}, {_quoted(sentence2)})
            print(checkpoint, list(inputs), len(tokenizer), "entries")
            print(inputs.tokens())
            print(inputs.sequence_ids())  # works for every model, with token types or without
        """
    )


def explore(
    split: str,
    query: str,
    label: str,
    load: str = LOAD_DATA,
    names: Sequence[str] = ("not_equivalent", "equivalent"),
) -> str:
    """Look at the data: splits, features, a row, a search."""
    shown = [name if name.isidentifier() else _quoted(name) for name in names]
    row = 14 if load == LOAD_DATA else 0
    conditions = []
    if query:
        conditions.append(
            f'{_quoted(query.lower())} in (row["sentence1"] + "\\n" + row["sentence2"]).lower()'
        )
    if label:
        conditions.append(f'row["label"] == {int(label == "equivalent")}')
    search = ""
    if conditions:
        wanted = "\n            and ".join(conditions)
        search = f"""
        found = rows.filter(
            lambda row: {wanted}
        )
        print(len(found), found[:3])"""
    return _code(
        f"""
        from datasets import load_dataset

        {load}
        print(raw_datasets)

        rows = raw_datasets[{_quoted(split)}]
        print(rows.features)  # label is a ClassLabel: 0 is {shown[0]}, 1 is {shown[1]}
        print(rows[{row}])
        print(rows.features["label"].int2str(rows[{row}]["label"])){search}
        """
    )


def tokenize_all(hub_name: str, split: str, num_rows: int) -> str:
    """Tokenize a split in the ways of the course, with the time each takes."""
    return _code(
        f"""
        import time

        from datasets import load_dataset
        from transformers import AutoTokenizer

        {LOAD_DATA}
        rows = raw_datasets[{_quoted(split)}].select(range({num_rows}))
        tokenizer = AutoTokenizer.from_pretrained({_quoted(hub_name)})


        def tokenize_function(example):
            return tokenizer(example["sentence1"], example["sentence2"], truncation=True)


        start = time.perf_counter()
        tokenizer(list(rows["sentence1"]), list(rows["sentence2"]), truncation=True)  # all of it in memory
        print("one call", time.perf_counter() - start)

        for options in [{{}}, {{"batched": True}}, {{"batched": True, "num_proc": 2}}]:
            start = time.perf_counter()
            tokenized = rows.map(tokenize_function, load_from_cache_file=False, **options)
            print(options, time.perf_counter() - start)
        print(tokenized)
        """
    )


def pad_batch(hub_name: str, split: str, rows: Sequence[int], pad_to: str, longest_of_split: int) -> str:
    """Pad a few rows into one batch."""
    options = {
        "longest": "",
        "multiple_of_8": ", pad_to_multiple_of=8",
        "split": f', padding="max_length", max_length={longest_of_split}',
        "128": ', padding="max_length", max_length=128',
        "512": ', padding="max_length", max_length=512',
    }[pad_to]
    return _code(
        f"""
        from datasets import load_dataset
        from transformers import AutoTokenizer, DataCollatorWithPadding

        {LOAD_DATA}
        tokenizer = AutoTokenizer.from_pretrained({_quoted(hub_name)})
        data_collator = DataCollatorWithPadding(tokenizer{options})

        rows = raw_datasets[{_quoted(split)}].select({list(rows)})
        samples = rows.map(
            lambda example: tokenizer(
                example["sentence1"], example["sentence2"], truncation=True, max_length={_cut_at(pad_to)}
            ),
            batched=True,
            remove_columns=["idx", "sentence1", "sentence2"],
        )
        print([len(ids) for ids in samples["input_ids"]])

        batch = data_collator(samples[:])
        print({{key: values.shape for key, values in batch.items()}})
        """
    )


def model_input(hub_name: str, split: str, batch_size: int, seed: int) -> str:
    """Prepare a split for the model and run the first batch of a training through it."""
    return _code(
        f"""
        import torch
        from datasets import load_dataset
        from torch.utils.data import DataLoader
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

        {LOAD_DATA}
        tokenizer = AutoTokenizer.from_pretrained({_quoted(hub_name)})


        def tokenize_function(example):
            return tokenizer(example["sentence1"], example["sentence2"], truncation=True, max_length=128)


        rows = raw_datasets[{_quoted(split)}]
        permutation = torch.randperm(len(rows), generator=torch.Generator().manual_seed({seed}))
        first_rows = rows.select(permutation[:{batch_size}].tolist())

        tokenized = first_rows.map(tokenize_function, batched=True)
        tokenized = tokenized.remove_columns(["sentence1", "sentence2", "idx"])
        tokenized = tokenized.rename_column("label", "labels")
        tokenized.set_format("torch")

        loader = DataLoader(tokenized, batch_size={batch_size}, collate_fn=DataCollatorWithPadding(tokenizer))
        batch = next(iter(loader))
        print({{key: values.shape for key, values in batch.items()}})

        torch.manual_seed({seed})  # decides the new head
        model = AutoModelForSequenceClassification.from_pretrained({_quoted(hub_name)}, num_labels=2)
        outputs = model(**batch)
        print(outputs.loss, outputs.logits.shape)
        """
    )


def training_step(hub_name: str, sentence1: str, sentence2: str, learning_rate: float, seed: int) -> str:
    """Take one training step on two sentences, as the first cell of the course does."""
    return _code(
        f"""
        import torch
        from torch.optim import AdamW
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        checkpoint = {_quoted(hub_name)}
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        torch.manual_seed({seed})  # decides the new head
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
        sequences = [
            {_quoted(sentence1)},
            {_quoted(sentence2)},
        ]
        batch = tokenizer(sequences, padding=True, truncation=True, max_length=128, return_tensors="pt")
        batch["labels"] = torch.tensor([1, 1])

        optimizer = AdamW(model.parameters(), lr={learning_rate!r})
        head_before = model.classifier.weight.detach().clone()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()

        with torch.inference_mode():
            print(loss.item(), model(**batch).loss.item())
        print((model.classifier.weight - head_before).norm().item())
        """
    )


def _quoted(text: str) -> str:
    """Write a text as Python does, in double quotes: JSON's escapes are Python's too."""
    return json.dumps(text, ensure_ascii=False)


def _cut_at(pad_to: str) -> int:
    return 128 if pad_to == "128" else 512


def _code(text: str) -> str:
    return dedent(text).strip() + "\n"
