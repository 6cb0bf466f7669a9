"""The environment that people have: it works, or one sentence names the variable and the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mrpc.errors import InputError
from mrpc.settings import (
    LAUNCH_VARIABLES,
    NEVER_BY_PROXY,
    NUMBERS,
    accelerate_config_file,
    full_path,
    launched_processes,
    prepare_environment,
    root_path,
    training_environment,
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "gradio_temp_dir", "gradio_root_path"):
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "to be undone")
            monkeypatch.delenv(spelling)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("before", ["", "example.com", "localhost,example.com", "*", " 127.0.0.1 , ::1"])
def test_this_machine_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    if before:
        monkeypatch.setenv("NO_PROXY", before)
    assert prepare_environment() is None
    for environment in (os.environ, training_environment()):
        for name in ("no_proxy", "NO_PROXY"):
            listed = environment[name].split(",")
            assert set(NEVER_BY_PROXY) <= set(listed)
            assert {part.strip() for part in before.split(",") if part.strip()} <= set(listed)
            assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["::x::", "ftp://a:1", "http://", "http://a:port", "http://a:99999", "a b"])
def test_a_proxy_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    if value == "a b":
        value = "http://[a b"
    monkeypatch.setenv(name, value)
    said = prepare_environment()
    assert said is not None
    assert said.startswith(f"{name} is {value!r}")
    assert "unset it" in said


@pytest.mark.parametrize(
    "value", ["http://a:1", "a:1", "proxy.example", "https://u:p@a:8080/", "http://[::1]:3128", "  "]
)
def test_a_proxy_that_is_one(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    assert prepare_environment() is None


def test_uploads_go_to_a_folder_of_the_user(tmp_path: Path) -> None:
    assert prepare_environment() is None
    own = Path(os.environ["GRADIO_TEMP_DIR"])
    assert own.parent == tmp_path
    assert own.name.startswith("mrpc-lab-")
    assert own.stat().st_mode & 0o077 == 0
    del os.environ["GRADIO_TEMP_DIR"]
    own.rmdir()
    own.write_text("something else has the name")
    assert prepare_environment() is None
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_dir()
    assert os.environ["GRADIO_TEMP_DIR"] != str(own)


def test_a_named_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "below"))
    said = prepare_environment()
    assert said is not None
    assert said.startswith("GRADIO_TEMP_DIR is ")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    assert prepare_environment() is None


def test_no_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if hasattr(os, "getuid"):
        import pwd

        def nobody(_: int) -> None:
            raise KeyError("no such user")

        monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert accelerate_config_file() is None


@pytest.mark.parametrize(
    ("value", "expected"), [("", ""), ("/lab", "/lab"), ("/lab/", "/lab"), ("https://a/b/", "https://a/b")]
)
def test_the_path_of_a_proxy(monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", value)
    assert root_path() == expected


def test_a_training_is_not_told_the_key_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRPC_OWNER_KEY", "a-key-that-is-long-enough")
    monkeypatch.setenv("HF_TOKEN", "hf_x")  # for the checkpoint, and a tracker
    assert "MRPC_OWNER_KEY" not in training_environment()
    assert training_environment()["HF_TOKEN"] == "hf_x"


@pytest.mark.parametrize("text", ["", "~no_such_user_x/runs"])
def test_a_path_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"path is empty|no such home folder"):
        full_path(text)


LAUNCHED = [("RANK", "one"), ("RANK", "1"), ("WORLD_SIZE", "two"), ("WORLD_SIZE", "-2"), ("PMI_SIZE", "x")]


@pytest.mark.parametrize(("name", "value"), LAUNCHED)
def test_what_no_launcher_says_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for variable in LAUNCH_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert launched_processes().world_size == 1
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name):
        launched_processes()
    assert name not in training_environment()  # the app's trainings are no siblings of the app


@pytest.mark.parametrize(
    "value", ["not a url", "hub.example", "http://127.0.0.1:x", "http://a:99999", "ftp://a"]
)
def test_an_endpoint_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", value)
    assert "HF_ENDPOINT is" in str(prepare_environment())
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8080/hub")
    assert prepare_environment() is None


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["x", "", "1.5", "-1"])
def test_a_number_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert str(prepare_environment()).startswith(f"{name} is {value!r}")


def test_a_root_path_without_a_slash_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("/lab", "https://a.example/lab"):
        monkeypatch.setenv("GRADIO_ROOT_PATH", value)
        assert prepare_environment() is None
    monkeypatch.setenv("GRADIO_ROOT_PATH", "lab")
    assert "GRADIO_ROOT_PATH is 'lab'; write it as /lab" in str(prepare_environment())
