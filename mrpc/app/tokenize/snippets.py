"""The few lines of plain library code that do what a view shows: the macros of ``snippets.jinja``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jinja2


def snippet(name: str, **values: object) -> str:
    """Return code with the values of a view in it.

    Args:
        name: of a macro in ``snippets.jinja``.
        values: its arguments, by the names that they have there.
    """
    return str(getattr(_macros(), name)(**values)).strip() + "\n"


@cache
def _macros() -> object:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # it becomes Python, which the page's own templates escape
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = _quoted
    environment.filters["bare"] = lambda name: name if name.isidentifier() else _quoted(name)
    return environment.get_template("snippets.jinja").module


def _quoted(text: str) -> str:
    """Write a text as Python does, in double quotes: JSON's escapes are Python's too."""
    return json.dumps(text, ensure_ascii=False)
