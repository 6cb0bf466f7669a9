"""Guards around every request: addresses of the local network, frames, halves of characters."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from mrpc.app.hosts import host_guards, repair_json
from mrpc.settings import Settings


async def echo(request: Request) -> Response:
    content = await request.body()
    if request.method == "GET":
        return JSONResponse("here")
    return Response(json.dumps(json.loads(content), ensure_ascii=False).encode(), media_type="text/json")


def guarded(settings: Settings) -> TestClient:
    routes = [Route("/", echo, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=host_guards(settings)))


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("0.0.0.0", "192.168.1.7:7860", 200),
        ("0.0.0.0", "10.0.0.3", 200),
        ("0.0.0.0", "[fe80::1]:7860", 200),
        ("::", "[2001:db8::7]:7860", 200),
        ("0.0.0.0", "evil.example", 400),
        ("0.0.0.0", "192.168.1.7.evil.example", 400),
        ("0.0.0.0", "0x7f000001.evil.example", 400),
        ("0.0.0.0", "", 400),
        ("127.0.0.1", "192.168.1.7:7860", 400),
        ("127.0.0.1", "127.0.0.1:7860", 200),
    ],
)
def test_addresses_are_answered_where_every_address_was_asked_for(bound: str, host: str, status: int) -> None:
    with guarded(Settings(host=bound)) as client:
        assert client.get("/", headers={"host": host}).status_code == status
        if status == 200:
            origin = f"http://{host}"
            assert client.post("/", json=1, headers={"host": host, "origin": origin}).status_code == 200
        evil = {"host": "localhost", "origin": "http://evil.example"}
        assert client.post("/", json=1, headers=evil).status_code == 403


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "frame-ancestors 'self'"),
        (
            {"space_id": "a/b", "space_host": "a-b.hf.space, lab.example"},
            "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
        ),
    ],
)
def test_no_other_page_shows_it_in_a_frame(settings: dict[str, Any], expected: str) -> None:
    host = "lab.example" if settings else "localhost"
    with guarded(Settings(**settings)) as client:
        for answer in (client.get("/", headers={"host": host}), client.get("/no", headers={"host": host})):
            assert answer.headers["content-security-policy"] == expected


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ({"data": ["a\ud800b"]}, {"data": ["a\ufffdb"]}),
        ({"\udfff": [1, None, {"x": "\udc00\ud800"}]}, {"\ufffd": [1, None, {"x": "\ufffd\ufffd"}]}),
        ("whole: \U0001f600 é", "whole: \U0001f600 é"),
        (["\\ud800", 1.5, True], ["\\ud800", 1.5, True]),
        ([2**70, -(2**70), 2**53, "9" * 30], [float(2**70), -float(2**70), 2**53, "9" * 30]),
    ],
)
def test_half_a_character_breaks_no_answer(sent: Any, got: Any) -> None:
    with guarded(Settings()) as client:
        headers = {"host": "localhost", "content-type": "application/json; charset=utf-8"}
        answer = client.post("/", content=json.dumps(sent).encode(), headers=headers)
        assert answer.status_code == 200
        assert answer.json() == got


def test_many_generated_bodies_can_be_sent_back() -> None:
    draw = random.Random(5)
    pieces = ["\ud800", "\udbff", "\udc00", "\udfff", "\U0001f600", "a", '"', "\\", "\\ud8", "\0", "é"]
    for _ in range(500):
        text = "".join(draw.choices(pieces, k=draw.randint(0, 8)))
        text = json.loads(json.dumps(text))  # two halves that meet are one character
        repaired = json.loads(repair_json(json.dumps({"data": [text, [text]]}).encode()))["data"]
        repaired[0].encode()
        assert repaired == [repaired[0], [repaired[0]]]
        try:
            text.encode()
        except UnicodeEncodeError:
            assert "\ufffd" in repaired[0]
        else:
            assert repaired[0] == text


@pytest.mark.parametrize("body", [b"", b"\\ud800", b'{"a": "\\ud800"', b"[" * 100_000 + b'"\\ud800"'])
def test_what_is_no_json_passes_as_it_is(body: bytes) -> None:
    assert repair_json(body) == body


def test_an_endless_number_becomes_infinite() -> None:
    assert repair_json(b"[1" + b"0" * 400 + b", -1" + b"0" * 400 + b"]") == b"[Infinity, -Infinity]"
