"""Python code in colour, by Pygments: the ``python`` filter of the templates."""

from __future__ import annotations

from markupsafe import Markup


def coloured(code: str) -> Markup:
    """Return code as HTML with a class for each kind of token: ``hl-k``, ``hl-s2``; see ``app.css``.

    Pygments is imported here, because the start of the page need not wait for it, and by its submodules:
    ``pygments.formatters`` itself replaces its module while it is imported, which two threads must not see.
    """
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.python import PythonLexer

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return Markup(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")))
