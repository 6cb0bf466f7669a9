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
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mrpc.settings import Settings

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
SHARE_HOSTS = "*.gradio.live"
ANY_ADDRESS = ("0.0.0.0", "::")
ANY_IP = "<ip>"
"""Stands for every numeric address in the list of hosts."""

FRAMES_OF_A_SPACE = "https://huggingface.co https://*.hf.space"
NOT_SENDABLE = re.compile(rb"\\u[dD][89a-fA-F]|\d{19}")
"""How JSON writes half of a surrogate pair (two are one character), or a number beyond 64 bits."""


def answered_hosts(settings: Settings) -> list[str]:
    """Return the host names that are answered, without ports.

    ``*.`` in front means any subdomain, :data:`ANY_IP` any numeric address.
    """
    hosts = [*LOOPBACK_HOSTS, as_in_header(settings.host)]
    if settings.share:
        hosts.append(SHARE_HOSTS)
    if settings.space_host:
        hosts += [name.strip() for name in settings.space_host.split(",")]
    if settings.host in ANY_ADDRESS:
        name = socket.gethostname()
        hosts += [ANY_IP, name, f"{name.partition('.')[0]}.local"]
    hosts += map(as_in_header, settings.allowed_hosts)
    return list(dict.fromkeys(host.lower() for host in hosts))


def host_guards(settings: Settings) -> list[Middleware]:
    """Return the middleware that refuses foreign hosts, pages and frames, and mends broken characters."""
    hosts = answered_hosts(settings)
    is_space = settings.space_id is not None
    guards = [] if is_space else [Middleware(KnownHostMiddleware, hosts=hosts)]
    guards.append(Middleware(SameSiteMiddleware, hosts=hosts))
    frames = FRAMES_OF_A_SPACE if is_space else ""
    return [*guards, Middleware(FrameMiddleware, frames=frames), Middleware(WholeCharactersMiddleware)]


class KnownHostMiddleware:
    """Refuse a request whose Host header is none of ours."""

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 for a foreign host, else pass the request on."""
        if scope["type"] in {"http", "websocket"}:
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
            if not is_answered(_host_name(f"//{host}"), self.hosts):
                await PlainTextResponse("Invalid host header", 400)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class SameSiteMiddleware:
    """Refuse a request that changes something when a page of a host that is not ours sent it.

    Scripts send no ``Origin`` and are let through.
    """

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.names = [host for host in hosts if host != ANY_IP]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 for a foreign page, else pass the request on."""
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            headers = dict(scope["headers"])
            origin = headers.get(b"origin")
            host = headers.get(b"host", b"").decode("latin-1")
            if origin is not None and not self._is_ours(origin.decode("latin-1"), host):
                await PlainTextResponse("This request comes from a foreign page", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_ours(self, origin: str, host: str) -> bool:
        name = _host_name(origin)  # an address is ours only where the request is sent to it
        return is_answered(name, self.names) or (bool(name) and name == _host_name(f"//{host}"))


class FrameMiddleware:
    """Forbid other pages to show this one in a frame, where they could steal clicks."""

    def __init__(self, app: ASGIApp, frames: str) -> None:
        self.app = app
        self.header = (b"content-security-policy", f"frame-ancestors 'self' {frames}".strip().encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to every answer."""

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), self.header]}
            await send(message)

        await self.app(scope, receive, send_with_header if scope["type"] == "http" else send)


class WholeCharactersMiddleware:
    """Replace halves of surrogate pairs in a request's JSON: an answer that repeats one cannot be sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Mend the body of a request that carries JSON."""
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
        mended = mend_json(body)
        length = [(b"content-length", str(len(mended)).encode())]
        kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        is_sent = False

        async def receive_mended() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": mended, "more_body": False}

        await self.app({**scope, "headers": kept + length}, receive_mended, send)


def mend_json(body: bytes) -> bytes:
    """Return JSON that an answer could repeat: U+FFFD for half a character, a float for an endless number."""
    if NOT_SENDABLE.search(body) is None:
        return body
    try:
        return json.dumps(_mend(json.loads(body))).encode()
    except (ValueError, RecursionError):
        return body


def _mend(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int) and abs(value) >= 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
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
