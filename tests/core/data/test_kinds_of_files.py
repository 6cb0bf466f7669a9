"""Files as people bring them, many of each kind: no row is lost or changed without a word."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mrpc.core.data import row_by_row
from mrpc.core.data.columns import LABEL_COLUMNS, SENTENCE_COLUMNS, parse_columns
from mrpc.core.data.load import load_data
from mrpc.core.data.read import read_pair_file, read_pairs
from mrpc.core.data.report import DataReport
from mrpc.errors import DataError
from tests.tiny import tiny_rows, write_jsonl

GENERATED = settings(max_examples=40, deadline=None)

WORDS = st.sampled_from(
    [
        *(
            "road",
            "Café",
            "naïve",
            "“so”",
            "don't",
            'the "old" one',
            '"Well',
            "a, b",
            "x;y",
            "p|q",
            "half-way",
        ),
        *("10", "NA", "null", "=1+1", "b'", "#1", "\u00a0", "(sic)", "..."),
    ]
)
WIDE_WORDS = st.sampled_from(["東京", "Ελλάδα", "🌍", "e\u0301", "a\u2028b", "c\x85d", "\ufeffx", "עברית"])
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
LABEL_WORDS = [
    *(
        ("0", "1"),
        ("0.0", "1.0"),
        ("false", "true"),
        ("False", "True"),
        ("FALSE", "TRUE"),
        ("no", "yes"),
        ("N", "Y"),
    ),
    *(("not_equivalent", "equivalent"), ("1", "2"), (" 0", "1 "), ("different", "same")),
    *(("not_duplicate", "duplicate"), ("non-paraphrase", "paraphrase"), ("not_entailment", "entailment")),
    *(("unrelated", "related"), ("negative", "positive"), ("No", "YES")),
]
HEADERS = [
    *(
        ("sentence1", "sentence2", "label"),
        ("Sentence1", "SENTENCE2", "Label"),
        ("#1 String", "#2 String", "Quality"),
    ),
    *(
        ("text_a", "text_b", "labels"),
        ("question1", "question2", "is_duplicate"),
        ("premise", "hypothesis", "gold"),
    ),
    *(
        ("sentence_1", "sentence_2", "gold_label"),
        ("Text 1", "Text 2", "class"),
        ("comment1", "comment2", "label"),
    ),
]

BYTES_OF_PYTHON = re.compile(r"b'[ -&(-~]*'")
"""The word b' twice may be a whole text: it is also how Python writes " b" as bytes. No file can tell."""

Rows = list[tuple[str, str, int]]


def sentences(wide: bool, line_ends: bool) -> st.SearchStrategy[str]:
    words = st.one_of(WORDS, WIDE_WORDS) if wide else WORDS
    gaps = st.sampled_from([" ", "  ", *(["\n", "\r\n"] if line_ends else [])])
    parts = st.lists(st.tuples(words, gaps), min_size=1, max_size=6)
    return parts.map(lambda some: "".join(word + gap for word, gap in some)).filter(
        lambda text: bool(text.strip()) and not BYTES_OF_PYTHON.fullmatch(text.strip())
    )


def rows_of(wide: bool, line_ends: bool) -> st.SearchStrategy[Rows]:
    sentence = sentences(wide, line_ends)
    rows = st.lists(st.tuples(sentence, sentence, st.integers(0, 1)), min_size=1, max_size=8)
    plain = [
        ("A road is open.", "The road is open.", 0),
        ("It rains.", "It pours.", 1),
        ("He left.", "He went.", 1),
    ]
    return rows.map(lambda some: plain + some)


def as_csv(
    rows: Rows, header: tuple[str, str, str], labels: tuple[str, str], delimiter: str, quoting: int, end: str
) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(header)
    writer.writerows((first, second, labels[label]) for first, second, label in rows)
    return out.getvalue()


