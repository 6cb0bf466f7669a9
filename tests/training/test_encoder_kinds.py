"""Encoders of every kind that works are trained from end to end, and the run says what was done to them."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from mrpc.app.train.export import write_script
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_base, load_classifier, load_finetuned
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.errors import UnavailableError
from mrpc.runs.events import FinishedEvent, StartedEvent, WarningEvent
from mrpc.runs.log import read_events
from mrpc.runs.run import Run
from tests.core.model.test_encoder_kinds import REFUSED, WORK, save_gpt2
from tests.tiny import write_tiny_data
from tests.training.in_process import evaluations, make_run, train_here

KINDS = [kind for kind in WORK if kind not in {"a head for one", "very few positions"}]
FITTED = [kind for kind in WORK if "tensors" not in WORK[kind][1]]


@pytest.fixture
def tiny(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint_dir, tmp_path / "mine"))


def started_event(run: Run) -> StartedEvent:
    (started,) = [e for e in read_events(run.paths.events) if isinstance(e, StartedEvent)]
    return started


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_this_kind_ends_well(tiny: Path, tmp_path: Path, tiny_data_dir: Path, kind: str) -> None:
    make, said = WORK[kind]
    folder = make(tiny)
    run = train_here(make_run(tmp_path / "runs", tiny_data_dir, folder, num_epochs=1, max_steps=2))
    events = read_events(run.paths.events)
    assert isinstance(events[-1], FinishedEvent)
    assert len(evaluations(run)) == 2
    started = started_event(run)
    assert started.num_loaded_tensors is not None
    assert started.num_encoder_tensors is not None
    assert started.num_loaded_tensors >= 0.9 * started.num_encoder_tensors
    warnings = [event.message for event in events if isinstance(event, WarningEvent)]
    told = [f"local:{folder.name}: {note}" for note in started.encoder_notes]
    assert told == [message for message in warnings if message in told]
    if "tensors" not in said:
        assert any(said in note for note in started.encoder_notes)
    if "positions" in kind:
        assert started.max_length == (128 if "two" in kind else 64)
    model, tokenizer = load_finetuned(run.paths.best_model)
    assert model.config.num_labels == 2
    assert tokenizer.model_max_length <= 512
    checkpoint = resolve_pretrained("", folder)
    assert weights_sha256(load_base(checkpoint, run.paths.base)) == started.base_weights_sha256


@pytest.mark.parametrize("kind", ["keys with a prefix", "more tokens than embeddings", "half of the layers"])
def test_what_would_be_refused_ends_a_training_too(
    tiny: Path, tmp_path: Path, tiny_data_dir: Path, kind: str
) -> None:
    make, said = REFUSED[kind]
    run = make_run(tmp_path / "runs", tiny_data_dir, make(tiny))
    with pytest.raises(UnavailableError, match=said):
        train_here(run)
    assert not run.paths.models.exists()


@pytest.mark.parametrize("form", ["accelerate", "pytorch", "trainer"])
@pytest.mark.parametrize("kind", FITTED)
def test_the_code_of_a_run_makes_the_same_model(tiny: Path, tmp_path: Path, kind: str, form: str) -> None:
    make, _ = WORK[kind]
    folder = make(tiny)
    checkpoint = resolve_pretrained("", folder)
    torch.manual_seed(42)
    expected, _, report = load_classifier(checkpoint, 42)
    started = StartedEvent(
        **dict.fromkeys(("num_steps", "num_epochs", "num_train_pairs", "num_validation_pairs"), 1),
        **dict.fromkeys(("majority_accuracy", "majority_f1"), 0.5),
        **dict.fromkeys(("base_weights_sha256", "checkpoint_sha256"), "0"),
        device="cpu",
        num_threads=1,
        encoder_notes=list(report.notes),
        max_length=64,
    )
    config = make_run(tmp_path / "runs", write_tiny_data(tmp_path / "data"), folder).config
    code = write_script(config, form, started)
    assert "max_length=64" in code
    (made,) = (node for node in ast.parse(code).body if getattr(node, "name", "") == "make_model")
    names = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
    scope: dict[str, Any] = {"torch": torch, **{name: getattr(transformers, name) for name in names}}
    exec(compile(ast.Module([made], []), "train.py", "exec"), scope)
    torch.manual_seed(42)
    got = scope["make_model"](str(folder))
    assert weights_sha256(got) == weights_sha256(expected)
    assert got.config.problem_type is None
    assert got.config.pad_token_id == expected.config.pad_token_id


def test_a_decoder_pads_with_what_its_model_knows(tiny: Path, tmp_path: Path, tiny_data_dir: Path) -> None:
    folder = save_gpt2(tiny)
    run = train_here(make_run(tmp_path / "runs", tiny_data_dir, folder, num_epochs=1, max_steps=1))
    model, tokenizer = load_finetuned(run.paths.best_model)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert tokenizer.pad_token_id is not None
