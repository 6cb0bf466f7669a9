"""The guides that the page links to."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mrpc.app.guides import DOCS_DIR, GUIDES, PICTURES, guide_html, guide_routes
from mrpc.app.templates import APP_DIR
from tests.html import parse

LINKED = re.compile(r'"([\w-]+\.md(?:#[\w-]+)?)"')


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=guide_routes()))


@pytest.mark.parametrize("name", sorted(GUIDES))
def test_a_guide_is_a_page_whose_links_lead_somewhere(client: TestClient, name: str) -> None:
    answer = client.get(f"/guides/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = parse(answer.text)
    (title,) = page.all("h1")
    assert title.text in page.one("title").text
    for link in page.all("a"):
        address = link.attributes["href"]
        if not address.startswith("https://"):
            assert_leads_somewhere(address, name)
    for picture in page.all("img"):
        assert client.get(f"/guides/{picture.attributes['src']}").status_code == 200


def test_links_of_the_page_lead_somewhere() -> None:
    files = [*APP_DIR.rglob("*.py"), *APP_DIR.rglob("*.html")]
    linked = {link for file in files for link in LINKED.findall(file.read_text(encoding="utf-8"))}
    assert {link.partition("#")[0] for link in linked} == GUIDES
    for link in linked:
        assert_leads_somewhere(link, "")


def assert_leads_somewhere(address: str, here: str) -> None:
    name, _, anchor = address.partition("#")
    assert (name or here) in GUIDES
    assert not anchor or f'id="{anchor}"' in guide_html(name or here), address


@pytest.mark.parametrize("name", ["architecture.md", "..%2Fapp.py", "%2e%2e/app.py", "x", ""])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/guides/{name}").status_code == 404


def test_pictures_are_there() -> None:
    assert all((DOCS_DIR / name).is_file() for name in PICTURES)
