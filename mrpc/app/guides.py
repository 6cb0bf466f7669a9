"""The guides of ``docs/`` as pages of their own, so that a fold can link to what says more about it.

They are served to everybody, as the style sheets are: they say nothing of this app's data or runs.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mrpc.app.templates import render

DOCS_DIR = Path(__file__).resolve().parents[2] / "docs"
GUIDES = frozenset({"agents.md", "course-paths.md", "data.md", "deploy.md", "publish.md"})
"""What is for those who use the app; the rest of the folder is for those who change it."""

PICTURES = frozenset({"model-card.png"})
LINK_IN_PROJECT = re.compile(r"(?<!!)\[([^]]+)\]\(((?:\.\./)*[\w/.-]+\.md)(?:#[\w-]*)?\)")


def guide_routes() -> list[BaseRoute]:
    """Return the route of the guides and their pictures."""
    return [Route("/guides/{name}", show_guide)]


async def show_guide(request: Request) -> Response:
    """Answer with a guide, or a picture of one."""
    name = request.path_params["name"]
    if name in PICTURES:
        return FileResponse(DOCS_DIR / name)
    if name in GUIDES:
        return HTMLResponse(guide_html(name))
    return PlainTextResponse("There is no such guide.", 404)


@cache
def guide_html(name: str) -> str:
    """Return a guide as a page; a link to a file of the project that is not served becomes plain text."""
    from markdown_it import MarkdownIt

    text = (DOCS_DIR / name).read_text(encoding="utf-8")
    text = LINK_IN_PROJECT.sub(lambda link: link[0] if link[2] in GUIDES else link[1], text)
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    tokens = parser.parse(text)
    headings = []
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            headings.append(content.content)
            token.attrSet("id", _anchor(content.content))
    body = Markup(parser.renderer.render(tokens, parser.options, {}))
    return render("templates/guide.html", title=headings[0], body=body)


def _anchor(heading: str) -> str:
    """Return what a link to a heading says, as GitHub writes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
