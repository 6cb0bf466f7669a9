"""Which host names the app answers to.

A page of a stranger can point a name of its own at 127.0.0.1 (DNS rebinding) and then drive a local app
from the visitor's browser. So only names that are really used are answered, and a request that changes
something must come from a page of one of them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mrpc.settings import Settings

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
SHARE_HOSTS = "*.gradio.live"
ANY_ADDRESS = ("0.0.0.0", "::")


def answered_hosts(settings: Settings) -> list[str]:
    """Return the host names that are answered, without ports; ``*.`` in front means any subdomain."""
    hosts = [*LOOPBACK_HOSTS, _as_in_header(settings.host)]
    if settings.share:
        hosts.append(SHARE_HOSTS)
    if settings.space_host:
        hosts.append(settings.space_host)
    hosts += map(_as_in_header, settings.allowed_hosts)
    return list(dict.fromkeys(host.lower() for host in hosts))


def host_guards(settings: Settings) -> list[Middleware]:
    """Return the middleware that refuses foreign hosts and foreign pages."""
    hosts = answered_hosts(settings)
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)]
    if settings.space_id is None:  # a public Space may be driven from anywhere, as any Space
        guards.append(Middleware(SameSiteMiddleware, hosts=hosts))
    return guards


class SameSiteMiddleware:
    """Refuse a request that changes something when a page of a host that is not ours sent it.

    Scripts send no ``Origin`` and are let through.
    """

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 for a foreign page, else pass the request on."""
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            origin = dict(scope["headers"]).get(b"origin")
            if origin is not None and not self._is_ours(origin.decode("latin-1")):
                await PlainTextResponse("This request comes from a foreign page", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_ours(self, origin: str) -> bool:
        try:
            name = urlsplit(origin).hostname
        except ValueError:
            return False
        host = _as_in_header(name or "")
        return any(host == ours or (ours.startswith("*.") and host.endswith(ours[1:])) for ours in self.hosts)


def _as_in_header(host: str) -> str:
    """Write an address as a Host header does: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
