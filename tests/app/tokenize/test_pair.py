"""Pairs as tokenizers see them: every family, truncation, odd input and threads."""

from __future__ import annotations

import itertools
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.tokenize.pair import Inspection
from mrpc.config import DEFAULT_CHECKPOINT
from mrpc.core.data.load import load_data
from mrpc.errors import ConfigError, InputError, PairError
from tests.tokenizer_families import FAMILIES, make_family

FIRST, SECOND = "This is the first sentence.", "This is the second one."


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    directory = tmp_path_factory.mktemp("families")
    folders = tuple(make_family(directory, family) for family in FAMILIES)
    return Inspection(CheckpointShelf(folders))


def test_the_course_pair(inspection):
    answer = inspection.inspect_pair(FIRST, SECOND).as_json()
    assert answer == {
        "checkpoint": DEFAULT_CHECKPOINT,
        "tokens": [
            *("[CLS]", "this", "is", "the", "first", "sentence", ".", "[SEP]"),
            *("this", "is", "the", "second", "one", ".", "[SEP]"),
        ],
        "input_ids": [
            *(101, 2023, 2003, 1996, 2034, 6251, 1012, 102),
            *(2023, 2003, 1996, 2117, 2028, 1012, 102),
        ],
        "token_type_ids": [0] * 8 + [1] * 7,
        "attention_mask": [1] * 15,
        "sequence_ids": [None, *[0] * 6, None, *[1] * 6, None],
        "num_truncated": 0,
    }
    json.dumps(answer)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_tells_the_sentences_apart(inspection, family):
    found = inspection.inspect_pair(FIRST, SECOND, f"local:tiny-{family}")
    assert found.uses_token_type_ids == (family == "bert")
    assert ("token_type_ids" in found.raw) == (family == "bert")
    assert (found.as_json()["token_type_ids"] is None) == (family != "bert")
    for number, sentence in enumerate((FIRST, SECOND)):
        rows = [row for row in found.rows if row.sequence_id == number]
        words = [sentence[row.start : row.end].lower() for row in rows if not row.is_continuation]
        assert words[0] == "this"
        assert rows[-1].end == len(sentence)
        assert all(row.token_type_id == (number if family == "bert" else None) for row in rows)
    separators = [row.token for row in found.rows if row.is_special]
    assert (
        separators
        == {
            "bert": ["[CLS]", "[SEP]", "[SEP]"],
            "distilbert": ["[CLS]", "[SEP]", "[SEP]"],
            "roberta": ["<s>", "</s>", "</s>", "</s>"],
            "modernbert": ["[CLS]", "[SEP]", "[SEP]"],
        }[family]
    )


def test_one_or_two_shows_where_joined_lists_differ(inspection):
    both = inspection.separate_and_joined(FIRST, SECOND)
    assert [row.token for row in both.joined].count("[CLS]") == 2
    assert len(both.joined) == 16
    assert [row.token_type_id for row in both.joined] == [0] * 16
    # A second [CLS] pushes everything on by one, and no place of sentence 2 has token type 1.
    assert both.differences == list(range(8, 16))
    assert [row.id for row in both.alone[1]] == [101, 2023, 2003, 1996, 2117, 2028, 1012, 102]


def test_element_15_of_train_separately_and_as_a_pair(inspection, mrpc_data_dir):
    data = load_data("folder", mrpc_data_dir)
    row = data.dataset["train"][15]
    both = inspection.separate_and_joined(row["sentence1"], row["sentence2"])
    first, second = ([row.id for row in rows] for rows in both.alone)
    assert both.pair.raw["input_ids"] == first + second[1:]  # all but the second [CLS]
    assert both.pair.raw["token_type_ids"] == [0] * len(first) + [1] * (len(second) - 1)
    assert both.differences == list(range(len(first), len(first) + len(second)))


def test_up_to_three_checkpoints_side_by_side(inspection):
    names = ["", "local:tiny-roberta", "FacebookAI/roberta-base"]
    columns = inspection.compare_checkpoints(FIRST, SECOND, names)
    assert [column.checkpoint for column in columns] == names
    assert columns[0].inspection is not None
    assert columns[1].inspection is not None
    assert columns[2].inspection is None
    assert "HF_HUB_OFFLINE" in columns[2].reason
    for bad in ([], ["a", "b", "c", "d"], "all-MiniLM-L6-v2", None):
        with pytest.raises(InputError, match="one to 3"):
            inspection.compare_checkpoints(FIRST, SECOND, bad)


