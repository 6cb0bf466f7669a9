"""Data and checkpoints from the Hub, against a local server that speaks its protocol and misbehaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.core import hub as hub_module
from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.errors import ConfigError, UnavailableError
from tests.hub_server import HubServer, Mood
from tests.tiny import tiny_rows

ROOT = Path(__file__).resolve().parents[2]
BERT = "google-bert/bert-base-uncased"
SILENCE_S = 1.0
GENEROUS_S = 30.0
"""Nothing may hang: far longer than it should take, far shorter than for ever."""


@pytest.fixture(scope="session")
def glue_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of nyu-mll/glue as the Hub has them, with the rows of ``tiny_data_dir``."""
    directory = tmp_path_factory.mktemp("glue")
    (directory / "mrpc").mkdir()
    schema = pa.schema(
        {"sentence1": pa.string(), "sentence2": pa.string(), "label": pa.int64(), "idx": pa.int32()}
    )
    splits = {"train": (64, 0), "validation": (16, 64), "test": (16, 80)}
    for split, (num, start) in splits.items():
        table = pa.Table.from_pylist(tiny_rows(num, start), schema=schema)
        pa.parquet.write_table(table, directory / "mrpc" / f"{split}-00000-of-00001.parquet")
    return directory


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub that this process believes to be the Hub, with an empty cache."""
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(hub_module, "HUB_TIMEOUT_S", SILENCE_S)
        monkeypatch.setattr(hub_module, "STALL_S", 2 * SILENCE_S)
        yield server


def test_the_corpus_comes_from_the_hub_once(hub: HubServer, glue_dir: Path, tiny_data_dir: Path) -> None:
    hub.add("nyu-mll/glue", glue_dir, "dataset")
    data = load_data()
    assert (data.kind, data.data_dir) == ("hub", None)
    assert "from the Hub" in data.reason
    # The same rows as in the folder, so the same fingerprints.
    folder = load_data(data_dir=tiny_data_dir)
    assert data.fingerprint == folder.fingerprint
    assert data.split_fingerprints == folder.split_fingerprints
    assert data.dataset["test"][:] == folder.dataset["test"][:]
    assert data.dataset["train"].features == folder.dataset["train"].features

    hub.mood, num_requests = "silent", len(hub.requests)
    again = load_data()
    assert again.fingerprint == data.fingerprint
    assert "before" in again.reason
    assert len(hub.requests) == num_requests


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("silent", "did not answer within 1 s"),
        ("dripping", "did not answer within 1 s"),
        ("missing", "has no repository nyu-mll/glue"),
        ("broken", "the status 500"),
        ("nonsense", "could not be asked"),
        ("truncated", "The download"),
        ("stalled", "brought nothing for 2 s"),
    ],
)
def test_auto_falls_back_in_time_and_says_why(hub: HubServer, glue_dir: Path, mood: Mood, said: str) -> None:
    hub.add("nyu-mll/glue", glue_dir, "dataset")
    hub.mood = mood
    start = time.monotonic()
    data = load_data()
    assert time.monotonic() - start < GENEROUS_S
    assert data.kind == "sample"
    assert said.lower() in data.reason.lower()
    assert data.reason.startswith("The bundled sample: no folder is named, and the ")
    assert data.reason.endswith("too small for a figure to mean much.")
    with pytest.raises(UnavailableError, match=said):
        load_data("hub")

    hub.mood = "good"  # and nothing broken was kept
    assert load_data().kind == "hub"


def test_the_hub_is_given_three_seconds(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hub.mood = "silent"
    start = time.monotonic()
    with pytest.raises(UnavailableError, match="within 3 s"):
        hub_module.list_files("nyu-mll/glue", "dataset")
    assert 2.9 < time.monotonic() - start < GENEROUS_S


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "no address", "http://[::", ""])
def test_an_endpoint_that_is_none(hub: HubServer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(UnavailableError, match=r"could not be asked for nyu-mll/glue|did not answer"):
        load_data("hub")


def test_offline_nothing_is_asked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in load_data().reason
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE"):
        resolve_pretrained(BERT)
    assert not hub.requests


def test_a_checkpoint_comes_in_two_steps(hub: HubServer, tiny_checkpoint_dir: Path) -> None:
    hub.add(BERT, tiny_checkpoint_dir)
    tokens = load_tokenizer(resolve_pretrained(BERT, weights=False))
    assert tokens("First sentence.", "Second one.")["token_type_ids"] == [0] * 5 + [1] * 4
    assert not [request for request in hub.requests if "model.safetensors" in request]

    checkpoint = resolve_pretrained(BERT)
    assert checkpoint.name == BERT
    assert checkpoint.sha256 == resolve_pretrained("", tiny_checkpoint_dir).sha256
    assert load_classifier(checkpoint, 1).new_parameters == ["classifier.bias", "classifier.weight"]

    num_requests = len(hub.requests)
    assert resolve_pretrained(BERT) == checkpoint
    assert len(hub.requests) == num_requests
    # Only what was meant to be asked: the list, and the files of the checkpoint.
    assert {request.split("/")[1] for request in hub.requests} == {"api", "google-bert"}
    assert {request for request in hub.requests if "/api/" in request} == {f"GET /api/models/{BERT}"}


def test_without_safetensors_nothing_is_fetched(
    hub: HubServer, tiny_checkpoint_dir: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny_checkpoint_dir, old)
    (old / "model.safetensors").rename(old / "pytorch_model.bin")
    hub.add(BERT, old)
    for weights in (True, False):
        with pytest.raises(UnavailableError, match=r"has no model\.safetensors"):
            resolve_pretrained(BERT, weights=weights)
    assert set(hub.requests) == {f"GET /api/models/{BERT}"}


def test_only_listed_names_are_asked_for(hub: HubServer) -> None:
    for name in ("someone/something", "../../etc", "local:folder"):
        with pytest.raises(ConfigError, match="must be one of"):
            resolve_pretrained(name)
    assert not hub.requests


@pytest.mark.parametrize("mood", ["truncated", "stalled"])
def test_a_broken_download_of_weights(hub: HubServer, tiny_checkpoint_dir: Path, mood: Mood) -> None:
    hub.add(BERT, tiny_checkpoint_dir)
    resolve_pretrained(BERT, weights=False)
    hub.mood = mood
    with pytest.raises(UnavailableError, match="download"):
        resolve_pretrained(BERT)
    hub.mood = "good"
    assert resolve_pretrained(BERT).sha256 == resolve_pretrained("", tiny_checkpoint_dir).sha256


def test_availability_waits_once_for_all(hub: HubServer, tiny_checkpoint_dir: Path) -> None:
    hub.add(BERT, tiny_checkpoint_dir)
    answers = {answer.spec.name: answer for answer in CheckpointShelf([tiny_checkpoint_dir]).availabilities()}
    assert {name for name, answer in answers.items() if answer.available} == {
        *("all-MiniLM-L6-v2", BERT, "local:tiny-bert")
    }
    assert "has no repository" in answers["FacebookAI/roberta-base"].reason

    hub.mood = "silent"
    start = time.monotonic()
    answers = {answer.spec.name: answer for answer in CheckpointShelf().availabilities()}
    assert time.monotonic() - start < GENEROUS_S
    assert {name for name, answer in answers.items() if answer.available} == {"all-MiniLM-L6-v2"}
    assert "did not answer within 1 s" in answers[BERT].reason


@pytest.mark.parametrize(("mood", "kind"), [("good", "hub"), ("silent", "sample")])
def test_a_process_ends_when_it_is_done(glue_dir: Path, tmp_path: Path, mood: Mood, kind: str) -> None:
    code = """
import time
import huggingface_hub.hf_api
from mrpc.core.data.load import load_data
start = time.monotonic()
print(load_data().kind, time.monotonic() - start < 4)
"""
    with HubServer() as server:
        server.mood = mood
        server.add("nyu-mll/glue", glue_dir, "dataset")
        environment = {
            **{key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout.split()) == (0, [kind, "True"]), done.stderr


def test_a_host_that_is_not_found_is_said_in_words(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    with pytest.raises(UnavailableError) as refused:
        load_data("hub")
    assert "Errno" not in str(refused.value)
    assert "could not be asked" in str(refused.value) or "did not answer" in str(refused.value)
