"""The sources of sentence pairs: what they give, what they refuse, and what they cost."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrpc.core.data.load import load_data, select_train_pairs
from mrpc.core.data.pairs import LABEL_NAMES, MAX_SENTENCE_CHARS, SentencePair, check_pair
from mrpc.core.data.read import read_pairs
from mrpc.core.data.split_rows import RowHash, features
from mrpc.core.data.table import Limits
from mrpc.errors import DataError, PairError
from tests.tiny import tiny_rows, write_jsonl

ROOT = Path(__file__).resolve().parents[3]

Write = Callable[[Path, list[dict[str, Any]]], None]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pa.parquet.write_table(pa.Table.from_pylist(rows), path)


WRITERS: dict[str, Write] = {".jsonl": write_jsonl, ".csv": write_csv, ".parquet": write_parquet}


def write_folder(directory: Path, suffix: str = ".jsonl", train: list[dict[str, Any]] | None = None) -> Path:
    directory.mkdir(exist_ok=True)
    WRITERS[suffix](directory / f"train{suffix}", tiny_rows(8) if train is None else train)
    write_jsonl(directory / "validation.jsonl", tiny_rows(4, 8))
    write_jsonl(directory / "test.jsonl", tiny_rows(4, 12))
    return directory


# What the sources give


def test_a_folder(tiny_data_dir: Path) -> None:
    data = load_data("auto", tiny_data_dir)
    assert {split: len(rows) for split, rows in data.dataset.items()} == {
        "train": 64,
        "validation": 16,
        "test": 16,
    }
    train = data.dataset["train"]
    assert train.column_names == ["sentence1", "sentence2", "label", "idx"]
    assert train.features["label"].names == list(LABEL_NAMES) == ["not_equivalent", "equivalent"]
    assert train.to_list() == tiny_rows(64)
    assert str(train.split) == "train"
    assert (data.kind, data.data_dir) == ("folder", tiny_data_dir)
    assert data.reason == f"The folder {tiny_data_dir.name}."
    assert re.fullmatch("[0-9a-f]{16}", data.fingerprint)
    assert list(data.split_fingerprints) == ["train", "validation", "test"]


def test_the_sample() -> None:
    data = load_data("sample")
    assert (data.kind, data.data_dir) == ("sample", None)
    assert min(map(len, data.dataset.values())) >= 40
    assert data.dataset["train"].column_names == ["sentence1", "sentence2", "label", "idx"]
    # Without a network auto says that it fell back, and why.
    fallen_back = load_data()
    assert (fallen_back.kind, fallen_back.fingerprint) == ("sample", data.fingerprint)
    assert "no folder is named" in fallen_back.reason
    assert "HF_HUB_OFFLINE" in fallen_back.reason


def test_the_real_corpus(mrpc_data_dir: Path) -> None:
    data = load_data("folder", mrpc_data_dir)
    counts = {split: (len(rows), sum(rows["label"])) for split, rows in data.dataset.items()}
    assert counts == {"train": (3668, 2474), "validation": (408, 279), "test": (1725, 1147)}
    assert data.dataset["train"][14]["idx"] == 15
    assert data.fingerprint == "240173169f4b49ac"


@pytest.mark.parametrize("suffix", WRITERS)
def test_all_formats_give_the_same_rows(tmp_path: Path, tiny_data_dir: Path, suffix: str) -> None:
    rows = tiny_rows(64)
    rows[0]["sentence1"] = 'He said: "No,\nnever", and left.'
    rows[1]["sentence2"] = "Zürich, 東京, Ελλάδα 🌍 e\u0301."
    rows[2]["sentence1"] = "NA"
    rows[3]["sentence1"] = "123"
    expected = load_data("folder", write_folder(tmp_path / "expected", train=rows))
    data = load_data("folder", write_folder(tmp_path / "data", suffix, train=rows))
    assert data.dataset["train"].to_list() == rows
    assert data.fingerprint == expected.fingerprint


@pytest.mark.parametrize("suffix", WRITERS)
def test_without_idx_rows_are_numbered_and_other_columns_left_out(tmp_path: Path, suffix: str) -> None:
    rows = [
        {"phenomenon": "other", **{key: row[key] for key in ("sentence2", "label", "sentence1")}}
        for row in tiny_rows(8, 100)
    ]
    train = load_data("folder", write_folder(tmp_path, suffix, train=rows)).dataset["train"]
    assert train["idx"][:] == list(range(8))
    assert train.column_names == ["sentence1", "sentence2", "label", "idx"]
    assert train["sentence1"][:] == [row["sentence1"] for row in rows]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_byte_order_mark_and_windows_line_ends(tmp_path: Path, suffix: str) -> None:
    write_folder(tmp_path, suffix)
    path = tmp_path / f"train{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert load_data("folder", tmp_path).dataset["train"].to_list() == tiny_rows(8)


def test_blank_lines_and_a_missing_last_newline(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text().replace("\n", "\n\n").rstrip("\n"))
    assert load_data("folder", tmp_path).dataset["train"].to_list() == tiny_rows(8)


def test_parquet_of_other_whole_number_types(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train.jsonl").unlink()
    schema = {
        "sentence1": pa.large_string(),
        "sentence2": pa.string(),
        "label": pa.int8(),
        "idx": pa.uint64(),
    }
    table = pa.Table.from_pylist(tiny_rows(8), schema=pa.schema(schema))
    pa.parquet.write_table(table, tmp_path / "train.parquet", row_group_size=3)
    assert load_data("folder", tmp_path).dataset["train"].to_list() == tiny_rows(8)


# The fingerprint


@given(cuts=st.lists(st.integers(1, 39), max_size=6, unique=True).map(sorted))
@settings(max_examples=30, deadline=None)
def test_the_fingerprint_does_not_depend_on_batches(cuts: list[int]) -> None:
    batch = pa.RecordBatch.from_pylist(tiny_rows(40), schema=features().arrow_schema)
    whole, parts = RowHash(), RowHash()
    whole.update(batch)
    for start, end in zip([0, *cuts], [*cuts, 40], strict=True):
        parts.update(batch.slice(start, end - start))
    assert parts.hexdigest() == whole.hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"sentence1": "The city closed one road."},
        {"label": 1},
        {"idx": 99},
        {"sentence1": "ab", "sentence2": "c"},
        {"sentence1": "a", "sentence2": "bc"},
    ],
)
def test_the_fingerprint_sees_every_change(tmp_path: Path, change: dict[str, Any]) -> None:
    rows = tiny_rows(8)
    before = load_data("folder", write_folder(tmp_path / "before", train=rows))
    changed = [{**rows[0], **change}, *rows[1:]]
    after = load_data("folder", write_folder(tmp_path / "after", train=changed))
    assert after.fingerprint != before.fingerprint
    assert after.split_fingerprints["train"] != before.split_fingerprints["train"]
    assert after.split_fingerprints["test"] == before.split_fingerprints["test"]
    swapped = load_data("folder", write_folder(tmp_path / "swapped", train=rows[::-1]))
    assert swapped.fingerprint != before.fingerprint


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = load_data("folder", tmp_path)
    path = tmp_path / "train.jsonl"
    stat = path.stat()
    text = path.read_text()
    path.write_text(text.replace("closed one", "closed two", 1))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time
    assert path.stat().st_size == stat.st_size
    assert load_data("folder", tmp_path).fingerprint != before.fingerprint


def test_nothing_is_written_beside_the_data(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    train = load_data("folder", tmp_path).dataset["train"]
    train.map(lambda row: {"length": len(row["sentence1"])})
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


# Draws


def test_drawn_pairs_follow_the_seed(tiny_data_dir: Path) -> None:
    train = load_data("folder", tiny_data_dir).dataset["train"]
    drawn = select_train_pairs(train, 20, seed=5)["idx"][:]
    assert len(set(drawn)) == 20
    assert drawn == sorted(drawn) == select_train_pairs(train, 20, seed=5)["idx"][:]
    assert drawn != select_train_pairs(train, 20, seed=6)["idx"][:]
    assert set(drawn) < set(select_train_pairs(train, 30, seed=5)["idx"][:])
    for num in (0, 64, 1000):
        assert select_train_pairs(train, num, seed=5) is train


# What is refused


GOOD = {"sentence1": "a", "sentence2": "b", "label": 1, "idx": 0}

BAD_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "label too large": ({**GOOD, "label": 2}, "label is 2; it must be 0 .* or 1"),
    "label negative": ({**GOOD, "label": -1}, "label is -1; it must be 0"),
    "label missing": ({**GOOD, "label": None}, "label is missing; it must be 0"),
    "empty": ({**GOOD, "sentence1": ""}, "sentence1 is empty"),
    "only spaces": ({**GOOD, "sentence2": " \t\u3000 "}, "sentence2 is empty"),
    "too long": ({**GOOD, "sentence1": "x" * 10_001}, "sentence1 has 10,001 characters; at most 10,000"),
    "idx negative": ({**GOOD, "idx": -3}, "idx is -3; it must be a whole number"),
    "idx too large": ({**GOOD, "idx": 2**31}, "idx is 2147483648; it must be a whole number"),
    "idx missing": ({**GOOD, "idx": None}, "idx is given in some rows and missing in others"),
    "idx twice": ({**GOOD, "idx": 3}, "idx 3 stands at (line|row) [45] already"),
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("fault", BAD_ROWS)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, fault: str, suffix: str) -> None:
    row, said = BAD_ROWS[fault]
    rows = [*tiny_rows(5), row, *tiny_rows(3, 6)]
    if fault != "idx twice" and row["idx"] == 0:
        row = rows[5] = {**row, "idx": 5}
    write_folder(tmp_path, suffix, train=rows)
    line = {".jsonl": "line 6", ".csv": "line 7", ".parquet": "row 6"}[suffix]
    with pytest.raises(DataError, match=said) as refused:
        load_data("auto", tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / f'train{suffix}'}, {line}: ")


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{'sentence1': 1}", "not JSON: "),
    "cut off": (b'{"sentence1": "a", "sent', "not JSON: "),
    "not an object": (b"[1, 2]", r"\[1, 2\] is not an object"),
    "a missing key": (b'{"sentence1": "a", "label": 1, "idx": 9}', "sentence2 is missing; every pair needs"),
    "a number for a sentence": (
        b'{"sentence1": 5, "sentence2": "b", "label": 1, "idx": 9}',
        "sentence1 is 5; it must be text",
    ),
    "a word for a label": (
        b'{"sentence1": "a", "sentence2": "b", "label": "maybe", "idx": 9}',
        "label is 'maybe'; it must be 0",
    ),
    "a list for a label": (
        b'{"sentence1": "a", "sentence2": "b", "label": [1], "idx": 9}',
        r"label is \[1\]; it must be 0",
    ),
    "a fraction for a label": (
        b'{"sentence1": "a", "sentence2": "b", "label": 0.5, "idx": 9}',
        r"label is 0\.5; it must be 0",
    ),
    "half a surrogate pair": (
        b'{"sentence1": "a \\ud800", "sentence2": "b", "label": 1, "idx": 9}',
        "half of a surrogate pair",
    ),
    "a key twice": (
        b'{"sentence1": "a", "sentence1": "c", "sentence2": "b", "label": 1, "idx": 9}',
        "a key stands twice",
    ),
    "not UTF-8": (
        b'{"sentence1": "caf\xe9", "sentence2": "b", "label": 1, "idx": 9}',
        "byte 19, 0xE9, is not UTF-8",
    ),
    "nested beyond reason": (b"[" * 100_000, "not JSON: "),
    "an endless line": (
        b'{"sentence1": "a", "sentence2": "b", "label": 1, "idx": 9, "x": "' + b"x" * 9_000_000 + b'"}',
        "more than 500,000 bytes in one line",
    ),
}


@pytest.mark.parametrize("fault", BAD_LINES)
def test_a_bad_json_line_is_named(tmp_path: Path, fault: str) -> None:
    line, said = BAD_LINES[fault]
    write_folder(tmp_path)
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes() + b"\n" + line + b"\n" + path.read_bytes())
    with pytest.raises(DataError, match=said) as refused:
        load_data("auto", tmp_path)
    assert str(refused.value).startswith(f"{path}, line 10: ")
    assert len(str(refused.value)) < 500


BAD_CSV: dict[str, tuple[bytes, str]] = {
    "no header": (b"a,b,1\n", "line 1: the column sentence1 is missing"),
    "a missing column": (b"sentence1,label\na,1\n", "line 1: the column sentence2 is missing"),
    "a column twice": (
        b"sentence1,sentence2,label,label\na,b,1,1\n",
        "line 1: the column 'label' stands twice",
    ),
    "too few values": (
        b'sentence1,sentence2,label\n"a\nb",b,1\na,1\n',
        "line 4: 2 values where the header has 3",
    ),
    "not a number": (b"sentence1,sentence2,label\na,b,maybe\n", "line 2: label is 'maybe'; it must be 0"),
    "a fraction": (b"sentence1,sentence2,label\na,b,1.5\n", "line 2: label is 1.5; it must be 0"),
    "damaged UTF-8": (
        "sentence1,sentence2,label\ncafé,né,1\n".encode() + b"a,\xff,1\n",
        "line 3: byte 3, 0xFF, is not UTF-8",
    ),
    "no text at all": (
        b"sentence1,sentence2,label\na,b,1\na,\x81,1\n",
        "line 3: byte 3, 0x81, is neither UTF-8 nor Windows-1252",
    ),
    "only a header": (b"sentence1,sentence2,label\n", "has no rows"),
    "empty": (b"", "line 1: the column sentence1 is missing"),
    "a field without an end": (b'sentence1,sentence2,label\na,"b' + b"x" * 200_000, "line 2: "),
}


@pytest.mark.parametrize("fault", BAD_CSV)
def test_a_bad_csv_line_is_named(tmp_path: Path, fault: str) -> None:
    content, said = BAD_CSV[fault]
    write_folder(tmp_path)
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(DataError, match=said) as refused:
        load_data("auto", tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "train.csv"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"sentence1": ["a"], "label": [1]}, "the column sentence2 is missing"),
        ({"sentence1": ["a"], "sentence2": ["b"], "label": ["maybe"]}, "row 1: label is 'maybe'"),
        ({"sentence1": ["a"], "sentence2": ["b"], "label": [0.5]}, r"row 1: label is 0\.5"),
        ({"sentence1": ["a"], "sentence2": [3], "label": [1]}, "row 1: sentence2 is 3; it must be text"),
        (
            {"sentence1": [["a"]], "sentence2": ["b"], "label": [1]},
            r"row 1: sentence1 is \['a'\]; it must be",
        ),
        ({"sentence1": [b"\xff"], "sentence2": ["b"], "label": [1]}, "row 1: sentence1 is b'"),
    ],
)
def test_a_bad_parquet_column_is_named(tmp_path: Path, columns: dict[str, list[Any]], said: str) -> None:
    write_folder(tmp_path)
    (tmp_path / "train.jsonl").unlink()
    pa.parquet.write_table(pa.table(columns), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=said):
        load_data("auto", tmp_path)


def test_files_that_are_not_what_their_name_says(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train.jsonl").rename(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet is not a Parquet file"):
        load_data("auto", tmp_path)
    (tmp_path / "train.parquet").unlink()
    for content in (b"", b"\n \n", bytes(range(256)) * 10):
        (tmp_path / "train.jsonl").write_bytes(content)
        with pytest.raises(DataError, match=r"train\.jsonl"):
            load_data("auto", tmp_path)


def test_a_missing_or_doubled_split(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "test.csv").write_text("x")
    with pytest.raises(DataError, match=r"more than one test split: test\.jsonl, test\.csv"):
        load_data("auto", tmp_path)
    (tmp_path / "test.csv").unlink()
    (tmp_path / "train.jsonl").rename(tmp_path / "rows.jsonl")
    said = (
        r"has no train split: found 'validation\.jsonl', 'test\.jsonl', 'rows\.jsonl'\. Name the files train"
    )
    with pytest.raises(DataError, match=said):
        load_data("auto", tmp_path)


def test_a_source_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder or a file"):
        load_data("auto", tmp_path / "nowhere")
    with pytest.raises(DataError, match="none is named"):
        load_data("folder")
    with pytest.raises(DataError, match="'web'; it must be auto, hub, folder, sample"):
        load_data("web")


@pytest.mark.parametrize("suffix", WRITERS)
def test_limits(tmp_path: Path, suffix: str) -> None:
    write_folder(tmp_path, suffix)
    with pytest.raises(DataError, match=r"at most .*7 rows|more than 7 rows"):
        read_pairs(tmp_path, limits=Limits(max_rows=7))
    with pytest.raises(DataError, match="bytes; at most 100 are taken"):
        read_pairs(tmp_path, limits=Limits(max_file_bytes=100))


def test_refused_data_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    import datasets

    cache_dir = Path(datasets.config.HF_DATASETS_CACHE) / "mrpc-lab"
    load_data("sample")
    before = sorted(cache_dir.iterdir())
    write_folder(tmp_path, train=[*tiny_rows(100), {**GOOD, "label": 7}])
    with pytest.raises(DataError):
        load_data("auto", tmp_path)
    assert sorted(cache_dir.iterdir()) == before


# A typed pair


def test_a_typed_pair() -> None:
    first, second = "Two\nlines,\ta tab.", "Ünïcødé 🌍 עברית e\u0301"
    assert check_pair(first, second) == SentencePair(first, second)
    assert check_pair("x" * MAX_SENTENCE_CHARS, "b").sentence1 == "x" * 10_000


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (None, "is not text but NoneType"),
        (7, "is not text but int"),
        ("", "is empty. Type a sentence"),
        (" \n\u3000", "is empty"),
        ("x" * 100_000, "has 100,000 characters; at most 10,000 are taken. Shorten it"),
        ("a\0b", r"a control character, U\+0000, as character 2. Delete it"),
        ("a\x1b[31m", r"a control character, U\+001B"),
        ("a\ud800", r"half of a surrogate pair, U\+D800, as character 2"),
    ],
)
def test_a_typed_pair_that_is_refused(sentence: object, said: str) -> None:
    with pytest.raises(PairError, match=f"Sentence 1 .*{said}"):
        check_pair(sentence, "fine")
    with pytest.raises(PairError, match=f"Sentence 2 .*{said}"):
        check_pair("fine", sentence)


# What it costs

MEASURE = """
import json, re, sys, time
from pathlib import Path
from mrpc.core.data.load import load_data

def memory(name):  # not getrusage: a child inherits the peak of the process that started it
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

load_data("sample")
before, start = memory("VmRSS"), time.perf_counter()
data = load_data("folder", Path(sys.argv[1]))
middle = time.perf_counter()
again = load_data("folder", Path(sys.argv[1]))
print(json.dumps({
    "num": len(again.dataset["train"]), "same": data.fingerprint == again.fingerprint,
    "first_s": middle - start, "again_s": time.perf_counter() - middle, "growth": memory("VmHWM") - before,
}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.slow
def test_400_000_rows_stay_on_disk(tmp_path: Path) -> None:
    data_dir = write_folder(tmp_path / "data")
    line = json.dumps({"sentence1": "word " * 24, "sentence2": "other " * 20, "label": 1})
    (data_dir / "train.jsonl").write_text((line + "\n") * 400_000)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(data_dir)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    cost = json.loads(done.stdout)
    assert (cost["num"], cost["same"]) == (400_000, True)
    assert cost["growth"] < 90e6, cost  # bytes; the rows have 104 MB
    assert cost["again_s"] < 0.5, cost
