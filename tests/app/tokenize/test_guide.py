"""The guide to the Inspect tab names tests and pictures that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[3]
GUIDE = PROJECT_DIR / "assets" / "readme" / "tokenize.md"


def test_every_test_that_is_named_exists():
    named, file = [], ""
    for part in re.findall(r"`((?:tests/[\w/]+\.py)?::\w+)`", GUIDE.read_text()):
        file, name = part.split("::")[0] or file, part.split("::")[1]  # "::name" is in the file before it
        named.append(name)
        functions = {
            node.name
            for node in ast.parse((PROJECT_DIR / file).read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{file} has no {name}"
    assert len(named) > 20


def test_every_picture_is_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([\w-]+\.png)\)", GUIDE.read_text())
    assert len(pictures) == 4
    for picture in pictures:
        assert (GUIDE.parent / picture).stat().st_size < 300_000
