"""The order of an epoch, the collator and the padding report."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

from mrpc.core.text.batching import (
    CHUNK_BATCHES,
    PairCollator,
    batch_cost,
    epoch_batches,
    padded_length,
    padding_report,
)
from mrpc.errors import InputError


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    vocab = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    backend = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def test_random_order_is_three_lines_of_a_plain_script():
    generator = torch.Generator().manual_seed(42 + 1)
    permutation = torch.randperm(10, generator=generator).tolist()
    batches = [permutation[i : i + 4] for i in range(0, 10, 4)]
    assert list(epoch_batches([5] * 10, 4, "random", seed=42, epoch=1)) == batches


@given(
    lengths=st.lists(st.integers(3, 103), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    order=st.sampled_from(["random", "length"]),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_every_row_comes_once_and_one_batch_at_most_is_short(lengths, batch_size, order, seed, epoch):
    batches = list(epoch_batches(lengths, batch_size, order, seed, epoch))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    sizes = sorted(len(batch) for batch in batches)
    assert sizes[1:] == [batch_size] * (len(sizes) - 1)
    assert list(epoch_batches(lengths, batch_size, order, seed, epoch)) == batches


@pytest.mark.parametrize("order", ["random", "length"])
def test_order_differs_by_seed_and_epoch_and_leaves_the_global_state_alone(order):
    lengths = list(range(3, 103)) * 3
    state = torch.get_rng_state()
    first = list(epoch_batches(lengths, 8, order, seed=1, epoch=0))
    assert first != list(epoch_batches(lengths, 8, order, seed=1, epoch=1))
    assert first != list(epoch_batches(lengths, 8, order, seed=2, epoch=0))
    assert torch.equal(state, torch.get_rng_state())


def sort_all_at_once(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The order by length as one sort over all rows: what runs of 0.4.1 trained on."""
    generator = torch.Generator().manual_seed(seed + epoch)
    shuffled = torch.randperm(len(lengths), generator=generator).numpy()
    chunk_of = np.arange(len(lengths)) // (CHUNK_BATCHES * batch_size)
    rows = shuffled[np.lexsort((lengths[shuffled], chunk_of))].tolist()
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[number] for number in torch.randperm(len(batches), generator=generator).tolist()]


@pytest.mark.parametrize("num_rows", [1, 7, 400, 1999, 3668])
def test_length_order_is_that_of_one_sort_and_asks_for_few_lengths(num_rows):
    lengths = np.random.default_rng(1).integers(10, 40, num_rows)
    asked: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return num_rows

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            asked.extend(rows.tolist())
            return lengths[rows]

    batches = epoch_batches(Counted(), 8, "length", seed=3, epoch=2)
    assert asked == []
    assert batches[0] == sort_all_at_once(lengths, 8, 3, 2)[0]
    assert len(asked) <= CHUNK_BATCHES * 8
    assert list(batches[1:]) == sort_all_at_once(lengths, 8, 3, 2)[1:]
    assert sorted(asked) == list(range(num_rows))  # each once


def test_length_order_pads_little_and_still_shuffles():
    lengths = np.random.default_rng(0).normal(53, 14, 4000).clip(10, 103).astype(int)
    random = padding_report(lengths, epoch_batches(lengths, 16, "random", 0, 0))
    grouped_batches = epoch_batches(lengths, 16, "length", 0, 0)
    grouped = padding_report(lengths, grouped_batches)
    assert grouped.num_real_tokens == random.num_real_tokens == lengths.sum()
    assert random.ratio > 1.3
    assert grouped.ratio < 1.03
    longest = [lengths[batch].max() for batch in grouped_batches]
    assert (
        abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.25
    )  # batches come in no order of length
    together = {frozenset(batch) for batch in grouped_batches}
    assert not together & {frozenset(batch) for batch in epoch_batches(lengths, 16, "length", 0, 1)}