@pytest.mark.parametrize(
    ("truncation", "num_cut"),
    [("longest_first", (2, 0)), ("only_first", (2, 0)), ("only_second", (0, 2)), ("do_not_truncate", (0, 0))],
)
def test_what_truncation_cuts_away(inspection, truncation, num_cut):
    found = inspection.inspect_pair("one two three four five six", "one two three", "", 10, truncation)
    assert found.num_cut == num_cut
    assert len(found.cut_rows) == found.num_truncated == sum(num_cut)
    assert len(found.rows) == 12 - sum(num_cut)


def test_a_pair_can_be_filled_up(inspection):
    found = inspection.inspect_pair(FIRST, SECOND, "", 20, "longest_first", pad_to_max=True)
    assert [row.is_padding for row in found.rows] == [False] * 15 + [True] * 5
    assert found.raw["attention_mask"] == [1] * 15 + [0] * 5
    assert found.decoded.endswith("[SEP] [PAD] [PAD] [PAD] [PAD] [PAD]")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sentence1": ""}, "Sentence 1 is empty"),
        ({"sentence2": " \t "}, "Sentence 2 is empty"),
        ({"sentence1": "a" * 100_000}, "100,000 characters; at most 10,000"),
        ({"sentence2": "a\x00b"}, r"Sentence 2 holds a control character.*U\+0000"),
        ({"sentence1": "a\ud800"}, "half of a surrogate pair"),
        ({"sentence1": 5}, "not text but int"),
        ({"sentence1": None}, "not text"),
        ({"checkpoint": "../../etc"}, "it must be one of all-MiniLM"),
        ({"checkpoint": ["x"]}, "it must be one of all-MiniLM"),
        ({"max_length": 7}, "max length is '7'; it must be a whole number from 8 to 512"),
        ({"max_length": float("nan")}, "max length is 'nan'"),
        ({"max_length": 9.5}, "max length is '9.5'"),
        ({"max_length": True}, "max length is 'True'"),
        ({"max_length": "12"}, "max length is '12'"),
        ({"truncation": "shortest"}, "truncation is 'shortest'"),
        (
            {"truncation": "only_second", "max_length": 8, "sentence1": FIRST},
            "Sentence 2 has 6 tokens, but 7",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(inspection, given, message):
    with pytest.raises((PairError, ConfigError, InputError), match=message):
        inspection.inspect_pair(**({"sentence1": FIRST, "sentence2": SECOND} | given))


@pytest.mark.parametrize("family", [None, *FAMILIES])
@pytest.mark.parametrize(
    "sentence",
    [
        "🙂 one 👩‍👩‍👧‍👦 two",
        "שלום one עולם",
        "مرحبا one",
        "cafe\u0301 one",
        "我喜欢 one 学习",
        "<script>alert(1)</script> one",
        "tab\tand\nnewline one",
        "zero\u200bwidth one",
        "[SEP] one [CLS]",
        "${1+1} {{one}} `one`",
        "ﬁne ligature, ½ and Ⅷ one",
        "one",
    ],
)
def test_odd_text_gets_offsets_into_the_raw_characters(inspection, family, sentence):
    found = inspection.inspect_pair(sentence, SECOND, f"local:tiny-{family}" if family else "")
    rows = [row for row in found.rows if row.sequence_id == 0]
    assert rows
    for before, row in itertools.pairwise(rows):
        assert row.start >= before.start
    for row in rows:
        is_space = row.token == "Ġ"  # RoBERTa's trimmed offsets of a space are empty
        assert 0 <= row.start <= row.end - (not is_space)
        assert row.end <= len(sentence)
    covered = {place for row in rows for place in range(row.start, row.end)}
    missed = {sentence[place] for place in range(len(sentence)) if place not in covered}
    assert all(unicodedata.category(character) in {"Zs", "Cc", "Cf", "Mn"} for character in missed), missed
    whole = [sentence[row.start : row.end] for row in rows]
    assert "one" in whole or "".join(whole).count("one") >= 1


def test_a_character_of_several_tokens_is_pointed_at_by_each(inspection):
    found = inspection.inspect_pair("🙂", "one", "local:tiny-roberta")
    rows = [row for row in found.rows if row.sequence_id == 0]
    assert len(rows) == 4  # a byte each
    assert {(row.start, row.end) for row in rows} == {(0, 1)}
    assert [row.is_continuation for row in rows] == [False, True, True, True]


def test_eight_threads_with_different_settings_get_the_serial_answers(inspection):
    jobs = [
        (FIRST * (1 + number % 4), SECOND, "", 9 + number % 40, "longest_first", number % 3 == 0)
        for number in range(400)
    ]
    serial = [inspection.inspect_pair(*job).raw for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert [found.raw for found in pool.map(lambda job: inspection.inspect_pair(*job), jobs)] == serial
