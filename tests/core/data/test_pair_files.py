import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrpc.core.data import pair_files
from mrpc.core.data.pairs import SentencePair
from mrpc.errors import DataError

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


@pytest.mark.parametrize("suffix", pair_files.SUFFIXES)
def test_the_three_kinds_of_files_give_the_same_pairs(tmp_path, suffix):
    assert pair_files.read_pair_file(write(tmp_path / f"pairs{suffix}", ROWS)) == PAIRS


@pytest.mark.parametrize("suffix", pair_files.SUFFIXES)
def test_labels_may_be_left_out(tmp_path, suffix):
    rows = [{name: row[name] for name in ("sentence1", "sentence2")} for row in ROWS]
    pairs = pair_files.read_pair_file(write(tmp_path / f"pairs{suffix}", rows))
    assert [pair.label for pair in pairs] == [None, None]


def test_pasted_lines_take_tabs_or_bars():
    text = 'One, two.\tHe said "no".\t1\n\nDrei — vier. ||| 日本 ||| not_equivalent\nA|B ||| C\n'
    pairs = pair_files.read_lines(text)
    assert pairs[:2] == PAIRS
    assert pairs[2] == SentencePair("A|B", "C", None, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("only one sentence", "Line 1 has 1 part; write two sentences"),
        ("a\tb\nc\td\te\tf", "Line 2 has 4 parts"),
        ("a\tb\n\n  \t d", "Line 3: Sentence 1 is empty"),
        ("a\tb\t2", "Line 1: the label is '2'"),
        ("a\tb\x00", "Line 1: Sentence 2 holds a control character"),
        ("\n \n", "There is no pair"),
    ],
)
def test_a_bad_line_is_named(text, message):
    with pytest.raises(DataError, match=message):
        pair_files.read_lines(text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b"", "is not .csv, .jsonl or .parquet"),
        ("p.csv", b"", "has no sentence1 and no sentence2"),
        ("p.csv", b"sentence1,other\na,b\n", "has no sentence2"),
        ("p.csv", b"sentence1,sentence2\na,b,c\n", "Line 2 has more cells"),
        ("p.csv", b"sentence1,sentence2\na,b\nc\n", "Line 3: Sentence 2 is empty"),
        ("p.csv", b'sentence1,sentence2\na,"b\n', "Line 2 is not CSV"),
        ("p.csv", b"sentence1,sentence2\na,b\nc,\xff\n", "Line 3 is not UTF-8"),
        ("p.jsonl", b'{"sentence1": "a", "sentence2": "b"}\n{"sentence1"', "Line 2 is not JSON"),
        ("p.jsonl", b"[1, 2]\n", "Line 1 is no object"),
        ("p.jsonl", b'{"sentence1": "a"}\n', "Line 1 has no sentence2"),
        ("p.jsonl", b'{"sentence1": 1, "sentence2": "b"}\n', "Line 1: Sentence 1 is not text but int"),
        (
            "p.jsonl",
            b'{"sentence1": "a", "sentence2": "b", "label": "maybe"}',
            "Line 1: the label is 'maybe'",
        ),
        ("p.jsonl", b"[" * 100_000, "Line 1 is not JSON"),
        ("p.parquet", b"PAR1 nothing", "is not a parquet file"),
    ],
)
def test_a_bad_file_is_explained(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        pair_files.read_pair_file(path)


def test_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pair_files, "MAX_PAIRS", 1)
    for suffix in pair_files.SUFFIXES:
        with pytest.raises(DataError, match=r"at most 1|more than 1 pairs"):
            pair_files.read_pair_file(write(tmp_path / f"pairs{suffix}", ROWS))
    monkeypatch.setattr(pair_files, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="at most 10 are taken"):
        pair_files.read_pair_file(tmp_path / "pairs.csv")
    with pytest.raises(DataError, match="more than 10 bytes"):
        pair_files.read_lines("a long line\twith two sentences")
    with pytest.raises(DataError, match="cannot be read"):
        pair_files.read_pair_file(tmp_path / "gone.csv")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")'])
def test_a_formula_becomes_text(cell):
    (_, row) = list(csv.reader(io.StringIO(pair_files.write_csv(["a"], [[cell]]), newline="")))
    assert row == [f"'{cell}"]


def test_numbers_stay_numbers():
    assert pair_files.write_csv(["a", "b"], [[-0.5, None]]) == "a,b\r\n-0.5,\r\n"


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=5))
def test_what_is_written_reads_back(rows):
    text = pair_files.write_csv(["a", "b"], rows)
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for before, after in zip(rows, back, strict=True):
        assert [cell.removeprefix("'") for cell in after] == [cell.removeprefix("'") for cell in before]
        assert not any(cell.startswith(pair_files.FORMULA_STARTS) for cell in after)