def test_collator_does_what_the_data_collator_does(tokenizer):
    features = [
        {"input_ids": [2, 7, 3], "attention_mask": [1, 1, 1], "label": 1},
        {"input_ids": [2, 7, 8, 9, 3], "attention_mask": [1] * 5, "label": 0},
    ]
    batch = PairCollator(tokenizer)(features)
    expected = DataCollatorWithPadding(tokenizer)([dict(feature) for feature in features])
    assert batch.keys() == expected.keys() == {"input_ids", "attention_mask", "labels"}
    for key in batch:
        assert torch.equal(batch[key], expected[key])
        assert batch[key].dtype == torch.int64
    assert batch["input_ids"].tolist() == [[2, 7, 3, 0, 0], [2, 7, 8, 9, 3]]
    assert batch["attention_mask"][0].tolist() == [1, 1, 1, 0, 0]
    assert features[0]["label"] == 1  # what was given is left as it was


def test_collator_pads_to_a_fixed_length_or_a_multiple(tokenizer):
    features = [{"input_ids": [2] * 5, "attention_mask": [1] * 5}]
    assert PairCollator(tokenizer, pad_to=12)(features)["input_ids"].shape == (1, 12)
    assert PairCollator(tokenizer, pad_to_multiple_of=8)(features)["input_ids"].shape == (1, 8)
    with pytest.raises(InputError, match="5 tokens"):
        PairCollator(tokenizer, pad_to=4)(features)


def test_report_counts_what_the_collator_builds(tokenizer):
    lengths = [3, 9, 4, 7, 5]
    batches = [[0, 1], [2, 3], [4]]
    for pad_to, multiple in (("longest", None), ("longest", 8), (16, None)):
        collator = PairCollator(tokenizer, pad_to, multiple)
        shapes = [
            collator([{"input_ids": [2] * lengths[row]} for row in batch])["input_ids"].shape
            for batch in batches
        ]
        report = padding_report(lengths, batches, pad_to, multiple)
        assert report.num_positions == sum(pairs * length for pairs, length in shapes)
        assert report.longest == max(length for _, length in shapes)
        assert report.num_real_tokens == sum(lengths)
        assert report.num_batches == 3
        assert report.cost == pytest.approx(sum(batch_cost(pairs, length) for pairs, length in shapes))


def test_rows_longer_than_a_fixed_length_count_as_cut():
    report = padding_report([10, 4], [[0, 1]], pad_to=6)
    assert (report.num_real_tokens, report.num_positions, report.padding_share) == (
        10,
        12,
        pytest.approx(1 / 6),
    )


def test_padded_length_and_cost():
    assert [padded_length(67), padded_length(67, 128), padded_length(67, "longest", 8)] == [67, 128, 72]
    assert batch_cost(8, 512) / batch_cost(8, 128) == pytest.approx(4 * (1 + 512 / 2304) / (1 + 128 / 2304))


def test_padding_of_mrpc(mrpc_data_dir):
    from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
    from mrpc.core.text.tokenization import encode_pairs, encoded_lengths

    lines = (mrpc_data_dir / "train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    encoded = encode_pairs(
        load_tokenizer(resolve_pretrained()),
        [row["sentence1"] for row in rows],
        [row["sentence2"] for row in rows],
    )
    lengths = encoded_lengths(encoded)
    assert lengths[:8] == [50, 59, 47, 67, 59, 50, 62, 32]  # the course's figures
    assert np.mean(lengths) == pytest.approx(53.24, abs=0.01)

    def ratio(batch_size, order, pad_to="longest"):
        return padding_report(lengths, epoch_batches(lengths, batch_size, order, 42, 0), pad_to).ratio

    assert ratio(8, "random") == pytest.approx(1.35, abs=0.02)
    assert ratio(16, "random") == pytest.approx(1.42, abs=0.02)
    assert ratio(16, "length") == pytest.approx(1.02, abs=0.01)
    assert ratio(16, "random", 128) == pytest.approx(2.40, abs=0.01)
