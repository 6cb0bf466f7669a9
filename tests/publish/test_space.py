"""Putting the app on a Space: what goes there, what is set, and what the head of README.md promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrpc.errors import InputError, UnavailableError
from mrpc.publish.space import deploy
from tests.hub_server import TOKEN, HubServer
from tests.space_check import front_matter

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-that-is-long-enough"
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
KNOWN_KEYS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "pinned"),
    *("license", "short_description", "models", "datasets", "preload_from_hub", "hf_oauth"),
    "hf_oauth_expiration_minutes",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that takes Spaces of who has the token."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def test_the_head_of_the_readme() -> None:
    head = front_matter()
    assert set(head) == KNOWN_KEYS
    assert len(str(head["short_description"])) <= 60
    assert {head["colorFrom"], head["colorTo"]} <= COLORS
    assert (head["sdk"], head["app_file"], head["license"]) == ("gradio", "app.py", "apache-2.0")
    pinned = re.findall(r"^gradio==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [head["sdk_version"]] == pinned
    assert head["python_version"] == "3.12"
    assert head["hf_oauth"] is True
    assert 0 < head["hf_oauth_expiration_minutes"] <= 43_200
    for repository in (
        *head["models"],
        *head["datasets"],
        *(one.split()[0] for one in head["preload_from_hub"]),
    ):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", repository)
    requirements = (ROOT / "requirements.txt").read_text()
    assert "index-url" not in re.sub(r"^#.*$", "", requirements, flags=re.MULTILINE)


def test_what_belongs_there_goes_there_and_nothing_else(hub: HubServer) -> None:
    said: list[str] = []
    deploy("ann/lab", key=KEY, visitors_train=True, hardware="zero-a10g", say=said.append)
    files = hub.repository("spaces/ann/lab") or {}
    assert {
        "app.py",
        "README.md",
        "requirements.txt",
        "LICENSE",
        "mrpc/app/page.py",
        "assets/app.css",
    } <= set(files)
    assert "assets/sample_pairs/train.jsonl" in files
    assert "docs/paths/chapter-3.md" in files
    tops = {name.partition("/")[0] for name in files}
    assert tops == {"app.py", "README.md", "LICENSE", "requirements.txt", "mrpc", "assets", "docs"}
    assert not [name for name in files if "__pycache__" in name or name.startswith(("runs", "assets/readme"))]
    assert hub.created == {"ann/lab": True}
    assert hub.spaces["ann/lab"] == {
        "secrets": [{"key": "MRPC_OWNER_KEY", "value": KEY}],
        "variables": [{"key": "MRPC_VISITORS", "value": "train"}],
        "hardware": [{"flavor": "zero-a10g"}],
    }
    assert KEY not in " ".join(said)
    assert all(KEY.encode() not in content for content in files.values())
    deploy("ann/lab")  # once more, on what is there
    assert len(hub.spaces["ann/lab"]["secrets"]) == 1


def test_what_cannot_be_is_one_sentence(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lab", "../../etc", "a/b/c", ""):
        with pytest.raises(InputError, match="owner/name"):
            deploy(name)
    with pytest.raises(InputError, match="too short"):
        deploy("ann/lab", key="short")
    hub.refusals = {"/commit/": [403]}
    with pytest.raises(UnavailableError, match="may not write there"):
        deploy("ann/lab")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UnavailableError, match="401"):
        deploy("ann/lab")


def test_the_command_that_make_deploy_runs(hub: HubServer) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    environment["HF_HUB_OFFLINE"] = "0"
    command = [sys.executable, "-m", "mrpc.publish.space"]
    done = subprocess.run(
        [*command, "ann/shell"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "The Space is at" in done.stdout
    refused = subprocess.run(
        [*command, "SPACE=owner/name is missing"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "owner/name" in refused.stderr
    assert "Traceback" not in refused.stderr
