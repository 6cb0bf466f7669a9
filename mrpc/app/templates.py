"""Turn data into HTML: Jinja2 templates beside their views, with autoescape on.

A template is named by its path under ``mrpc/app/``: ``tokenize/pair.html`` stands beside ``pair_view.py``;
what several tabs show is a macro of ``templates/parts.html``. Text from outside goes in as it is and is
escaped there, so no Python here ever escapes by hand. Python code is coloured by Pygments.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mrpc.app import format
from mrpc.settings import root_path

APP_DIR = Path(__file__).resolve().parent


def open_templates(folder: Path, *, autoescape: bool, **options: Any) -> Environment:
    """Return the templates of a folder; a name that one uses and is not given is an error.

    Args:
        folder: where they stand.
        autoescape: True for HTML, False for code.
        options: further ones of Jinja.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


@cache
def _environment() -> Environment:
    environment = open_templates(APP_DIR, autoescape=True, auto_reload=False)
    environment.globals["root_path"] = root_path
    environment.filters.update(
        duration=format.render_duration,
        time=format.render_time,
        count=format.render_count,
        percent=format.render_percent,
        bytes=format.render_bytes,
        p_value=format.render_p_value,
        python=coloured,
    )
    return environment


def render(template: str, **data: object) -> str:
    """Render a template.

    Args:
        template: its path under ``mrpc/app/``.
        data: what it shows, by name. A name that the template uses and that is not here is an error.
    """
    return _environment().get_template(template).render(data)


def render_macro(template: str, macro: str, *arguments: object, **options: object) -> str:
    """Render one macro of a template."""
    module = _environment().get_template(template).module
    return str(getattr(module, macro)(*arguments, **options))


def render_part(macro: str, *arguments: object, **options: object) -> str:
    """Render one macro of ``templates/parts.html``, for example ``render_part("alert", message)``."""
    return render_macro("templates/parts.html", macro, *arguments, **options)


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
