"""The Hub is asked about a checkpoint once in a while, however many ask here; tokenizers are loaded once."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mrpc.app import checkpoints
from mrpc.app.checkpoints import CheckpointShelf
from mrpc.core import hub
from mrpc.core.model.pretrained import PretrainedFiles
from mrpc.errors import ConfigError, UnavailableError

BERT = "google-bert/bert-base-uncased"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The repositories that the Hub, which answers after a moment, was asked about."""
    asked: list[str] = []

    def answer(repo_id: str) -> str:
        asked.append(repo_id)
        time.sleep(0.05)
        return "The Hub did not answer within 3 s."

    monkeypatch.setattr(hub, "pretrained_problem", answer)
    return asked


def test_many_that_ask_at_once_cost_one_question(asked):
    shelf = CheckpointShelf()
    together = threading.Barrier(20)

    def ask(_: int) -> bool:
        together.wait()
        return shelf.availability(BERT).available

    with ThreadPoolExecutor(20) as pool:
        assert not any(pool.map(ask, range(20)))
    assert asked == [BERT]
    shelf.availabilities()
    assert asked.count(BERT) == 1
    assert len(set(asked)) == 5


def test_an_answer_is_forgotten(asked, monkeypatch):
    monkeypatch.setattr(checkpoints, "AGE_S", 0.0)
    shelf = CheckpointShelf()
    shelf.availability(BERT)
    shelf.availability(BERT)
    assert asked == [BERT, BERT]


def test_what_cannot_be_had_is_refused_with_the_reason(asked, tmp_path: Path, tiny_checkpoint_dir: Path):
    folder, other = (
        Path(shutil.copytree(tiny_checkpoint_dir, tmp_path / name)) for name in ("mine", "other")
    )
    shelf = CheckpointShelf([folder])
    shelf.require("all-MiniLM-L6-v2")
    shelf.require("local:mine")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnavailableError, match=r"mine is not available: .* has no model.safetensors"):
        shelf.require("local:mine")
    with pytest.raises(UnavailableError, match="BERT base, uncased is not available: The Hub did not"):
        shelf.require(BERT)
    with pytest.raises(ConfigError, match="checkpoint is '/etc'; it must be one of all-MiniLM-L6-v2"):
        shelf.require("/etc")
    shelf.require("local:elsewhere", other)


def test_a_tokenizer_is_loaded_once_and_its_checkpoint_named(tiny_checkpoint_dir: Path) -> None:
    shelf = CheckpointShelf([tiny_checkpoint_dir])
    assert shelf.tokenizer("local:tiny-bert") is shelf.tokenizer("local:tiny-bert")
    assert shelf.tokenizer("") is shelf.tokenizer("all-MiniLM-L6-v2")
    assert shelf.tokenizer("").spec.source == "sentence-transformers/all-MiniLM-L6-v2"
    assert shelf.spec("FacebookAI/roberta-base").source == "FacebookAI/roberta-base"
    assert shelf.spec("local:tiny-bert").source == str(tiny_checkpoint_dir)
    assert isinstance(shelf.tokenizer("local:tiny-bert").checkpoint, PretrainedFiles)
    assert shelf.tokenizer("local:tiny-bert").hidden_size == 32