def read_back(name: str, content: bytes) -> tuple[Rows, DataReport]:
    """Read one file as training data and as an upload, and return its rows in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        dataset, report = read_pairs(path)
        pairs, _ = read_pair_file(path)
    rows = sorted((row for split in dataset.values() for row in split), key=lambda row: row["idx"])
    found = [(row["sentence1"], row["sentence2"], row["label"]) for row in rows]
    assert [(pair.sentence1, pair.sentence2, pair.label) for pair in pairs] == found
    return found, report


@given(data=st.data())
@GENERATED
def test_csv_however_it_is_written(data: st.DataObject) -> None:
    encoding = data.draw(
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    )
    end = data.draw(st.sampled_from(["\r\n", "\n", "\r", "\r\r\n"]))
    delimiter = data.draw(st.sampled_from(list(DELIMITERS)))
    quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    header, labels = data.draw(st.sampled_from(HEADERS)), data.draw(st.sampled_from(LABEL_WORDS))
    rows = data.draw(rows_of(wide=encoding.startswith("utf"), line_ends=end in ("\n", "\r\n")))
    text = as_csv(rows, header, labels, delimiter, quoting, end)
    if data.draw(st.booleans()):
        text = f"sep={delimiter}{end}" + text
    content = text.encode(encoding)
    name = data.draw(st.sampled_from(["pairs.csv", "PAIRS.CSV", "pairs.tsv", "pairs.txt"]))
    if data.draw(st.booleans()):
        content, name = gzip.compress(content), name + ".gz"
    found, report = read_back(name, content)
    assert found == rows
    (file,) = report.files
    assert file.delimiter == DELIMITERS[delimiter]
    expected = (
        "UTF-16" if "16" in encoding else "UTF-8" if text.isascii() or "8" in encoding else "Windows-1252"
    )
    assert file.encoding.startswith(expected)
    assert file.compression == ("gzip" if name.endswith(".gz") else "")
    assert list(file.columns.values()) == list(header)
    assert file.num_rows == len(rows)
    assert sum(file.labels.values()) == len(rows)
    assert file.left_out == []
    inside = sum(sentence.count("\n") for row in rows for sentence in row[:2])
    assert file.num_inner_lines in (inside, 0)  # whole columns are read where no cell has two lines


@given(rows=rows_of(wide=True, line_ends=False), named=st.booleans(), doubled=st.booleans())
@GENERATED
def test_tabs_with_quotes_of_both_kinds(rows: Rows, named: bool, doubled: bool) -> None:
    """MRPC's files go round with raw quotes, and written anew as CSV."""
    header = ("#1 String", "#2 String", "Quality") if named else ("sentence1", "sentence2", "label")
    if doubled:
        text = as_csv(rows, header, ("0", "1"), "\t", csv.QUOTE_MINIMAL, "\r\n")
    else:
        text = "\n".join("\t".join(map(str, row)) for row in [header, *rows])
    found, report = read_back("pairs.tsv", text.encode())
    assert found == rows
    if not doubled and any(sentence.startswith('"') for row in rows for sentence in row[:2]):
        assert any("quotes are part of the text" in note for note in report.files[0].notes)


@given(rows=rows_of(wide=True, line_ends=True), labels=st.sampled_from(LABEL_WORDS), data=st.data())
@GENERATED
def test_json_however_it_is_written(rows: Rows, labels: tuple[str, str], data: st.DataObject) -> None:
    header = data.draw(st.sampled_from(HEADERS))
    kinds: list[tuple[Any, Any]] = [labels, (0, 1), (False, True), (0.0, 1.0)]
    label = data.draw(st.sampled_from(kinds))
    objects = [dict(zip(header, (*row[:2], label[row[2]]), strict=True)) for row in rows]
    is_ascii, indent = data.draw(st.booleans()), data.draw(st.sampled_from([None, 2]))
    shape = data.draw(st.sampled_from(["lines", "array", "under a key", "columns", "columns by number"]))
    by_column = {name: [row[name] for row in objects] for name in header}
    whole: Any = {"under a key": {"data": objects}, "columns": by_column}.get(shape, objects)
    if shape == "columns by number":  # as pandas writes it
        whole = {
            name: {str(at): value for at, value in enumerate(cells)} for name, cells in by_column.items()
        }
    if shape == "lines":
        text = "".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in objects)
    else:
        text = json.dumps(whole, ensure_ascii=is_ascii, indent=indent)
    name = data.draw(st.sampled_from(["pairs.json", "pairs.jsonl", "pairs.JSON.gz"]))
    content = text.encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    found, report = read_back(name, gzip.compress(content) if name.endswith(".gz") else content)
    assert found == rows
    assert report.files[0].kind == ("JSON lines" if shape == "lines" else "JSON")


TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.binary(),
]
LABEL_TYPES = [pa.int8(), pa.uint64(), pa.int64(), pa.float64(), pa.float32(), pa.bool_(), pa.string()]


@given(
    rows=rows_of(wide=True, line_ends=True),
    text_type=st.sampled_from(TEXT_TYPES),
    label_type=st.sampled_from(LABEL_TYPES),
    header=st.sampled_from(HEADERS),
)
@GENERATED
def test_parquet_of_any_types(
    rows: Rows, text_type: pa.DataType, label_type: pa.DataType, header: Any
) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    texts = [pa.array(column, pa.string()).cast(text_type) for column in columns[:2]]
    label = (
        pa.array(map(str, columns[2])) if label_type == pa.string() else pa.array(columns[2]).cast(label_type)
    )
    out = io.BytesIO()
    pq.write_table(pa.table([*texts, label], names=header), out, row_group_size=3)
    found, _ = read_back("pairs.parquet", out.getvalue())
    assert found == rows


