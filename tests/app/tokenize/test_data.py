"""Rows by number, page and search, on small data and on 400,000 rows."""

from __future__ import annotations

from pathlib import Path

import datasets
import psutil
import pyarrow as pa
import pytest

from mrpc.app.tokenize.data import MAX_QUERY_CHARS, Explorer, marked
from mrpc.core.data.load import LoadedData, load_data
from mrpc.core.data.report import DataReport
from mrpc.core.data.split_rows import features
from mrpc.errors import InputError

NUM_LARGE = 400_000


@pytest.fixture(scope="module")
def explorer(tiny_data_dir: Path) -> Explorer:
    data = load_data("folder", tiny_data_dir)
    return Explorer(lambda: data)


def test_a_row_is_what_the_file_says(explorer):
    row = explorer.row("validation", 3)
    assert (row.number, row.idx, row.label, row.label_name) == (3, 67, 1, "equivalent")
    assert row.sentence1.startswith("The ")
    assert explorer.num_rows() == {"train": 64, "validation": 16, "test": 16}
    assert explorer.features()["label"] == "ClassLabel(names=['not_equivalent', 'equivalent'])"


def test_pages_go_through_all_rows(explorer):
    first = explorer.page("train")
    assert [row.number for row in first.rows] == list(range(10))
    assert (first.start, first.num_found, first.num_rows) == (0, 64, 64)
    last = explorer.page("train", start=60)
    assert [row.number for row in last.rows] == [60, 61, 62, 63]
    assert explorer.page("train", start=10**12).rows == last.rows  # past the end is the last page


def test_search_finds_text_in_any_case_in_either_sentence(explorer):
    everything = [explorer.row("train", number) for number in range(64)]
    wanted = [row.number for row in everything if "storm" in f"{row.sentence1}\n{row.sentence2}".lower()]
    assert 0 < len(wanted) < 64
    for query in ("storm", "STORM", "  Storm "):
        page = explorer.page("train", query)
        assert page.num_found == len(wanted)
        assert [row.number for row in page.rows] == wanted[:10]
    assert explorer.page("train", "storm", start=10).rows[0].number == wanted[10]
    assert explorer.page("train", "no such words").rows == []
    assert explorer.page("train", ".*").num_found == 0  # text, not a pattern


def test_label_filter_and_search_go_together(explorer):
    equivalent = explorer.page("train", "mayor", "equivalent")
    other = explorer.page("train", "mayor", "not_equivalent")
    assert {row.label for row in equivalent.rows} == {1}
    assert {row.label for row in other.rows} == {0}
    assert equivalent.num_found + other.num_found == explorer.page("train", "mayor").num_found


