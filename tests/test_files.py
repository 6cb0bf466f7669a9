"""Files: whole or not at all when written, and regular and small when read."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mrpc import files

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


class Note(BaseModel):
    text: str


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "note.json"
    files.write_model(path, Note(text="first"))
    files.write_model(path, Note(text="second"))
    assert files.read_model(path, Note) == Note(text="second")
    assert path.read_bytes().endswith(b"}\n")
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    files.write_bytes(path, b"old")
    with pytest.raises(OSError, match="No space"), files.replacing(path) as file:  # noqa: PT012 - inside a block
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    for content in ("first", "second"):
        with files.replacing_folder(folder) as beside:
            (beside / "file").write_text(content)
            assert beside.name.startswith(".best.")
    with pytest.raises(KeyboardInterrupt), files.replacing_folder(folder) as beside:  # noqa: PT012 - as above
        (beside / "file").write_text("half")
        raise KeyboardInterrupt
    assert (folder / "file").read_text() == "second"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_is_missing_foreign_or_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    assert files.read_small(path) is None
    assert files.read_tail(path, 5) == b""
    path.write_bytes(b"0123456789")
    assert files.read_small(path, max_bytes=10) == b"0123456789"
    assert files.read_small(path, max_bytes=9) is None
    assert files.read_tail(path, 3) == b"789"
    assert files.read_tail(path, 30) == b"0123456789"
    assert files.read_model(path, Note) is None
    assert files.read_small(tmp_path) is None


@posix
@pytest.mark.timeout(60)  # the open of a pipe would wait for a writer
def test_links_and_pipes_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        assert files.read_small(tmp_path / name) is None
        assert files.read_tail(tmp_path / name, 5) == b""
        with pytest.raises(FileNotFoundError, match=name):
            files.open_regular(tmp_path / name)


def test_files_and_folders_are_synced_where_the_system_can(tmp_path: Path, monkeypatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    (tmp_path / "file").write_bytes(b"")
    files.sync(tmp_path / "file")
    files.sync(tmp_path)
    assert len(synced) == 2
    monkeypatch.setattr(files.os, "name", "nt")
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    files.sync(tmp_path)
    assert len(synced) == 2


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")'])
def test_a_formula_becomes_text(cell: str) -> None:
    (_, row) = list(csv.reader(io.StringIO(files.csv_text(["a"], [[cell]]), newline="")))
    assert row == [f"'{cell}"]


def test_numbers_stay_numbers() -> None:
    assert files.csv_text(["a", "b"], [[-0.5, None]]) == "a,b\r\n-0.5,\r\n"


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=5))
def test_what_is_written_reads_back(rows: list[tuple[str, str]]) -> None:
    text = files.csv_text(["a", "b"], rows)
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for before, after in zip(rows, back, strict=True):
        assert [cell.removeprefix("'") for cell in after] == [cell.removeprefix("'") for cell in before]
        assert not any(cell.startswith(files.FORMULA_STARTS) for cell in after)
