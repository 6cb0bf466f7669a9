"""HTML as a browser reads it, so that tests ask for elements, roles and text instead of substrings."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ROLES = {
    "table": "table",
    "tr": "row",
    "td": "cell",
    "th": "columnheader",
    "button": "button",
    "li": "listitem",
}


class Element:
    """One element, with everything inside it."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Element | None = None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.inside: list[Element | str] = []

    @property
    def raw_text(self) -> str:
        """All characters in it."""
        return "".join(part if isinstance(part, str) else part.raw_text for part in self.inside)

    @property
    def text(self) -> str:
        """Its text, with each run of white space as one space."""
        return " ".join(self.raw_text.split())

    @property
    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    @property
    def role(self) -> str:
        """Its role, given or usual for its tag; "" where a test asked for none yet."""
        return self.attributes.get("role", ROLES.get(self.tag, ""))

    def walk(self) -> Iterator[Element]:
        """Yield every element inside it, in the order of the document."""
        for part in self.inside:
            if isinstance(part, Element):
                yield part
                yield from part.walk()

    def all(self, tag: str = "", *, cls: str = "", role: str = "", **attributes: str) -> list[Element]:
        """Return the elements inside it with this tag, these classes, this role and these attributes.

        An underscore in an attribute's name stands for a hyphen.
        """
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.walk()
            if (not tag or element.tag == tag)
            and set(cls.split()) <= element.classes
            and (not role or element.role == role)
            and all(element.attributes.get(name) == value for name, value in wanted.items())
        ]

    def one(self, tag: str = "", **wanted: str) -> Element:
        """Return the only such element; fails where there is none, or more than one."""
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} elements for {tag} {wanted}"
        return found[0]

    def rows(self) -> list[list[str]]:
        """Return the text of each cell of each row of the bodies of tables in it."""
        return [
            [cell.text for cell in row.inside if isinstance(cell, Element) and cell.tag in {"td", "th"}]
            for body in self.all("tbody")
            for row in body.all("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.here = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.inside.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.inside.append(data)


def parse(source: str) -> Element:
    """Read HTML; fails where an element is not closed by its own tag."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.tag}> is not closed"
    return reader.root
