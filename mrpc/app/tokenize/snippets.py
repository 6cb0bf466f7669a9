"""The few lines of plain library code that do what a view shows: the macros of ``snippets.jinja``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from mrpc.app.templates import open_templates


def snippet(name: str, **values: object) -> str:
    """Return code with the values of a view in it.

    Args:
        name: of a macro in ``snippets.jinja``.
        values: its arguments, by the names that they have there.
    """
    return str(getattr(_macros(), name)(**values)).strip() + "\n"


@cache
def _macros() -> object:
    # It becomes Python, which the page's own templates escape.
    environment = open_templates(Path(__file__).parent, autoescape=False)
    environment.filters["quoted"] = _quoted
    environment.filters["bare"] = lambda name: name if name.isidentifier() else _quoted(name)
    return environment.get_template("snippets.jinja").module


def _quoted(text: str) -> str:
    """Write a text as Python does, in double quotes: JSON's escapes are Python's too."""
    return json.dumps(text, ensure_ascii=False)
