"""Which host names the app answers to, and whose pages may drive it.

A page of a stranger can point a name of its own at 127.0.0.1 (DNS rebinding) and then drive a local app
from the visitor's browser. So only names that are really used are answered, and a request that changes
something must come from a page of one of them. Where the user asked for every address (``--host 0.0.0.0``),
numeric ones are answered too: they are no name that a stranger could point somewhere.

A Space is public, and behind a proxy that may ask for it by names of its own: every name is answered there.
Its cookies travel with requests of other pages, so those of other pages are refused all the same.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import socket
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import psutil
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mrpc.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHARE_HOSTS = "*.gradio.live"
ANY_ADDRESS = ("0.0.0.0", "::")
ANY_IP = "<ip>"
"""Stands for every numeric address in the list of hosts."""

Header = tuple[bytes, bytes]

FRAMES_OF_A_SPACE = "https://huggingface.co https://*.hf.space"
NOT_SENDABLE = re.compile(rb"\\u[dD][89a-fA-F]|\d{19}")
"""How JSON writes half of a surrogate pair (two are one character), or a number beyond 64 bits."""


def answered_hosts(settings: Settings) -> list[str]:
    """Return the host names that are answered, without ports.

    ``*.`` in front means any subdomain, :data:`ANY_IP` any numeric address.
    """
    hosts = [as_in_header(host) for host in (*LOOPBACK, settings.host)]
    if settings.share:
        hosts.append(SHARE_HOSTS)
    if settings.space_host:
        hosts += [name.strip() for name in settings.space_host.split(",")]
    if settings.host in ANY_ADDRESS:
        name = socket.gethostname()
        hosts += [ANY_IP, name, f"{name.partition('.')[0]}.local"]
    hosts += map(as_in_header, settings.allowed_hosts)
    return list(dict.fromkeys(host.lower() for host in hosts))


def network_addresses() -> list[str]:
    """Return the IPv4 addresses by which other machines of the network may reach this one."""
    every = [one for each in psutil.net_if_addrs().values() for one in each]
    found = [ipaddress.ip_address(one.address) for one in every if one.family == socket.AF_INET]
    return [str(one) for one in found if not one.is_loopback and not one.is_link_local]


def host_guards(settings: Settings) -> list[Middleware]:
    """Return the middleware that refuses foreign hosts, pages and frames, and repairs broken characters."""
    hosts = answered_hosts(settings)
    is_space = settings.space_id is not None
    guards = [] if is_space else [Middleware(AskFirst, check=partial(refuse_foreign_host, hosts))]
    frames = FRAMES_OF_A_SPACE if is_space else ""
    policy = (b"content-security-policy", f"frame-ancestors 'self' {frames}".strip().encode())
    return [
        *guards,
        Middleware(AskFirst, check=partial(refuse_foreign_page, hosts)),
        Middleware(AddHeaders, headers_of=lambda request: [policy]),  # a page in a frame could steal clicks
        Middleware(WholeCharactersMiddleware),
    ]


class AskFirst:
    """Ask a function about each request: its answer is sent instead; where it has none, the app answers."""

    def __init__(self, app: ASGIApp, check: Callable[[HTTPConnection], Response | None]) -> None:
        self.app = app
        self.check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        is_request = scope["type"] in {"http", "websocket"}
        answer = self.check(HTTPConnection(scope)) if is_request else None
        await (answer or self.app)(scope, receive, send)


class AddHeaders:
    """Add to each answer the headers that a function names for its request."""

    def __init__(self, app: ASGIApp, headers_of: Callable[[HTTPConnection], list[Header]]) -> None:
        self.app = app
        self.headers_of = headers_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to its answer."""
        added = self.headers_of(HTTPConnection(scope)) if scope["type"] == "http" else []

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, send_with_headers if added else send)


def opens_page(request: HTTPConnection) -> bool:
    """Tell whether a request opens the page, in whatever state."""
    scope = request.scope
    return scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in {"/", ""}


def refuse_foreign_host(hosts: list[str], request: HTTPConnection) -> Response | None:
    """Refuse a request whose Host header is none of ours."""
    if is_answered(_host_name(f"//{request.headers.get('host', '')}"), hosts):
        return None
    return PlainTextResponse("Invalid host header", 400)


def refuse_foreign_page(hosts: list[str], request: HTTPConnection) -> Response | None:
    """Refuse a request that changes something when a page of a host that is not ours sent it.

    Scripts send no ``Origin`` and are let through. A numeric address is ours only where the request is sent
    to it.
    """
    origin = request.headers.get("origin")
    if origin is None or request.scope.get("method", "GET") in {"GET", "HEAD", "OPTIONS"}:
        return None
    name, host = _host_name(origin), _host_name(f"//{request.headers.get('host', '')}")
    if is_answered(name, [ours for ours in hosts if ours != ANY_IP]) or (name and name == host):
        return None
    return PlainTextResponse("This request comes from a foreign page", 403)


class WholeCharactersMiddleware:
    """Replace halves of surrogate pairs in a request's JSON: an answer that repeats one cannot be sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Repair the body of a request that carries JSON."""
        headers = dict(scope.get("headers", []))
        is_json = scope["type"] == "http" and b"json" in headers.get(b"content-type", b"").lower()
        if not is_json:
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the sender is gone
            body, more = body + message.get("body", b""), message.get("more_body", False)
        repaired = repair_json(body)
        length = [(b"content-length", str(len(repaired)).encode())]
        kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        is_sent = False

        async def receive_repaired() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": repaired, "more_body": False}

        await self.app({**scope, "headers": kept + length}, receive_repaired, send)


def repair_json(body: bytes) -> bytes:
    """Return JSON that an answer could repeat: U+FFFD for half a character, a float for an endless number."""
    if NOT_SENDABLE.search(body) is None:
        return body
    try:
        return json.dumps(_repair(json.loads(body))).encode()
    except (ValueError, RecursionError):
        return body


def _repair(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int) and abs(value) >= 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, list):
        return [_repair(item) for item in value]
    if isinstance(value, dict):
        return {_repair(key): _repair(item) for key, item in value.items()}
    return value


def is_answered(host: str, hosts: list[str]) -> bool:
    """Tell whether a host, as a Host header writes it without its port, is in the list."""
    if ANY_IP in hosts and _is_ip(host):
        return True
    return any(host == ours or (ours.startswith("*.") and host.endswith(ours[1:])) for ours in hosts)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _host_name(address: str) -> str:
    try:
        return as_in_header(urlsplit(address).hostname or "")
    except ValueError:
        return ""


def as_in_header(host: str) -> str:
    """Write an address as a Host header does: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
