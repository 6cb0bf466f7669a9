"""Encoding pairs, rows for people, truncation, and threads that share a tokenizer."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from datasets import Dataset
from transformers import BertTokenizer

from mrpc.core.text import tokenization
from mrpc.core.text.tokenization import (
    TRUNCATIONS,
    cut_by_truncation,
    decode_ids,
    encode_pairs,
    encode_single,
    encoded_lengths,
    pad_pair,
    token_rows,
    tokenizer_lock,
)
from mrpc.errors import PairError

WORDS = [
    "this",
    "is",
    "the",
    "first",
    "sentence",
    "second",
    "one",
    ".",
    ",",
    "a",
    "play",
    "##ing",
    "##ed",
    "##s",
]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
FIRST, SECOND = "This is the first sentence.", "This is the second one."


@pytest.fixture
def tokenizer(tmp_path) -> BertTokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    return BertTokenizer.from_pretrained(tmp_path)


def test_pair_is_what_the_tokenizer_itself_gives(tokenizer):
    encoded = encode_pairs(tokenizer, [FIRST], [SECOND])
    assert dict(encoded) == dict(tokenizer([FIRST], [SECOND], truncation=True, max_length=128))
    assert encoded["token_type_ids"] == [[0] * 8 + [1] * 7]
    assert encoded_lengths(encoded) == [15]


def test_rows_say_everything_about_a_token(tokenizer):
    rows = token_rows(tokenizer, encode_pairs(tokenizer, ["A playing, zebra"], ["Played."]))
    assert [row.token for row in rows] == [
        *["[CLS]", "a", "play", "##ing", ",", "[UNK]", "[SEP]"],
        *["play", "##ed", ".", "[SEP]"],
    ]
    assert [row.sequence_id for row in rows] == [None, 0, 0, 0, 0, 0, None, 1, 1, 1, None]
    assert [row.token for row in rows if row.is_continuation] == ["##ing", "##ed"]
    assert [row.token for row in rows if row.is_special] == ["[CLS]", "[SEP]", "[SEP]"]
    assert [row.position for row in rows if row.is_unknown] == [5]
    assert "A playing, zebra"[rows[3].start : rows[3].end] == "ing"
    assert "A playing, zebra"[rows[5].start : rows[5].end] == "zebra"
    assert [row.word for row in rows] == [None, 0, 1, 1, 2, 3, None, 0, 0, 1, None]
    assert not any(row.is_padding for row in rows)


def test_padding_shows_as_padding(tokenizer):
    with tokenizer_lock(tokenizer):
        padded = tokenizer(["a", "a a a"], ["a", "a a"], padding=True)
    rows = token_rows(tokenizer, padded, 0)
    assert [row.is_padding for row in rows] == [False] * 5 + [True] * 3
    assert rows[-1].is_special
    assert rows[-1].attention_mask == 0


def test_a_pair_filled_up_is_what_the_tokenizer_pads(tokenizer):
    encoded = encode_pairs(tokenizer, ["a"], ["a"])
    raw, rows = pad_pair(
        tokenizer, {key: encoded[key][0] for key in encoded}, token_rows(tokenizer, encoded), 8
    )
    expected = tokenizer(["a"], ["a"], padding="max_length", max_length=8)
    assert raw == {key: expected[key][0] for key in expected}
    assert rows == token_rows(tokenizer, expected)


def test_a_special_token_that_was_typed_is_still_special_and_keeps_its_sentence(tokenizer):
    rows = token_rows(tokenizer, encode_pairs(tokenizer, ["a [SEP] a"], ["a"]))
    typed = rows[2]
    assert (typed.token, typed.is_special, typed.sequence_id) == ("[SEP]", True, 0)


@pytest.mark.parametrize(
    "sentence", ["a 🙂 a", "a\u0301 a", "שלום a", "中文 a", "\ta  a\n", "a\u200da a", "👩‍👩‍👧 a"]
)
def test_offsets_point_at_the_raw_characters(tokenizer, sentence):
    rows = token_rows(tokenizer, encode_pairs(tokenizer, [sentence], ["a"]))
    last = [row for row in rows if row.sequence_id == 0][-1]
    assert sentence[last.start : last.end] == "a"


def test_what_truncation_cuts_is_told(tokenizer):
    first, second = "this is the first sentence .", "a second one ."
    kept = token_rows(tokenizer, encode_pairs(tokenizer, [first], [second], max_length=9))
    cut = cut_by_truncation(tokenizer, first, second, kept)
    assert len(kept) == 9
    assert [row.token for row in cut] == ["first", "sentence", ".", "."]
    assert [row.sequence_id for row in cut] == [0, 0, 0, 1]


@pytest.mark.parametrize(("truncation", "num_cut"), [("only_first", (4, 0)), ("only_second", (0, 4))])
def test_one_sentence_alone_can_be_cut(tokenizer, truncation, num_cut):
    sentence = "this is the first sentence ."
    kept = token_rows(tokenizer, encode_pairs(tokenizer, [sentence], [sentence], 11, truncation))
    cut = [row.sequence_id for row in cut_by_truncation(tokenizer, sentence, sentence, kept)]
    assert (cut.count(0), cut.count(1)) == num_cut


@pytest.mark.parametrize(("truncation", "number"), [("only_first", 1), ("only_second", 2)])
def test_a_sentence_that_would_vanish_is_refused(tokenizer, truncation, number):
    pair = (["a"], ["this is the first sentence ."])
    sentence1, sentence2 = pair if number == 1 else pair[::-1]
    with pytest.raises(PairError, match=f"Sentence {number} has 1 tokens, but 2 would"):
        encode_pairs(tokenizer, sentence1, sentence2, max_length=8, truncation=truncation)


def test_single_sentences_and_decoding(tokenizer):
    single = encode_single(tokenizer, SECOND)
    assert single["token_type_ids"] == [[0] * 8]
    assert decode_ids(tokenizer, single["input_ids"][0]) == "[CLS] this is the second one. [SEP]"


def test_eight_threads_with_different_settings_get_the_serial_answers(tokenizer):
    sentences = [" ".join(WORDS[: 3 + number % 7]) for number in range(400)]
    jobs = [(sentence, TRUNCATIONS[number % 4], 14 + number % 5) for number, sentence in enumerate(sentences)]

    def encode(job):
        sentence, truncation, max_length = job
        return encode_pairs(tokenizer, [sentence], [sentence], max_length, truncation)["input_ids"]

    serial = [encode(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(encode, jobs)) == serial


def test_locks_belong_to_the_object(tokenizer, tmp_path):
    assert tokenizer_lock(tokenizer) is tokenizer_lock(tokenizer)
    assert tokenizer_lock(tokenizer) is not tokenizer_lock(BertTokenizer.from_pretrained(tmp_path))


def test_the_course_pair_with_the_bundled_checkpoint():
    from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained

    encoded = encode_pairs(load_tokenizer(resolve_pretrained()), [FIRST], [SECOND])
    assert encoded["input_ids"] == [
        [101, 2023, 2003, 1996, 2034, 6251, 1012, 102, 2023, 2003, 1996, 2117, 2028, 1012, 102]
    ]
    assert encoded["token_type_ids"] == [[0] * 8 + [1] * 7]
    assert encoded["attention_mask"] == [[1] * 15]


def test_rows_of_the_whole_corpus_are_what_the_model_is_fed(mrpc_data_dir):
    from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained

    tokenizer = load_tokenizer(resolve_pretrained())
    lines = (mrpc_data_dir / "validation.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    sentence1, sentence2 = [row["sentence1"] for row in rows], [row["sentence2"] for row in rows]
    encoded = encode_pairs(tokenizer, sentence1, sentence2)
    for index in range(len(rows)):
        shown = token_rows(tokenizer, encoded, index)
        assert [row.id for row in shown] == encoded["input_ids"][index]
        assert [row.token_type_id for row in shown] == encoded["token_type_ids"][index]


class TestEncodeDataset:
    def dataset(self, num_rows: int) -> Dataset:
        return Dataset.from_dict(
            {
                "sentence1": [f"The first sentence, number {row}." for row in range(num_rows)],
                "sentence2": [f"The second of {row} sentences." * (1 + row % 3) for row in range(num_rows)],
                "label": [row % 2 for row in range(num_rows)],
                "idx": list(range(num_rows)),
            }
        )

    def test_a_large_data_set_lies_in_a_file_and_is_the_same(self, tokenizer, monkeypatch):
        dataset = self.dataset(2_500)
        in_memory = tokenization.encode_dataset(tokenizer, dataset, 24)
        monkeypatch.setattr(tokenization, "MAX_ROWS_IN_MEMORY", 100)
        mapped = tokenization.encode_dataset(tokenizer, dataset, 24)
        assert in_memory.cache_files == []
        assert len(mapped.cache_files) == 1
        assert mapped.column_names == in_memory.column_names
        assert mapped[:] == in_memory[:]