@given(
    columns=st.sampled_from(SENTENCE_COLUMNS),
    label=st.sampled_from(LABEL_COLUMNS),
    order=st.permutations(range(4)),
    change=st.sampled_from([str.upper, str.title, lambda name: f" {name} ", lambda name: name]),
)
@GENERATED
def test_columns_by_their_usual_names(columns: Any, label: str, order: list[int], change: Any) -> None:
    assume(label not in columns)
    names = [*map(change, columns), change(label), "qid1"]
    cells = ["A road.", "The road.", "1", "7"]
    lines = [
        ",".join(part[at] for at in order) for part in (names, cells, ["It rains.", "It pours.", "0", "8"])
    ]
    found, report = read_back("pairs.csv", "\n".join(lines).encode())
    assert found == [("A road.", "The road.", 1), ("It rains.", "It pours.", 0)]
    assert report.files[0].unused == ["qid1"]


# Faults of a kind: refused with what was found, or left out and counted


def folder_of(tmp_path: Path, train: str | bytes, name: str = "train.csv") -> Path:
    (tmp_path / name).write_bytes(train.encode() if isinstance(train, str) else train)
    write_jsonl(tmp_path / "validation.jsonl", tiny_rows(4, 8))
    return tmp_path


HEADER = "sentence1,sentence2,label\n"


def plain_lines(num: int) -> list[str]:
    return [f"The road {at} is open,A road {at} is open,{at % 2}" for at in range(num)]


@given(
    num=st.integers(4, 40),
    first=st.integers(0, 15),
    last=st.integers(1, 20),
    kind=st.sampled_from(["begins", "ends a cell", "has no end"]),
)
@settings(max_examples=30, deadline=None)
@example(num=5, first=0, last=2, kind="ends a cell")
def test_a_quote_that_swallows_rows_is_refused_with_both_lines(
    num: int, first: int, last: int, kind: str
) -> None:
    assume(first + last < num)
    lines = plain_lines(num)
    lines[first] = '"' + lines[first]
    end = first + last
    if kind == "begins":
        lines[end] = '"' + lines[end]
    elif kind == "ends a cell":
        lines[end] = lines[end].replace("open,", 'open",', 1)
    else:
        end = num - 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        path.write_text(HEADER + "\n".join(lines))
        with pytest.raises(DataError, match=f"line {first + 2}: .* line") as refused:
            read_pairs(path)
    assert f"line {end + 2}" in str(refused.value) or f"to {end + 2}" in str(refused.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["0.3", "4.5", "0.3"], "scores of similarity, as in STS-B"),
        ([f"{at / 7:.3f}" for at in range(30)], "30 different numbers from 0 to 4.143: scores of similarity"),
        (["0", "1", "2"], "3 classes, 0, 1, 2, as in natural language inference"),
        (["entailment", "neutral", "contradiction"], r"three classes of natural language inference \(NLI\)"),
        (["a", "b", "c", "d"], "of 4 kinds: 'a', 'b', 'c', 'd'. Two classes are trained here"),
        (["3", "4"], "labels are 3 and 4: numbers, but not 0 and 1"),
        (["0", "maybe"], "label is 'maybe'; it must be 0"),
    ],
)
def test_labels_that_are_not_of_two_classes_are_called_what_they_are(tmp_path, labels, said):
    lines = [f"a {at},b {at},{label}" for at, label in enumerate(labels)]
    (tmp_path / "train.csv").write_text(HEADER + "\n".join(lines))
    with pytest.raises(DataError, match=said) as refused:
        load_data("folder", tmp_path)
    assert "train.csv, line " in str(refused.value)


def test_rows_without_a_gold_label_are_left_out_and_counted(tmp_path):
    lines = plain_lines(6)
    lines[2] = lines[2][:-1] + "-"
    _, report = read_pairs(folder_of(tmp_path, HEADER + "\n".join(lines)))
    (left_out,) = report.files[0].left_out
    assert (left_out.num_rows, left_out.places) == (1, ["line 4"])
    assert "1 row with the label -, which says that there is none left out (line 4)" in "\n".join(
        report.sentences()
    )


def test_few_empty_sentences_are_left_out_and_many_are_refused(tmp_path):
    lines = plain_lines(40)
    lines[3], lines[30] = "a,,1", " ,b,0"
    _, report = read_pairs(folder_of(tmp_path, HEADER + "\n".join(lines)))
    assert report.files[0].num_rows == 38
    assert report.files[0].left_out[0].places == ["line 5", "line 32"]
    lines[4] = "a,,1"
    with pytest.raises(DataError, match=r"train\.csv, line 5: sentence2 is empty"):
        read_pairs(folder_of(tmp_path, HEADER + "\n".join(lines)))
    assert row_by_row.MAX_EMPTY_SHARE == 0.05


