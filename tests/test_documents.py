"""What the documents name exists: tests, files of the project, pictures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "assets" / "readme").glob("*.md")),
]

_NAMED = re.compile(r"`((?:tests/[\w/]+\.py)?)::([\w:]+)`")
"""``tests/file.py::name``, or ``::name`` for another test of the file that was named before it."""

_PATH = re.compile(r"`((?:mrpc|tests|benchmarks|assets)/[\w/.-]+?)(?:::\w+)*`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")


def names_in(path: Path) -> set[str]:
    """Return the tests of a file as pytest names them, without their parameters."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    missing, file = [], ""
    for named, name in _NAMED.findall(document.read_text(encoding="utf-8")):
        file = named or file
        if name not in names_in(ROOT / file):
            missing.append(f"{file}::{name}")
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_and_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = [ROOT / path for path in _PATH.findall(text)] + [
        document.parent / link for link in _LINK.findall(text)
    ]
    assert [str(path) for path in paths if not path.exists()] == []
