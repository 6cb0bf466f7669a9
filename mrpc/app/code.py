"""Python code in colour, by Pygments: the ``python`` filter of the templates."""

from __future__ import annotations

from markupsafe import Markup


def coloured(code: str) -> Markup:
    """Return code as HTML with a class for each kind of token: ``hl-k``, ``hl-s2``; see ``app.css``."""
    from pygments import highlight  # some tens of milliseconds that the start of the page need not wait for
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return Markup(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")))
