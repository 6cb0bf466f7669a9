"""Who may do what, decided in one place before any handler runs.

Everybody who reaches the page may look, type pairs and compare. What changes something (start, stop, rename,
delete, ...) is for the owner. Who that is depends on how the app is served:

========  =====================================================================================
local     bound to this machine alone: everybody who reaches it
open      ``--open``: everybody, because the owner said so
login     ``--auth``: everybody who logged in
link      ``--share``, or another address than loopback: who holds the owner's key
space     a Hugging Face Space: who holds the key ``MRPC_OWNER_KEY``, or signed in as its author
========  =====================================================================================

Every way to a handler (event, named endpoint, function index, MCP) ends in ``process_api`` of
:class:`mrpc.app.page.Page`, and a handler that does not say that visitors may call it is the owner's:
forgetting is safe. Server functions of elements and downloads only read. With ``MRPC_VISITORS=train`` a
visitor may also call what starts and stops previews; :mod:`mrpc.app.visitors` says which.

The owner's link carries a key that works once. Opening it sets a cookie and leads to the bare address, so the
key stays in no history, ``Referer`` or log. A script sends ``Authorization: Bearer KEY``, where the key is
the one of ``MRPC_OWNER_KEY``.
"""

from __future__ import annotations

import hmac
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import quote

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from mrpc.app.hosts import LOOPBACK, AddHeaders, AskFirst, opens_page
from mrpc.app.visitors import Caller, new_cookie, set_cookie, visitor_mark
from mrpc.errors import AccessError
from mrpc.settings import Settings, require_safe_key, root_path

COOKIE = "mrpc_owner"
KEY_NAME = "owner"
LOGINS_A_MINUTE = {"/login": 10}
UPLOADS_A_MINUTE = {"/upload": 20}
"""Requests that one address has a minute, by how their path ends: tries to log in, and files of visitors."""

ALL = "all addresses"
ADDRESSES_AT_ONCE = 6
"""So many times that for all addresses together: a proxy may hand on any address that a client claims."""


class Mode(StrEnum):
    """How the app is served, as far as it matters for who may do what."""

    LOCAL = "local"
    OPEN = "open"
    LOGIN = "login"
    LINK = "link"
    SPACE = "space"


def mode_of(settings: Settings) -> Mode:
    """Return how these settings serve the app."""
    if settings.space_id is not None:
        return Mode.SPACE
    if settings.auth is not None:
        return Mode.LOGIN
    if settings.open_to_all:
        return Mode.OPEN
    return Mode.LOCAL if settings.host in LOOPBACK and not settings.share else Mode.LINK


WAY = {
    Mode.LINK: "Open the owner's link, which the terminal printed when the app was started.",
    Mode.SPACE: "Duplicate this Space to train your own.",
}
SIGN_IN_PATH = "/login/huggingface?_target_url=/"
SIGN_OUT_PATH = "/logout?_target_url=/"


@dataclass(frozen=True)
class Standing:
    """What the page tells whoever looks at it of what they may do.

    Attributes:
        is_owner: whether they may do everything.
        trains: whether they may train previews, and stop their own.
        way: how a visitor becomes the owner.
        trouble: why a visitor who might train cannot, or "".
        name: as whom they signed in, or "".
        sign_in: where one signs in, or out; "" where one cannot.
        duplicate: where one makes a copy of the Space, or "".
    """

    is_owner: bool = True
    trains: bool = True
    way: str = ""
    trouble: str = ""
    name: str = ""
    sign_in: str = ""
    duplicate: str = ""


KEY_HEADER = "the key that MRPC_OWNER_KEY held when the app was started: Authorization: Bearer KEY."
KEY_ADVICE = f"This app asks for a login (--auth). An agent sends, instead, {KEY_HEADER}"


