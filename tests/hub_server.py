"""A small server that speaks the Hub's protocol, for tests: the list of files, HEAD with an etag, GET.

``with HubServer() as hub: hub.add("google-bert/bert-base-uncased", folder)`` and ``HF_ENDPOINT=hub.url``.
``hub.mood`` makes it misbehave. It takes uploads of whoever sends :data:`TOKEN`, as plain files or as large
ones, and answers the requests in ``hub.refusals`` with an error first. Standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"

TOKEN = "hf_of_ann"
USER = "ann"

Mood = Literal["good", "silent", "dripping", "missing", "broken", "truncated", "stalled", "nonsense"]
"""How the server answers.

good: as the Hub does; silent: accepts and never answers; dripping: one byte of an answer now and then, for
ever; missing: 404 to everything; broken: 500 to everything; truncated: lists well, but closes the line in the
middle of each file; stalled: lists well, but stops in the middle of each file; nonsense: 200 with a web page.
"""


class HubServer:
    """A hub on a free port of 127.0.0.1, running inside ``with``."""

    def __init__(self) -> None:
        self.mood: Mood = "good"
        self.requests: list[str] = []
        """Every request so far, as "GET /path"."""
        self.refusals: dict[str, list[int]] = {}
        """Part of a path -> statuses that requests to it get, one after the other, before they are answered;
        0 breaks the line."""
        self.created: dict[str, bool] = {}
        """Repositories that were created, "owner/name" -> whether they are private."""
        self._files: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.spaces: dict[str, dict[str, list[dict[str, str]]]] = {}
        """What was set of a Space, "owner/name" -> variables, secrets and hardware, as they were sent."""
        self._closing = threading.Event()
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """What HF_ENDPOINT must say."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, repo_id: str, folder: Path, repo_type: str = "model") -> None:
        """Serve all files of a folder, as they are now, as a repository."""
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
        self._files[f"{repo_type}s/{repo_id}"] = {
            name: path.read_bytes() for name, path in files.items() if path.is_file()
        }

    def repository(self, name: str) -> dict[str, bytes] | None:
        """Return the files of ``models/OWNER/NAME`` or ``datasets/OWNER/NAME``."""
        return self._files.get(name)

    def sleep(self, seconds: float) -> bool:
        """Wait; return False when the server is about to end."""
        return not self._closing.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self._take()

    def do_PUT(self) -> None:
        self._take()

    def _take(self) -> None:
        """Take part in an upload: create, ask which files are large, send those, commit."""
        hub, path = self.server_hub, unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append(f"{self.command} {path}")
        if self._refuse(path):
            return
        if path.startswith("/large/"):
            hub.large[path.removeprefix("/large/")] = body
            self._json({})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Invalid credentials"}')
        elif path == "/api/repos/create":
            asked = json.loads(body)
            kind = f"{asked.get('type', 'model')}s"
            name = f"{asked.get('organization') or USER}/{asked['name']}"
            if name in hub.created:
                self._send(409, json.dumps({"error": "exists", "url": f"{hub.url}/{name}"}).encode())
                return
            private = asked.get("private") or asked.get("visibility") == "private"
            hub.created[name] = bool(private)
            hub._files[f"{kind}/{name}"] = {}
            self._json({"url": f"{hub.url}/{name}", "id": name, "name": name})
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = [
                (file["path"], "lfs" if file["path"].endswith(".safetensors") else "regular")
                for file in files
            ]
            self._json(
                {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes]}
            )
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**each, "actions": {"upload": {"href": f"{hub.url}/large/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects}, "application/vnd.git-lfs+json")
        elif match := re.fullmatch(r"/api/((?:models|spaces)/[^/]+/[^/]+)/commit/main", path):
            self._commit(match[1], body)
        elif match := re.fullmatch(r"/api/spaces/([^/]+/[^/]+)/(variables|secrets|hardware)", path):
            hub.spaces.setdefault(match[1], {}).setdefault(match[2], []).append(json.loads(body))
            is_hardware = match[2] == "hardware"
            self._json(
                {"stage": "BUILDING", "hardware": {"current": None, "requested": None}} if is_hardware else {}
            )
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._send(404, b"{}")

    def _commit(self, repository: str, body: bytes) -> None:
        files = self.server_hub._files[repository]
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.server_hub.large[value["oid"]]
        address = f"{self.server_hub.url}/{repository.removeprefix('models/')}/commit/{COMMIT}"
        self._json({"success": True, "commitOid": COMMIT, "commitUrl": address, "pullRequestUrl": None})

    def _refuse(self, path: str) -> bool:
        for part, statuses in self.server_hub.refusals.items():
            if part in path and statuses:
                status = statuses.pop(0)
                if status == 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self._send(status, b'{"error": "refused"}')
                return True
        return False

    def _json(self, content: object, kind: str = "application/json") -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": kind})

    def _answer(self) -> None:
        hub, path = self.server_hub, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        listing = re.fullmatch(r"/api/(?P<repo>(models|datasets)/[^/]+/[^/]+)(/revision/[^/]+)?", path)
        resolving = re.fullmatch(
            r"/(?P<type>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<name>.+)", path
        )
        if self._refuse(path):
            return
        if path == "/api/whoami-v2":
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                self._json(
                    {"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": "write"}}}
                )
            else:
                self._send(401, b'{"error": "Invalid credentials"}')
        elif hub.mood == "silent":
            while hub.sleep(0.1):
                pass
            self.close_connection = True
        elif hub.mood == "dripping":
            self._drip()
        elif hub.mood == "missing":
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        elif hub.mood == "broken":
            self._send(500, b"something went wrong")
        elif hub.mood == "nonsense":
            self._send(200, b"<html>Please log in to the network of this hotel.</html>")
        elif listing:
            self._list(listing["repo"])
        elif resolving:
            self._resolve(
                ("datasets/" if resolving["type"] else "models/") + resolving["repo"], resolving["name"]
            )
        else:
            self._send(404, b"{}")

    def _list(self, repo: str) -> None:
        files = self.server_hub.repository(repo)
        if files is None:
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            return
        repo_id = repo.partition("/")[2]
        info = {
            "_id": "0" * 24,
            "id": repo_id,
            "modelId": repo_id,
            "sha": COMMIT,
            "private": self.server_hub.created.get(repo_id, False),
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": name} for name in files],
        }
        self._send(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def _resolve(self, repo: str, name: str) -> None:
        content = (self.server_hub.repository(repo) or {}).get(name)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        etag = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server_hub.mood in ("truncated", "stalled") and status == 200 and "/resolve/" in self.path:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            while self.server_hub.mood == "stalled" and self.server_hub.sleep(0.1):
                pass
            return
        self.wfile.write(content)

    def _drip(self) -> None:
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while self.server_hub.sleep(0.2):
                self.wfile.write(b"z")
                self.wfile.flush()
        except OSError:
            pass  # the client has gone
        self.close_connection = True
