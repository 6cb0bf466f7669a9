"""Paths through the app: a teacher's file becomes stops, and a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrpc.app.paths import read_path, read_paths
from mrpc.errors import DataError

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


def test_the_paths_that_come_with_the_app_can_be_read() -> None:
    assert all(len(path.stops) >= 5 for path in read_paths())