def test_overview_counts_every_row(explorer):
    overview = explorer.overview("train")
    assert overview.label_counts == (32, 32)
    assert [sum(bars) for bars in overview.histogram] == [32, 32]
    lengths = [
        len(row.sentence1) + len(row.sentence2)
        for row in (explorer.row("train", number) for number in range(64))
    ]
    shortest = min(lengths) // overview.bin_width
    assert not any(overview.histogram[0][:shortest] + overview.histogram[1][:shortest])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("court", ["court", "COURT"]),
        ("<b>", ["<b>"]),
        (".*", []),
        ("(", []),
        ("&", ["&"]),
        ("amp;", []),
        ("", []),
        ("b>b", ["b>b"]),
    ],
)
def test_what_was_searched_for_is_marked_as_text(query, found):
    sentence = "A <b>bold</b> court & the COURT"
    pieces = marked(sentence, query)
    assert "".join(text for text, _ in pieces) == sentence
    assert [text for text, is_found in pieces if is_found] == found


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda explorer: explorer.row("train", 64), "row is '64'; it must be a whole number from 0 to 63"),
        (lambda explorer: explorer.row("train", -1), "row is '-1'"),
        (lambda explorer: explorer.row("train", None), "row is 'None'"),
        (lambda explorer: explorer.row("dev", 0), "split is 'dev'"),
        (lambda explorer: explorer.row(["train"], 0), "split is"),
        (lambda explorer: explorer.page("train", "a" * (MAX_QUERY_CHARS + 1)), "at most 200"),
        (lambda explorer: explorer.page("train", 5), "must be a string"),
        (lambda explorer: explorer.page("train", "\ud800"), "surrogate"),
        (lambda explorer: explorer.page("train", "", "maybe"), "label is 'maybe'"),
        (lambda explorer: explorer.page("train", start=-1), "start is '-1'"),
        (lambda explorer: explorer.overview("<b>"), "split is '<b>'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(explorer, ask, message):
    with pytest.raises(InputError, match=message):
        ask(explorer)


def test_the_splits_features_and_rows_of_the_course(mrpc_data_dir):
    data = load_data("folder", mrpc_data_dir)
    explorer = Explorer(lambda: data)
    assert explorer.num_rows() == {"train": 3668, "validation": 408, "test": 1725}
    assert explorer.features() == {
        "sentence1": "Value('string')",
        "sentence2": "Value('string')",
        "label": "ClassLabel(names=['not_equivalent', 'equivalent'])",
        "idx": "Value('int32')",
    }
    first = explorer.row("train", 0)
    assert (first.idx, first.label, first.label_name) == (0, 1, "equivalent")
    assert explorer.row("train", 14).idx == 15
    # "Look at element 15 of the training set and element 87 of the validation set. What are their labels?"
    assert explorer.row("train", 15).label_name == "not_equivalent"
    assert explorer.row("validation", 87).label_name == "not_equivalent"
    assert explorer.overview("validation").label_counts == (129, 279)


@pytest.mark.parametrize("query", ["\x00", "😀", "e\u0301", "İ", "שלום", "中文", "%", "\\", "a" * 200])
def test_odd_text_is_searched_as_it_is(explorer, query):
    page = explorer.page("train", query)
    wanted = [
        number
        for number in range(64)
        if query in f"{explorer.row('train', number).sentence1}\n{explorer.row('train', number).sentence2}"
    ]
    assert page.num_found == len(wanted)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    """400,000 rows of some 120 characters a sentence, mapped from disk as load_data does."""
    path = tmp_path_factory.mktemp("large") / "train.arrow"
    text = "the storm closed the road before the vote and the union said that nothing had been sold yet "
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, features().arrow_schema) as writer:
        for start in range(0, NUM_LARGE, 10_000):
            numbers = range(start, start + 10_000)
            columns = [
                [f"{text}{number} in sentence one" for number in numbers],
                [f"{number} {text}in sentence two" for number in numbers],
                [number % 3 == 0 for number in numbers],
                list(numbers),
            ]
            arrays = [
                pa.array(column).cast(field.type)
                for column, field in zip(columns, features().arrow_schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=features().arrow_schema))
    dataset = datasets.Dataset.from_file(str(path), info=datasets.DatasetInfo(features=features()))
    data = LoadedData(datasets.DatasetDict({"train": dataset}), "sample", None, "", DataReport("the data"))
    return Explorer(lambda: data)


def own_memory() -> int:
    """Memory of this process without mapped files, whose pages the system takes back when it needs them."""
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)


@pytest.mark.slow
def test_400_000_rows_are_paged_and_searched_with_memory_flat(large):
    assert large.page("train").num_rows == NUM_LARGE  # what is imported and mapped once
    before = own_memory()
    for _ in range(6):
        large.page("train", start=300_000)
        assert large.page("train", "no such words").rows == []
        assert large.page("train", "storm", start=399_990).num_found == NUM_LARGE
        large.page("train", "road", "equivalent")
        large.row("train", 399_999)
    assert large.page("train", "399999 in SENTENCE").rows[0].number == 399_999
    assert large.overview("train").label_counts[1] == 133_334
    grown = own_memory() - before
    assert grown < 40e6, f"{grown / 1e6:.0f} MB more than before, with 96 MB of text"
