"""Batches as grids and the padding of a split."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.tokenize.batch import PAD_TO, Padding, parse_rows
from mrpc.core.data.load import load_data
from mrpc.errors import InputError
from tests.tokenizer_families import make_family


@pytest.fixture(scope="module")
def padding(tiny_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Padding:
    data = load_data("folder", tiny_data_dir)
    roberta = make_family(tmp_path_factory.mktemp("families"), "roberta")
    return Padding(lambda: data, CheckpointShelf((roberta,)))


@pytest.mark.parametrize("pad_to", PAD_TO)
def test_segments_fill_every_row_of_the_batch(padding, pad_to):
    batch = padding.batch("train", "0-7", "", pad_to)
    assert batch.length == batch.lengths_by_choice[pad_to]
    assert batch.shapes["input_ids"] == batch.shapes["attention_mask"] == (8, batch.length)
    assert batch.shapes["labels"] == (8,)
    for row in batch.rows:
        assert sum(num for _, num in row.segments) == batch.length
        assert sum(num for kind, num in row.segments if kind != "pad") == row.num_tokens
        kinds = [kind for kind, _ in row.segments if kind != "pad"]
        assert kinds == ["special", "s1", "special", "s2", "special"]
    assert batch.num_real_tokens == sum(row.num_tokens for row in batch.rows)
    assert batch.lengths_by_choice["multiple_of_8"] % 8 == 0


def test_a_model_without_token_types_is_drawn_by_sentence_too(padding):
    batch = padding.batch("train", "0 1", "local:tiny-roberta")
    assert "token_type_ids" not in batch.shapes
    assert [kind for kind, _ in batch.rows[0].segments][:5] == ["special", "s1", "special", "s2", "special"]


def test_strategies_come_from_the_sampler_of_the_training(padding):
    report = padding.report("train", batch_size=4)
    random, random8, grouped, grouped8, longest, to128, to512 = report.strategies.values()
    assert {found.num_real_tokens for found in report.strategies.values()} == {
        int(padding.lengths("train").sum())
    }
    assert grouped.ratio < random.ratio < longest.ratio < to128.ratio < to512.ratio
    assert random.num_positions < random8.num_positions
    assert grouped.num_positions < grouped8.num_positions
    assert longest.longest == report.longest
    assert to512.cost > 4 * to128.cost  # attention makes a long position dearer
    assert report.num_rows == report.num_rows_of_split == 64


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-7", list(range(8))), ("3, 5;21", [3, 5, 21]), (" 4 ", [4]), ("2–3 9", [2, 3, 9]), ("7 7", [7, 7])],
)
def test_row_numbers_are_read(text, numbers):
    assert parse_rows(text, 64) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Choose 1 to 16 rows"),
        ("a", "hold 'a'"),
        ("-3", "hold '-3'"),
        ("0-99", "Choose 1 to 16 rows"),
        ("5-3", "Choose 1 to 16 rows"),
        ("63-64", "row is '64'; it must be a whole number from 0 to 63"),
        ("1," * 40, "Choose 1 to 16 rows"),
        ("999999999999", "hold '999999999999'"),
        ("٣", "hold"),
        (None, "Choose 1 to 16 rows"),
        (7, "Choose 1 to 16 rows"),
    ],
)
def test_row_numbers_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_rows(text, 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "dev"}, "split is 'dev'"),
        ({"checkpoint": "x"}, "it must be one of"),
        ({"pad_to": "64"}, "padding is '64'"),
    ],
)
def test_what_cannot_be_used_is_refused(padding, given, message):
    with pytest.raises(InputError, match=message):
        padding.batch(**({"split": "train", "rows": "0-7"} | given))
    with pytest.raises(InputError, match="batch size is '0'"):
        padding.report("train", batch_size=0)


def test_rows_are_drawn_from_the_split(padding):
    rows = padding.draw_rows("test", 8)
    assert len(set(rows)) == 8
    assert set(rows) <= set(range(16))
    assert len(padding.draw_rows("test", 99)) == 16


def test_the_batch_and_the_report_of_the_course(mrpc_data_dir):
    data = load_data("folder", mrpc_data_dir)
    padding = Padding(lambda: data, CheckpointShelf())
    padding.lengths("test")  # the tokenizer is loaded
    report = padding.report("train", batch_size=8)
    batch = padding.batch("train", "0-7")
    assert [row.num_tokens for row in batch.rows] == [50, 59, 47, 67, 59, 50, 62, 32]
    assert batch.shapes == {
        "input_ids": (8, 67),
        "token_type_ids": (8, 67),
        "attention_mask": (8, 67),
        "labels": (8,),
    }
    assert batch.lengths_by_choice == {
        "longest": 67,
        "multiple_of_8": 72,
        "split": 103,
        "128": 128,
        "512": 512,
    }
    ratios = [found.ratio for found in report.strategies.values()]
    assert ratios[0] == pytest.approx(1.35, abs=0.02)
    assert ratios[2] == pytest.approx(1.015, abs=0.01)
    assert ratios[5] == pytest.approx(2.40, abs=0.01)
    assert report.mean_length == pytest.approx(53.24, abs=0.01)
