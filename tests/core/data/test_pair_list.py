import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrpc.core.data.pairs import SentencePair
from mrpc.core.data.read import read_lines, read_pair_file
from mrpc.core.data.table import Limits
from mrpc.errors import DataError

SUFFIXES = (".csv", ".jsonl", ".parquet")

ROWS = [
    {"sentence1": "One, two.", "sentence2": 'He said "no".', "label": 1},
    {"sentence1": "Drei — vier.", "sentence2": "日本", "label": 0},
]
PAIRS = [SentencePair(row["sentence1"], row["sentence2"], row["label"], at) for at, row in enumerate(ROWS)]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_three_kinds_of_files_give_the_same_pairs(tmp_path, suffix):
    assert read_pair_file(write(tmp_path / f"pairs{suffix}", ROWS))[0] == PAIRS


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_may_be_left_out(tmp_path, suffix):
    rows = [{name: row[name] for name in ("sentence1", "sentence2")} for row in ROWS]
    pairs, _ = read_pair_file(write(tmp_path / f"pairs{suffix}", rows))
    assert [pair.label for pair in pairs] == [None, None]


def test_pasted_lines_take_tabs_or_bars():
    text = 'One, two.\tHe said "no".\t1\n\nDrei — vier. ||| 日本 ||| not_equivalent\nA|B ||| C\n'
    pairs, _ = read_lines(text)
    assert pairs[:2] == PAIRS
    assert pairs[2] == SentencePair("A|B", "C", None, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("only one sentence", "Line 1 has 1 part; write two sentences"),
        ("a\tb\nc\td\te\tf", "Line 2 has 4 parts"),
        ("a\tb\n\n  \t d", "line 3: sentence1 is empty"),
        ("a\tb\t2", "line 1: label is 2; it must be 0"),
        ("a\tb\nc\td\ud800", "line 2: sentence2 holds half of a surrogate pair"),
        ("\n \n", "There is no pair"),
    ],
)
def test_a_bad_line_is_named(text, message):
    with pytest.raises(DataError, match=message):
        read_lines(text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.docx", b"", "is not .csv, .tsv, .jsonl, .json or .parquet"),
        ("p.csv", b"PK\x03\x04 a workbook", "is a workbook or a zip file"),
        ("p.csv", b"", "p.csv, line 1: the column sentence1 is missing. Found no column"),
        ("p.csv", b"sentence1,other\na,b\n", "sentence2 is missing. Found the columns 'sentence1', 'other'"),
        ("p.csv", b"sentence1,sentence2\na,b,c\n", "line 2: 3 values where the header has 2"),
        ("p.csv", b"sentence1,sentence2\na,b\nc\n", "line 3: 1 value where the header has 2"),
        ("p.csv", b"sentence1,sentence2\na,b\nc,\n", "line 3: sentence2 is empty"),
        ("p.csv", b'sentence1,sentence2\na,"b\n', "line 2: not CSV: unexpected end of data"),
        ("p.csv", "sentence1,sentence2\né,b\nc,".encode() + b"\xff\n", "line 3: byte 3, 0xFF, is not UTF-8"),
        ("p.jsonl", b'{"sentence1": "a", "sentence2": "b"}\n{"sentence1"', "line 2: not JSON"),
        ("p.jsonl", b"[1, 2]\n", r"line 1: \[1, 2\] is not an object"),
        (
            "p.jsonl",
            b'{"sentence1": "a"}\n',
            "the column sentence2 is missing. Found the columns 'sentence1'",
        ),
        ("p.jsonl", b'{"sentence1": 1, "sentence2": "b"}\n', "line 1: sentence1 is 1; it must be text"),
        (
            "p.jsonl",
            b'{"sentence1": "a", "sentence2": "b", "label": "maybe"}',
            "line 1: label is 'maybe'; it must be 0",
        ),
        ("p.jsonl", b"[" * 100_000, "line 1: not JSON"),
        ("p.parquet", b"PAR1 nothing", "is not a Parquet file"),
    ],
)
def test_a_bad_file_is_explained(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pair_file(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_too_much_is_refused(tmp_path, suffix):
    path = write(tmp_path / f"pairs{suffix}", ROWS)
    with pytest.raises(DataError, match=r"at most 1 rows|more than 1 rows"):
        read_pair_file(path, limits=Limits(max_rows=1))
    with pytest.raises(DataError, match="at most 10 are taken"):
        read_pair_file(path, limits=Limits(max_file_bytes=10))
    with pytest.raises(DataError, match="cannot be read"):
        read_pair_file(tmp_path / "gone.csv")


def test_too_many_lines_are_refused():
    with pytest.raises(DataError, match="more than 10 bytes"):
        read_lines("a long line\twith two sentences", Limits(max_file_bytes=10))
    with pytest.raises(DataError, match="more than 1 rows"):
        read_lines("a\tb\nc\td", Limits(max_rows=1))


def test_characters_that_end_no_line_stay_in_their_sentence():
    pairs, report = read_lines("a\u2028b\tc\x85d\t1\r\ne\tf\x00\t0")
    assert [(pair.sentence1, pair.sentence2, pair.label) for pair in pairs] == [
        ("a\u2028b", "c\x85d", 1),
        ("e", "f\x00", 0),
    ]
    assert report.notes == ["control characters stand in 2 texts, and stay there."]