class Access:
    """Tells the owner from a visitor. One for a whole app; may be used from many threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.mode = mode_of(settings)
        self.trains_visitors = settings.visitors_train and self.mode in WAY
        self.has_sign_in = settings.has_sign_in and self.mode is Mode.SPACE
        self._author = settings.space_author or (settings.space_id or "").partition("/")[0]
        if settings.owner_key is not None:
            require_safe_key(settings.owner_key)
        self._lasting_key = settings.owner_key
        self._key: str | None = secrets.token_urlsafe(24) if self.mode is Mode.LINK else None
        self._token = secrets.token_urlsafe(24)
        self._lock = threading.Lock()

    @property
    def is_guarded(self) -> bool:
        """Whether there are visitors who are not the owner."""
        return self.mode in WAY

    def owner_path(self) -> str | None:
        """Return the path of the owner's link, as long as it was not opened; None where there is none."""
        return f"/?{KEY_NAME}={self._key}" if self._key is not None else None

    def take_key(self, key: str) -> str | None:
        """Exchange the owner's key for the value of the cookie; None for a wrong one.

        The key that the terminal printed works once, the one of ``MRPC_OWNER_KEY`` always.
        """
        with self._lock:
            if self._key is not None and _same(key, self._key):
                self._key = None
                return self._token
        return self._token if self._lasting_key and _same(key, self._lasting_key) else None

    def answer_owner_link(self, request: HTTPConnection) -> Response | None:
        """Answer the owner's link: set the cookie and lead to the bare address."""
        given = request.query_params.get(KEY_NAME) if opens_page(request) else None
        if not given:
            return None
        token = self.take_key(given)
        if token is None:
            text = "This link was used before, or is not valid. Start the app again for a new one."
            return PlainTextResponse(text, 403)
        answer = RedirectResponse(f"{root_path()}/", 303, headers={"Referrer-Policy": "no-referrer"})
        is_framed = self.mode is Mode.SPACE
        answer.raw_headers.append(set_cookie(request, COOKIE, token, is_framed=is_framed))
        return answer

    def is_owner(self, request: gr.Request | None) -> bool:
        """Tell whether a request comes from the owner.

        Args:
            request: as Gradio hands it on; None for a call from this very process.
        """
        if not self.is_guarded or request is None:
            return True
        return self._is_owner(_headers_of(request)) or self._is_author(request)

    def recognise(self, request: gr.Request | None) -> Caller:
        """Tell who sent a request."""
        if request is None or self.is_owner(request):
            return Caller(is_owner=True)
        client = getattr(request, "client", None)
        # On a Space every request comes from a proxy, and what that says of addresses anybody can say.
        address = "" if self.mode is Mode.SPACE else str(getattr(client, "host", ""))
        return Caller(False, visitor_mark(_headers_of(request)), address)

    def lets_agent_in(self, headers: Mapping[str, str]) -> bool:
        """Tell whether an agent may look: where people log in, it shows the key of ``MRPC_OWNER_KEY``.

        Args:
            headers: of its request, with names in lower case.
        """
        return self.mode is not Mode.LOGIN or self._is_owner(headers)

    def standing(self, request: gr.Request | None) -> Standing:
        """Tell what whoever looks at the page may do, and how they could do more."""
        who = self.recognise(request)
        name = str(_person(request).get("preferred_username") or "") if self.has_sign_in else ""
        sign_in = (SIGN_OUT_PATH if name else SIGN_IN_PATH) if self.has_sign_in else ""
        if who.is_owner:
            return Standing(name=name, sign_in=sign_in)
        space = self.settings.space_id
        duplicate = f"https://huggingface.co/spaces/{quote(space)}?duplicate=true" if space else ""
        trouble = ""
        if self.trains_visitors and not who.visitor:
            trouble = (
                "Your browser keeps no cookie of this page. To train a preview, open it in a tab of its own."
            )
        trains = self.trains_visitors and not trouble
        return Standing(False, trains, WAY[self.mode], trouble, name, sign_in, duplicate)

    def check(self, who: Caller, in_page: bool) -> None:
        """Refuse what only the owner may do.

        Args:
            who: asks for it.
            in_page: whether they do so in the page; else it is a script or an agent.

        Raises:
            AccessError: who asks is a visitor; says how one becomes the owner.
        """
        if who.is_owner:
            return
        way = WAY[self.mode]
        if not in_page:
            way += f" The owner's script or agent sends {KEY_HEADER}"
        elif self.has_sign_in:
            way += " If it is yours, sign in with Hugging Face."
        raise AccessError(f"Only the owner of this app may do that. {way}")

    def _is_owner(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._lasting_key and _same(key.strip(), self._lasting_key):
            return True
        return _same(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""), self._token)

    def _is_author(self, request: gr.Request) -> bool:
        """Tell whether who signed in with Hugging Face owns this Space, or may write to it."""
        if self.mode is not Mode.SPACE or not self._author:
            return False
        person = _person(request)
        roles = {one.get("preferred_username"): one.get("roleInOrg") for one in person.get("orgs") or []}
        is_author = person.get("preferred_username") == self._author
        return is_author or roles.get(self._author) in {"admin", "write"}


def _headers_of(request: gr.Request) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in dict(request.headers or {}).items()}


def _person(request: gr.Request | None) -> Mapping[str, Any]:
    """Return what Hugging Face told of who signed in, as long as that counts; else nothing."""
    scope = getattr(getattr(request, "request", None), "scope", None) or {}
    signed_in = (scope.get("session") or {}).get("oauth_info") or {}
    if signed_in.get("expires_at", math.inf) < time.time():
        return {}
    return signed_in.get("userinfo") or {}


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def access_guards(access: Access) -> list[Middleware]:
    """Return the middleware that answers the owner's link, knows visitors again and limits logins."""
    limits = RateLimits(LOGINS_A_MINUTE | (UPLOADS_A_MINUTE if access.is_guarded else {}))
    guards = [
        Middleware(AskFirst, check=access.answer_owner_link),
        Middleware(AskFirst, check=limits.refuse),
    ]
    if access.is_guarded:
        cookie = partial(new_cookie, access.mode is Mode.SPACE)
        guards.append(Middleware(AddHeaders, headers_of=cookie))
    return guards


class RateLimits:
    """Let nobody guess passwords or fill the disk: an address, and all of them, have some tries a minute."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Take how many requests a minute one address has, by how their path ends."""
        self.limits = limits
        self._tries: dict[tuple[str, str], deque[float]] = {}

    def refuse(self, request: HTTPConnection) -> Response | None:
        """Answer 429 for one try too many."""
        if request.scope.get("method") != "POST":
            return None
        asked = request.scope["path"].rstrip("/")
        path = next((end for end in self.limits if asked.endswith(end)), None)
        address = request.client.host if request.client else ""
        if path is None or not self.is_too_many(path, address, time.monotonic()):
            return None
        return PlainTextResponse(f"Too many tries to {path.removeprefix('/')}. Wait a minute.", 429)

    def is_too_many(self, path: str, address: str, now: float) -> bool:
        """Count a try, and tell whether it is one too many for its address, or for all of them."""
        for other in [other for other, times in self._tries.items() if now - times[-1] > 60]:
            del self._tries[other]
        limit = self.limits[path]
        in_all = limit * ADDRESSES_AT_ONCE
        return self._is_over((path, address), limit, now) or self._is_over((path, ALL), in_all, now)

    def _is_over(self, whose: tuple[str, str], limit: int, now: float) -> bool:
        tries = self._tries.setdefault(whose, deque(maxlen=limit + 1))
        tries.append(now)
        return len(tries) > limit and now - tries[0] <= 60
