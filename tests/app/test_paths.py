"""Paths through the app: a teacher's file becomes stops, and a mistake in it is named."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from mrpc.app.guides import PATHS_DIR, read_path, read_paths
from mrpc.app.templates import APP_DIR, render
from mrpc.errors import DataError
from tests.html import parse

STOP = """## How long is a batch?

Question: Eight pairs of different lengths become one tensor.
How long is it?
Link: ?at=inspect/batch&rows=train
Answer: As long as its longest pair: the rest is padding.
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.md"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_path_of_a_teacher(tmp_path: Path) -> None:
    path = read_path(write(tmp_path, f"# My path\n\nFor\nMonday.\n\n{STOP}\n{STOP}"))
    assert (path.name, path.title, path.about, len(path.stops)) == ("mine", "My path", "For Monday.", 2)
    stop = path.stops[0]
    assert stop.title == "How long is a batch?"
    assert stop.question.endswith("How long is it?")
    assert stop.answer == "As long as its longest pair: the rest is padding."
    assert stop.at == "inspect/batch"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("# Only a title", "heading"),
        (f"No title\n{STOP}", "first line"),
        (f"# T\n{STOP.replace('Answer', 'Reply')}", "Answer is missing"),
        (f"# T\n{STOP.replace('?at=inspect/batch', 'https://evil.example/?x')}", "a link is"),
        (f"# T\n{STOP.replace('at=inspect/batch', 'at=javascript:alert(1)')}", "a link is"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_path(write(tmp_path, text))


def test_a_mistake_in_one_file_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, f"# My path\n\n{STOP}")
    (tmp_path / "broken.md").write_text("No title", encoding="utf-8")
    (tmp_path / "odd.md").write_bytes(b"# \xff")
    broken, mine, odd = read_paths(tmp_path)
    assert (len(mine.stops), mine.problem) == (1, "")
    assert "broken.md needs a first line" in broken.problem
    assert "odd.md cannot be used" in odd.problem
    shown = parse(render("templates/paths.html", paths=[broken, mine])).text
    assert "broken.md needs a first line" in shown
    assert "How long is a batch?" in shown


def test_the_paths_that_come_with_the_app_can_be_read() -> None:
    assert all(len(path.stops) >= 5 and not path.problem for path in read_paths())


def test_what_links_hold_is_known_to_the_page_and_explained_to_teachers() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in APP_DIR.rglob("*.py"))
    known = {"at", "open", *re.findall(r'Linked\("(\w+)"', sources)}
    guide = (PATHS_DIR.parent / "course-paths.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE))
    assert explained == known
    for path in read_paths():
        for stop in path.stops:
            assert set(parse_qs(stop.link.removeprefix("?"))) <= known, stop.title
