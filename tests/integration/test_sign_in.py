"""Signing in with Hugging Face, by Gradio's own routes and a stand-in for the provider.

Needs ``gradio[oauth]``, as a Space has it: ``make space-check`` runs it, elsewhere it is skipped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.test_space import SPACE
from tests.live_app import LiveApp, running_app

pytest.importorskip("authlib", reason="needs gradio[oauth]")
pytestmark = pytest.mark.integration

CLIENT = "the-space"


class Provider:
    """Answers as huggingface.co does: where its ends are, who may come back, and who that is."""

    def __init__(self) -> None:
        jwk, jwt = pytest.importorskip("joserfc.jwk"), pytest.importorskip("joserfc.jwt")
        self.person: dict[str, Any] = {}
        self.nonce = ""
        key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers = {
                    "/.well-known/openid-configuration": {
                        "issuer": provider.url,
                        "authorization_endpoint": f"{provider.url}/oauth/authorize",
                        "token_endpoint": f"{provider.url}/oauth/token",
                        "userinfo_endpoint": f"{provider.url}/oauth/userinfo",
                        "jwks_uri": f"{provider.url}/keys",
                    },
                    "/keys": {"keys": [key.as_dict(private=False)]},
                }
                self._json(answers[self.path])

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                claims = {
                    **{"iss": provider.url, "aud": CLIENT, "sub": "1", "nonce": provider.nonce},
                    **{"iat": int(time.time()), "exp": int(time.time()) + 600},
                    **provider.person,
                }
                token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
                self._json(
                    {"access_token": "t", "token_type": "bearer", "expires_in": 600, "id_token": token}
                )

            def _json(self, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.close()


@pytest.fixture(scope="module")
def space(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider, tiny_data_dir: Path
) -> Iterator[LiveApp]:
    environment = {
        **SPACE,
        **{"MRPC_VISITORS": None, "MRPC_OWNER_KEY": None, "SPACE_AUTHOR_NAME": "lab-org"},
        **{"OAUTH_CLIENT_ID": CLIENT, "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile"},
        **{"OPENID_PROVIDER_URL": provider.url},
    }
    runs_dir = tmp_path_factory.mktemp("runs")
    with running_app(runs_dir, "--data-dir", str(tiny_data_dir), environment=environment) as app:
        yield app


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    cookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        cookie.load(header)
    return {"Cookie": f"session={cookie['session'].value}"}


def sign_in(app: LiveApp, provider: Provider, name: str, **roles: str) -> dict[str, str]:
    """Go the way of a browser: to the provider and back; return the cookie that it then has."""
    orgs = [{"preferred_username": org, "roleInOrg": role} for org, role in roles.items()]
    provider.person = {"preferred_username": name, "name": name, "orgs": orgs}
    provider.person |= {"profile": f"{provider.url}/{name}", "picture": ""}
    left = httpx.get(f"{app.url}/login/huggingface?_target_url=/", follow_redirects=False)
    asked = {key: value[0] for key, value in parse_qs(urlsplit(left.headers["location"]).query).items()}
    assert left.headers["location"].startswith(f"{provider.url}/oauth/authorize")
    back = urlsplit(asked["redirect_uri"])
    assert (back.scheme, back.netloc, back.path) == ("https", "a-b.hf.space", "/login/callback")
    provider.nonce = asked.get("nonce", "")
    query = {"code": "c", "state": asked["state"], "_target_url": "/"}
    came = httpx.get(
        f"{app.url}/login/callback", params=query, headers=cookie_of(left), follow_redirects=False
    )
    assert came.status_code in {302, 307}, came.text
    assert came.headers["location"] == "/"
    return cookie_of(came)


def said_of_start(app: LiveApp, headers: dict[str, str]) -> str:
    """Return what becomes of a start with settings that cannot be: it is the owner who is told so."""
    body = {"data": [{"no_such": 1}]}
    asked = httpx.post(f"{app.url}/gradio_api/call/start_run", json=body, headers=headers, timeout=60).json()
    answer = httpx.get(
        f"{app.url}/gradio_api/call/start_run/{asked['event_id']}", headers=headers, timeout=60
    )
    return answer.text


@pytest.mark.parametrize(
    ("name", "roles", "is_owner"),
    [
        ("lab-org", {}, True),
        ("ann", {"lab-org": "admin"}, True),
        ("ann", {"lab-org": "write"}, True),
        ("ann", {"lab-org": "read"}, False),
        ("ann", {"other": "admin"}, False),
    ],
)
def test_who_signed_in_is_the_owner_or_not(
    space: LiveApp, provider: Provider, name: str, roles: dict[str, str], is_owner: bool
) -> None:
    assert "Only the owner" in said_of_start(space, {})
    cookie = sign_in(space, provider, name, **roles)
    assert ("Only the owner" in said_of_start(space, cookie)) != is_owner
    if is_owner:
        assert "Unknown setting" in said_of_start(space, cookie)
    left = httpx.get(f"{space.url}/logout?_target_url=/", headers=cookie, follow_redirects=False)
    assert "Only the owner" in said_of_start(space, {"Cookie": left.headers.get("set-cookie", "")})


def test_the_page_offers_to_sign_in(space: LiveApp, provider: Provider) -> None:
    config = httpx.get(f"{space.url}/config", timeout=60).json()
    ids = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
    (head,) = [
        one["id"] for one in config["dependencies"] if [ids.get(at) for at in one["outputs"]] == ["masthead"]
    ]

    def shown(headers: dict[str, str]) -> str:
        body = {"data": [], "fn_index": head, "session_hash": "s"}
        return httpx.post(f"{space.url}/gradio_api/run/predict", json=body, headers=headers, timeout=60).text

    assert "Sign in with Hugging Face" in shown({})
    assert "If this app is yours, sign in." in shown({})
    assert "Sign out lab-org" in shown(sign_in(space, provider, "lab-org"))