@given(before=st.integers(0, 3), after=st.integers(0, 3), rows=st.integers(0, 4), quoted=st.booleans())
@settings(max_examples=30, deadline=None)
def test_empty_columns_and_rows_of_a_spreadsheet_are_dropped(
    before: int, after: int, rows: int, quoted: bool
) -> None:
    empty = '""' if quoted else ""
    lines = ["x," * before + "sentence1,sentence2,label" + f",{empty}" * after]
    lines = [
        ",".join(f"x{at}" for at in range(before)) + "," * bool(before) + lines[0].removeprefix("x," * before)
    ]
    lines += ["q," * before + line + f",{empty}" * after for line in plain_lines(5)]
    lines += [",".join([empty] * (before + 3 + after))] * rows
    found, report = read_back("pairs.csv", "\r\n".join(lines).encode())
    assert len(found) == 5
    assert sum(some.num_rows for some in report.files[0].left_out) == rows


@given(texts=st.lists(sentences(wide=True, line_ends=True), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_bytes_of_python_become_text_again(texts: list[str]) -> None:
    rows: Rows = [(text, f"The road {at}.", at % 2) for at, text in enumerate(texts)]
    written = [(str(first.encode()), str(second.encode()), label) for first, second, label in rows]
    content = as_csv(written, ("sentence1", "sentence2", "label"), ("0", "1"), ",", csv.QUOTE_MINIMAL, "\n")
    found, report = read_back("pairs.csv", content.encode())
    assert found == rows
    assert f"{2 * len(rows)} texts stood there as bytes of Python" in report.files[0].notes[0]


def test_broken_bytes_of_python_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 2: sentence1 is .*bytes"):
        read_pairs(folder_of(tmp_path, HEADER + r"b'caf\xe9',b'a',1"))


@pytest.mark.parametrize("text", ["b'Well", "b'x' and b'y'", "b'Café'", "b' Café b'", "b'\\d'"])
def test_a_text_that_only_begins_like_bytes_stays(tmp_path, text):
    lines = [f"{text},A road {at},{at % 2}" for at in range(2)] + plain_lines(8)
    dataset, _ = read_pairs(folder_of(tmp_path, HEADER + "\n".join(lines)))
    assert dataset["train"]["sentence1"][:2] == [text, text]


def test_a_column_of_bytes_may_hold_a_text_that_begins_like_bytes(tmp_path):
    texts = [b"The road.", b"b' ", b"It rains."]
    pq.write_table(
        pa.table({"sentence1": texts, "sentence2": texts, "label": [0, 1, 0]}), tmp_path / "p.parquet"
    )
    dataset, _ = read_pairs(tmp_path / "p.parquet")
    assert "b' " in [row["sentence1"] for split in dataset.values() for row in split]


def test_bytes_of_python_that_were_cut_off_are_refused(tmp_path):
    lines = [f"b'The road {at} is op,b'A road,{at % 2}" for at in range(5)]
    with pytest.raises(DataError, match=r"line 2: sentence1 is .*bytes of Python, not text, and broken"):
        read_pairs(folder_of(tmp_path, HEADER + "\n".join(lines)))


def test_a_file_without_names_is_told_so(tmp_path):
    with pytest.raises(DataError, match="The first line looks like a pair, not like names") as refused:
        read_pairs(folder_of(tmp_path, "\n".join(plain_lines(3))))
    assert "Found the columns 'The road 0 is open', 'A road 0 is open', '0'" in str(refused.value)


def test_columns_by_name(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("left text,right text,same?\na,b,1\nc,d,0\ne,f,1\n")
    with pytest.raises(DataError, match="Found the columns 'left text', 'right text', 'same"):
        read_pairs(path)
    with pytest.raises(DataError, match="the column other is missing"):
        read_pairs(path, ["left text", "other", "same?"])
    dataset, report = read_pairs(path, ["left text", "Right Text", "same?"])
    rows = sorted(row["sentence2"] for split in dataset.values() for row in split)
    assert rows == ["b", "d", "f"]
    assert report.files[0].columns == {"sentence1": "left text", "sentence2": "right text", "label": "same?"}
    assert parse_columns(" a, b ,c") == ("a", "b", "c")
    for wrong in ("a", "a,b,c,d", "a,,c", "a,a"):
        with pytest.raises(DataError, match="write first,second,label"):
            parse_columns(wrong)
