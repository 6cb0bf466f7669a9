"""What ``docs/`` has for those who use the app: guides, and paths through the app.

Guides are pages of their own, so that a fold can link to what says more about it. They are served to
everybody, as the style sheets are: they say nothing of this app's data or runs.

A path is stops with a question, a link to the view that answers it, and the answer: a Markdown file in
``docs/paths/``, so a teacher writes one without touching code::

    # The chapter in fourteen stops

    What this path is about, in a sentence or two.

    ## How long is a batch?

    Question: Eight pairs of different lengths become one tensor. How long is it?
    Link: ?at=inspect/batch&batch_of=train&to=longest
    Answer: As long as its longest pair, 67 tokens; the rest is padding.

What may stand in a link is in ``docs/course-paths.md``. No gradio here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mrpc.app.templates import render
from mrpc.errors import DataError
from mrpc.files import PROJECT_DIR

DOCS_DIR = PROJECT_DIR / "docs"
GUIDES = frozenset({"agents.md", "course-paths.md", "data.md", "deploy.md", "publish.md"})
"""What is for those who use the app; the rest of the folder is for those who change it."""

PICTURES = frozenset({"model-card.png", "owner-and-visitor.png"})
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


PATHS_DIR = DOCS_DIR / "paths"
FIELDS = ("Question", "Link", "Answer")
MAX_PATH_CHARS = 100_000


@dataclass(frozen=True)
class Stop:
    """One stop of a path.

    Attributes:
        title: a few words.
        question: asked before one looks.
        link: the part of an address behind the page's own, "?at=tab/view&...".
        answer: shown when it is asked for.
    """

    title: str
    question: str
    link: str
    answer: str

    @property
    def at(self) -> str:
        """The tab and the view that it leads to, "tab/view"."""
        return parse_qs(self.link.removeprefix("?")).get("at", [""])[0]


@dataclass(frozen=True)
class CoursePath:
    """A path.

    Attributes:
        name: of its file, without ``.md``.
        title: what people call it.
        about: what it is about.
        stops: in order.
        problem: why the file cannot be used, or "".
    """

    name: str
    title: str
    about: str
    stops: Sequence[Stop]
    problem: str = ""


def read_path(file: Path) -> CoursePath:
    """Read a path.

    Raises:
        DataError: names the file, the stop and what is missing there.
    """
    text = file.read_text(encoding="utf-8")
    if len(text) > MAX_PATH_CHARS:
        raise DataError(f"{file.name} is longer than {MAX_PATH_CHARS:,} characters.")
    head, *stops = re.split(r"^## +", text, flags=re.MULTILINE)
    title, _, about = head.strip().partition("\n")
    if not title.startswith("# ") or not stops:
        raise DataError(f"{file.name} needs a first line '# Title' and a heading '## ...' for each stop.")
    return CoursePath(
        file.stem, title[2:].strip(), " ".join(about.split()), [_read_stop(file, stop) for stop in stops]
    )


def read_paths(folder: Path = PATHS_DIR) -> list[CoursePath]:
    """Read all paths of a folder, by the names of their files; a mistake in one does not hide the others."""
    return [_read_or_explain(file) for file in sorted(folder.glob("*.md"))]


def _read_or_explain(file: Path) -> CoursePath:
    try:
        return read_path(file)
    except DataError as error:
        why = str(error)
    except UnicodeDecodeError:
        why = "It is no text in UTF-8."
    except OSError as error:
        why = f"{error.strerror}."
    return CoursePath(file.stem, file.name, "", [], f"{file.name} cannot be used as a path. {why}")


def _read_stop(file: Path, text: str) -> Stop:
    title, _, body = text.strip().partition("\n")
    found: dict[str, str] = {}
    for part in re.split(rf"^(?=(?:{'|'.join(FIELDS)}):)", body, flags=re.MULTILINE):
        name, _, value = part.partition(":")
        if name in FIELDS:
            found[name] = " ".join(value.split())
    missing = [name for name in FIELDS if not found.get(name)]
    if missing:
        raise DataError(f"{file.name}, stop {title.strip()!r}: {' and '.join(missing)} is missing.")
    stop = Stop(title.strip(), found["Question"], found["Link"], found["Answer"])
    if not stop.link.startswith("?") or not re.fullmatch(r"[a-z]+(/[a-z]+)?", stop.at):
        raise DataError(f"{file.name}, stop {stop.title!r}: a link is '?at=tab/view&...', not {stop.link!r}.")
    return stop
