"""Data that is uploaded: read, kept beside the runs, found again, and let go of when nothing needs it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from mrpc.app.own_data import MAX_FILES, OwnData
from mrpc.app.train.start_view import report_html
from mrpc.config import build_config
from mrpc.core.data.load import LoadedData, load_data
from mrpc.errors import DataError, InputError, UnavailableError
from mrpc.runs.store import UNUSED_DATA_AGE_S, RunStore
from tests.tiny import tiny_rows, write_jsonl

EVIL = "<script>window.hurt = 1</script>"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture
def own(store: RunStore, tiny_data_dir: Path) -> OwnData:
    return OwnData(store, lambda: load_data("folder", tiny_data_dir))


def questions(path: Path, num: int = 40, extra: str = "") -> str:
    lines = [f"Où est la route {at}?;Where is road {at}?;{at % 2}" for at in range(num)]
    path.write_bytes("\r\n".join(["question1;question2;is_duplicate", *lines, extra]).encode("cp1252"))
    return str(path)


def test_a_file_is_kept_where_a_run_finds_it_again(own: OwnData, store: RunStore, tmp_path: Path) -> None:
    path = questions(tmp_path / "Fragen.csv")
    name = own.keep([path])
    os.unlink(path)
    loaded = own.get(name)
    assert isinstance(loaded, LoadedData)
    assert (loaded.name, len(loaded.dataset["train"]), len(loaded.dataset["validation"])) == (
        "Fragen.csv",
        36,
        4,
    )
    assert own.choices()[1:] == [("Fragen.csv (40 pairs)", name)]
    ref = own.ref(name)
    assert ref is not None
    assert ref.data_dir == store.data_dir / name
    assert own.name_of(ref) == name
    assert load_data(ref.kind, ref.data_dir, ref.columns).fingerprint == ref.fingerprint
    assert own.ref("") is None
    assert own.get("").kind == "folder"


def test_several_files_are_the_splits_of_one_data_set(own: OwnData, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "dev.jsonl", tiny_rows(4, 8))
    name = own.keep([questions(tmp_path / "train.csv"), str(tmp_path / "dev.jsonl")])
    loaded = own.get(name)
    assert loaded.name == "train.csv, dev.jsonl"
    assert (len(loaded.dataset["train"]), len(loaded.dataset["validation"])) == (40, 4)


def test_the_same_rows_of_another_file_have_the_report_of_that_file(own: OwnData, tmp_path: Path) -> None:
    first = own.keep([questions(tmp_path / "first.csv")])
    text = (tmp_path / "first.csv").read_bytes().decode("cp1252")
    (tmp_path / "second.tsv").write_text(text.replace(";", "\t"), encoding="utf-8")
    assert own.keep([str(tmp_path / "second.tsv")]) == first
    report = own.get(first).report
    assert (report.name, report.files[0].encoding, report.files[0].delimiter) == (
        "second.tsv",
        "UTF-8",
        "tab",
    )


def test_a_refusal_says_what_was_found_and_not_where_it_lies(own: OwnData, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("left,right,same\na,b,1\nc,d,0\ne,f,1\n")
    with pytest.raises(DataError, match=r"^pairs.csv, line 1: the column sentence1 is missing") as refused:
        own.keep([str(tmp_path / "pairs.csv")])
    assert "Found the columns 'left', 'right', 'same'" in str(refused.value)
    name = own.keep([str(tmp_path / "pairs.csv")], " left, right ,same")
    assert own.get(name).report.files[0].columns["sentence1"] == "left"
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"^The upload has no train split: found 'other.csv', 'pairs.csv'"):
        own.keep([str(tmp_path / "pairs.csv"), str(tmp_path / "other.csv")])


@pytest.mark.parametrize("paths", [None, [], "pairs.csv", [7], {}, [None]])
def test_what_is_no_upload_is_told_so(own: OwnData, paths: object) -> None:
    with pytest.raises(InputError, match="There is no file yet"):
        own.keep(paths)


@pytest.mark.parametrize("columns", [None, 7, ["a"], "x" * 201])
def test_columns_are_text(own: OwnData, tmp_path: Path, columns: object) -> None:
    with pytest.raises(InputError, match="columns are at most 200"):
        own.keep([questions(tmp_path / "a.csv")], columns)


def test_too_many_files_files_of_one_name_and_files_that_went(own: OwnData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"at most {MAX_FILES}"):
        own.keep([f"{number}.csv" for number in range(MAX_FILES + 1)])
    with pytest.raises(InputError, match="have one name"):
        own.keep(["a/train.csv", "b/TRAIN.csv"])
    with pytest.raises(UnavailableError, match="cannot be kept: No such file"):
        own.keep([str(tmp_path / "gone.csv")])


@pytest.mark.parametrize(
    "name", ["../../etc", "0" * 16, "0" * 15, "g" * 16, 7, ["a"], {}, "\ud800", f"{'0' * 16}\n", float("nan")]
)
def test_a_name_that_was_not_kept_opens_nothing(own: OwnData, name: object) -> None:
    with pytest.raises(InputError, match="There is no data set"):
        own.get(name)


def test_what_no_run_needs_goes_after_a_day(own: OwnData, store: RunStore, tmp_path: Path) -> None:
    kept, unused, new = (own.keep([questions(tmp_path / "a.csv", num)]) for num in (20, 21, 22))
    run = store.create(build_config({}), own.ref(kept))
    for name in (kept, unused):
        long_ago = time.time() - UNUSED_DATA_AGE_S - 60
        os.utime(store.data_dir / name, (long_ago, long_ago))
    store.remove(store.create(build_config({}), own.ref(new)))
    store.remove_unused_data()
    assert {path.name for path in store.data_dir.iterdir()} == {kept, new}
    shutil.move(run.paths.run_dir, store.runs_dir / ".trash" / run.run_id)
    store.remove_unused_data()
    assert (store.data_dir / kept).is_dir(), "a run in the trash may come back"
    store.empty_trash()
    assert {path.name for path in store.data_dir.iterdir()} == {new}


def test_runs_that_moved_with_their_folder_find_their_data(
    own: OwnData, store: RunStore, tmp_path: Path
) -> None:
    run = store.create(build_config({}), own.ref(own.keep([questions(tmp_path / "a.csv")])))
    moved = RunStore(tmp_path / "elsewhere")
    shutil.move(store.runs_dir, moved.runs_dir)
    ref = moved.open(run.run_id).config.data
    assert ref.data_dir is not None
    assert ref.data_dir.parent == moved.data_dir
    assert load_data(ref.kind, ref.data_dir).fingerprint == ref.fingerprint


def test_the_page_shows_what_was_understood(own: OwnData, tmp_path: Path) -> None:
    path = questions(tmp_path / "f.csv", extra=f"{EVIL};{EVIL};1\r\n;;\r\nWo ist Straße 1?;;1")
    html = report_html(own.get(own.keep([path])), is_own=True)
    for said in ("f.csv", "Windows-1252", "delimiter: semicolon", "sentence1 from question1", "is_duplicate"):
        assert said in html
    for said in (
        "1 row with an empty sentence (line 44)",
        "1 row without anything in it",
        "Drawn from train",
    ):
        assert said in html
    assert "41 pairs in 44 lines (1 of names)" in html
    assert "<script" not in html
