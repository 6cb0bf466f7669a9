"""Files that are not what they should be: each is read as it was meant, or refused as what it is."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from mrpc.core.data.columns import LabelProblem, understand_labels
from mrpc.core.data.read import read_lines, read_pair_file, read_pairs
from mrpc.core.data.table import FOREIGN
from mrpc.errors import DataError, InputError
from tests.core.data.test_kinds_of_files import as_csv, read_back, rows_of

HEADER = "sentence1,sentence2,label\n"
BODY = "".join(f"The road {at} is open.,Road {at} was opened.,{at % 2}\n" for at in range(8))
GENERATED = settings(max_examples=30, deadline=None)
Rows = list[tuple[str, str, int]]


def refusal(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_pairs(path)
    return str(refused.value)


# What the file is


@pytest.mark.parametrize("mark", FOREIGN, ids=lambda mark: mark.hex())
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path: Path, mark: bytes) -> None:
    for name in ("pairs.csv", "pairs.jsonl", "pairs.parquet", "pairs.zip"):
        assert f"{name} is {FOREIGN[mark]}" in refusal(tmp_path, name, mark + b"\0 and so on" * 9)


def test_archives_web_pages_and_doubly_packed_files(tmp_path: Path) -> None:
    tar = bytearray(512)
    tar[257:262] = b"ustar"
    assert "an archive of files (tar)" in refusal(tmp_path, "a.csv.gz", gzip.compress(tar))
    assert "a web page" in refusal(tmp_path, "a.json", b"\n <!DOCTYPE html><html>")
    assert "compressed twice" in refusal(tmp_path, "a.csv.gz", gzip.compress(gzip.compress(b"x")))


def test_a_damaged_parquet_file_is_said_to_be_that(tmp_path: Path) -> None:
    texts = [f"The road {at} is open." for at in range(2000)]
    out = io.BytesIO()
    table = pa.table({"sentence1": texts, "sentence2": texts, "label": [at % 2 for at in range(2000)]})
    pq.write_table(table, out, compression="snappy")
    content = bytearray(out.getvalue())
    content[30:400] = b"\xff" * 370
    assert "is not a Parquet file that can be read" in refusal(tmp_path, "a.parquet", bytes(content))


# Alphabets

ALPHABETS = {
    "абвгдежзиклмнопрстуфхцчшщыьэюя": ("cp1251", "koi8-r", "iso8859-5", "mac_cyrillic", "cp866"),
    "αβγδεζηθικλμνξοπρστυφχψω": ("cp1253", "iso8859-7"),
    "אבגדהוזחטיכלמנסעפצקרשת": ("cp1255", "iso8859-8"),
    "道路开放市长说今天雨": ("gb18030", "big5hkscs", "shift_jisx0213"),
    "도로가열렸다시장은말했다": ("euc-kr", "cp949"),
}


@given(data=st.data())
@GENERATED
def test_no_alphabet_is_taken_for_another(data: st.DataObject) -> None:
    letters = data.draw(st.sampled_from(list(ALPHABETS)))
    codec = data.draw(st.sampled_from(ALPHABETS[letters]))
    words = st.text(st.sampled_from(letters), min_size=3, max_size=9)
    sentences = st.lists(words, min_size=1, max_size=5).map(" ".join)
    rows: Rows = data.draw(
        st.lists(st.tuples(sentences, sentences, st.integers(0, 1)), min_size=3, max_size=9)
    )
    text = HEADER + "".join(f"{first},{second},{label}\n" for first, second, label in rows)
    with pytest.raises(DataError, match="is not UTF-8"):
        read_back("pairs.csv", text.encode(codec, "ignore"))


@pytest.mark.parametrize("codec", ["cp437", "cp850", "mac_roman"])
def test_accents_of_an_old_machine_are_not_changed_in_silence(tmp_path: Path, codec: str) -> None:
    rows = "".join(f"Die Straße {at} möchte größer sein,Er hört die Tür {at},{at % 2}\n" for at in range(5))
    assert "another code page" in refusal(tmp_path, "a.csv", (HEADER + rows).encode(codec))
    read_back("a.csv", (HEADER + rows).encode("cp1252"))


def test_a_text_that_was_damaged_before_is_pointed_out() -> None:
    spoiled = "L’été au café.".encode().decode("cp1252")
    _, report = read_back("a.csv", f"{HEADER}{BODY}{spoiled},Caf\ufffd,1\n".encode())
    said = " ".join(report.files[0].notes)
    assert "read as Windows-1252 once" in said
    assert "U+FFFD stands in it 1 time:" in said


# CSV


@given(
    rows=rows_of(wide=True, line_ends=False),
    above=st.lists(st.sampled_from(["", "  ", ",,,", ";;"]), max_size=3),
    style=st.sampled_from(["backslash", "single", "spaces", "minimal"]),
)
@GENERATED
def test_csv_in_other_styles(rows: Rows, above: list[str], style: str) -> None:
    def cell(text: str) -> str:
        if style == "backslash":
            return '"' + text.replace('"', '\\"') + '"'
        if style == "single":
            return "'" + text.replace("'", "''") + "'"
        return '"' + text.replace('"', '""') + '"'

    rows = [(first.replace("\\", "/"), second.replace("\\", "/"), label) for first, second, label in rows]
    header = ["sentence1", "sentence2", "label"]
    gap = ", " if style == "spaces" else ","
    lines = [",".join(map(cell, header) if style == "single" else header)]
    lines += [gap.join((cell(first), cell(second), str(label))) for first, second, label in rows]
    if style == "minimal":
        lines = as_csv(rows, ("sentence1", "sentence2", "label"), ("0", "1"), ",", 0, "\n").split("\n")[:-1]
    found, report = read_back("pairs.csv", "\n".join([*above, *lines]).encode())
    assert found == rows
    assert report.files[0].num_rows == len(rows)


def test_lines_above_a_header_never_become_rows(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(HEADER + BODY)
    (tmp_path / "test.csv").write_text("\n\nsentence1,sentence2\na,b\nc,d\n")
    dataset, _ = read_pairs(tmp_path)
    assert dataset["test"]["sentence1"][:] == ["a", "c"]
    said = refusal(tmp_path, "a.csv", f"Export of Monday\n\n{HEADER}{BODY}".encode())
    assert "The names stand in line 3: delete what is above it" in said


def test_curly_quotes_enclose_no_cell(tmp_path: Path) -> None:
    said = refusal(tmp_path, "a.csv", "“sentence1”,“sentence2”,“label”\n“a”,“b”,1\n".encode())
    assert "the names stand in “ and ”" in said


def test_a_cell_that_nobody_asks_for_may_be_long(tmp_path: Path) -> None:
    for name, num in (("right", 200_000), ("wrong", 600_000)):
        lines = "".join(f"a {at},b {at},{at % 2},{'x' * num}\n" for at in range(3))
        (tmp_path / f"{name}.csv").write_text(f'sentence1,sentence2,label,text\n"a\nb",c,1,x\n{lines}')
    assert read_pairs(tmp_path / "right.csv")[1].files[0].num_rows == 4
    with pytest.raises(DataError, match="line 4: a cell has more than 500,000 characters"):
        read_pairs(tmp_path / "wrong.csv", ["sentence1", "sentence2", "label"])


def test_errors_of_a_spreadsheet_are_pointed_out() -> None:
    for extra in ("", '"a ""quoted"" one",b,1\n'):  # whole columns, and row by row
        _, report = read_back("a.csv", f"{HEADER}{BODY}#NAME?,x,1\ny,#REF!,0\n{extra}".encode())
        assert "2 texts are errors of a spreadsheet" in " ".join(report.files[0].notes)


# JSON


@given(
    rows=rows_of(wide=True, line_ends=True),
    orient=st.sampled_from(["columns", "index", "split", "records", "table"]),
    data=st.data(),
)
@GENERATED
def test_json_in_every_form_of_pandas(rows: Rows, orient: Any, data: st.DataObject) -> None:
    frame = pd.DataFrame(rows, columns=["sentence1", "sentence2", "label"])
    frame.index = pd.Index(data.draw(st.permutations(range(len(rows)))))
    found, report = read_back("pairs.json", frame.to_json(orient=orient, force_ascii=False).encode())
    assert found == rows
    assert report.files[0].kind == "JSON"


def test_columns_of_json_are_joined_by_their_keys(tmp_path: Path) -> None:
    whole = {"sentence1": {"0": "a", "1": "c"}, "sentence2": {"1": "d", "0": "b"}, "label": {"0": 0, "1": 1}}
    found, _ = read_back("pairs.json", json.dumps(whole).encode())
    assert found == [("a", "b", 0), ("c", "d", 1)]
    whole["label"] = {"0": 0, "2": 1}
    said = refusal(tmp_path, "a.json", json.dumps(whole).encode())
    assert "the column 'label' has other rows than 'sentence1'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"train": [{"sentence1": "a"}], "test": [{"sentence1": "b"}]}', "several lists: 'train', 'test'"),
        ('{"columns": ["a", "b"], "index": [0], "data": [["x"]]}', "entry 1: ['x'] does not have 2 values"),
        ('[\n ["a", "b", 1]\n]', "entry 1: ['a', 'b', 1] is not an object in braces"),
        ("// a comment\n[]", "line 1: not JSON"),
        ('{"sentence1": ["a"], "sentence2": ["b", "c"]}', "is one JSON object with the keys"),
    ],
)
def test_json_that_is_no_table_is_told_so(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, "a.json", text.encode())


def test_objects_over_several_lines_one_after_the_other() -> None:
    rows = [("a", "b", 0), ("c", "d", 1), ("e", "f", 1)]
    objects = [dict(zip(("sentence1", "sentence2", "label"), row, strict=True)) for row in rows]
    found, _ = read_back("pairs.json", "\n".join(json.dumps(one, indent=2) for one in objects).encode())
    assert found == rows


def test_null_is_an_empty_sentence_in_json_as_in_parquet(tmp_path: Path) -> None:
    lines = [json.dumps({"sentence1": f"a {at}", "sentence2": "b", "label": at % 2}) for at in range(40)]
    lines.append('{"sentence1": null, "sentence2": "b", "label": 1}')
    _, report = read_back("pairs.jsonl", "\n".join(lines).encode())
    assert report.files[0].left_out[0].places == ["line 41"]
    assert "line 1: sentence1 is empty" in refusal(tmp_path, "a.jsonl", lines[-1].encode())


# Labels


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (["not-equivalent", "equivalent"], [0, 1]),
        (["Non Equivalent", "EQUIVALENT"], [0, 1]),
        (["mismatch", "match"], [0, 1]),
        (["irrelevant", "relevant"], [0, 1]),
        (["entailment", "neutral"], [1, 0]),
        (["duplicate", "unique"], [1, 0]),
        (["nein", "ja"], [0, 1]),
        (["Different", "different ", "Same", "same"], [0, 0, 1, 1]),
        (["Not duplicate", "duplicate", "not_duplicate"], [0, 1, 0]),
    ],
)
def test_names_of_classes_however_they_are_spelled(labels: list[str], numbers: list[int]) -> None:
    rule = understand_labels({label.strip(): 1 for label in labels})
    assert [rule.numbers[label.strip()] for label in labels] == numbers


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["-1", "0", "1"], "A label -1 says that there is none"),
        (["-1", "1"], "A label -1 says that there is none"),
        (["0", "2"], "labels are 0 and 2: numbers, but not 0 and 1"),
        (["0.5", "1.5"], "scores of similarity"),
    ],
)
def test_numbers_that_are_no_labels(labels: list[str], said: str) -> None:
    with pytest.raises(LabelProblem) as problem:
        understand_labels(dict.fromkeys(labels, 1))
    assert said in problem.value.found


@pytest.mark.parametrize("label", ["0,0;1,0", "0.00;1.00", "0;+1", " 0 ; 1 "])
def test_numbers_as_spreadsheets_write_them(label: str) -> None:
    lines = "".join(f"a {at};b {at};{label.split(';')[at % 2]}\n" for at in range(4))
    found, _ = read_back("a.csv", f"sentence1;sentence2;label\n{lines}".encode())
    assert [row[2] for row in found] == [0, 1, 0, 1]


def test_decimals_are_numbers(tmp_path: Path) -> None:
    labels = pa.array([Decimal(0), Decimal(1), Decimal(1)], pa.decimal128(4, 1))
    pq.write_table(
        pa.table({"sentence1": list("abc"), "sentence2": list("def"), "label": labels}),
        tmp_path / "a.parquet",
    )
    assert sorted(read_pair_file(tmp_path / "a.parquet")[0][at].label for at in range(3)) == [0, 1, 1]


def test_names_of_a_run_are_known_in_pairs_for_its_models() -> None:
    pairs, report = read_lines("a\tb\tja\nc\td\tJA", label_names=("nein", "ja"))
    assert [pair.label for pair in pairs] == [1, 1]
    assert "ja became 1" in " ".join(report.notes)
    with pytest.raises(DataError, match="label is 'ja'"):
        read_lines("a\tb\tja")


@pytest.mark.parametrize("label", ["?", "NA", "nan", "None", "N/A"])
def test_a_test_split_whose_labels_are_not_known(tmp_path: Path, label: str) -> None:
    (tmp_path / "train.csv").write_text(HEADER + BODY)
    (tmp_path / "test.csv").write_text(HEADER + f"a,b,{label}\nc,d,{label}\n")
    assert read_pairs(tmp_path)[1].splits["test"].num_labels is None


def write_named(path: Path, names: list[str], labels: list[int]) -> None:
    kinds = Features(
        {"sentence1": Value("string"), "sentence2": Value("string"), "label": ClassLabel(names=names)}
    )
    texts = [f"{path.stem} {at}" for at in range(len(labels))]
    Dataset.from_dict({"sentence1": texts, "sentence2": texts, "label": labels}, features=kinds).to_parquet(
        path
    )


def test_class_names_of_several_files_must_agree(tmp_path: Path) -> None:
    write_named(tmp_path / "train.parquet", ["same", "other"], [0, 1, 0])
    write_named(tmp_path / "test.parquet", ["other", "same"], [0, 1, 0])
    with pytest.raises(DataError, match=r"train\.parquet calls its classes 'same', 'other', and .*test"):
        read_pairs(tmp_path)


def test_two_of_three_classes_keep_their_names(tmp_path: Path) -> None:
    write_named(tmp_path / "train.parquet", ["entailment", "neutral", "contradiction"], [0, 1, 0, 1])
    assert read_pairs(tmp_path)[1].label_names == ("entailment", "neutral")


# Folders


def test_files_above_the_folder_that_is_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text(HEADER + BODY)
    for name in ("test.csv", "notes.csv"):
        (tmp_path / name).write_text(HEADER + BODY)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "test.csv").write_text(HEADER + BODY)
    assert sorted(read_pairs(tmp_path)[1].not_read) == ["../more/", "../notes.csv", "../test.csv"]


def test_leftovers_of_programs_are_no_data(tmp_path: Path) -> None:
    for name in ("pairs.csv", "~$pairs.csv", "._pairs.csv", ".~lock.pairs.csv#"):
        (tmp_path / name).write_text(HEADER + BODY)
    assert read_pairs(tmp_path)[1].not_read == []


def test_a_folder_with_the_name_of_a_file_is_shown_as_one(tmp_path: Path) -> None:
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(DataError, match=r"has no train split: found 'train\.csv/'"):
        read_pairs(tmp_path)


@pytest.mark.parametrize("label", ["\ud800", "a\nb", "x" * 101])
def test_a_label_is_one_short_line(tmp_path: Path, label: str) -> None:
    lines = [json.dumps({"sentence1": f"a {at}", "sentence2": "b", "label": label}) for at in range(3)]
    said = refusal(tmp_path, "a.jsonl", "\n".join(lines).encode())
    assert "it must be one line of at most 100 characters" in said


def test_names_that_are_no_text(tmp_path: Path) -> None:
    row = {"sentence1": "a", "sentence2": "b", "label": 1, "\ud800": 2}
    assert "holds half of a surrogate pair" in refusal(tmp_path, "a.jsonl", json.dumps(row).encode())
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text(HEADER + BODY)
    (folder / "caf\udce9.csv").write_text(HEADER + BODY)  # a name in Latin-1
    assert read_pairs(folder)[1].not_read == ["caf?.csv"]
    with pytest.raises(InputError, match="this name is not UTF-8"):
        read_pairs(folder / "caf\udce9.csv")
