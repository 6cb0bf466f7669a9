"""The course's cells on training (chapter 3, sections 3 and 4) that stand for one object or one call each.

The whole loops are compared in ``test_loops.py``, the code to take home in ``test_export.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import PartialState
from sklearn.metrics import accuracy_score, f1_score
from transformers import DataCollatorWithPadding, get_scheduler
from transformers.trainer_utils import PredictionOutput

from mrpc.core.data.load import load_data
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.training.loops.trainer import SessionTrainer
from mrpc.training.session import TrainingSession, select_loop
from tests.training.in_process import make_run, open_session, train_here


@pytest.fixture
def course_session(tmp_path: Path, mrpc_data_dir: Path, tiny_checkpoint_dir: Path) -> TrainingSession:
    """The course's recipe on the real corpus, with the tiny model."""
    return open_session(make_run(tmp_path, mrpc_data_dir, tiny_checkpoint_dir))


def test_the_optimizer_is_the_courses_adamw(course_session: TrainingSession) -> None:
    optimizer = course_session.optimizer
    assert type(optimizer) is torch.optim.AdamW
    assert {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {(5e-5, 0.0)}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in course_session.model.parameters()}
    assert len(held) == len(set(map(id, held)))


def test_the_schedule_is_that_of_get_scheduler_over_1377_steps(course_session: TrainingSession) -> None:
    assert course_session.num_steps == 1377
    assert_schedule(course_session, num_warmup_steps=0)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_warmup_is_that_of_get_scheduler_too(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, kind: str
) -> None:
    values = {"warmup_ratio": 0.25, "lr_scheduler_type": kind}
    session = open_session(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **values))
    assert session.num_steps == 24
    assert_schedule(session, num_warmup_steps=6, kind=kind)


def assert_schedule(session: TrainingSession, num_warmup_steps: int, kind: str = "linear") -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=session.config.learning_rate)
    theirs = get_scheduler(kind, optimizer, num_warmup_steps, session.num_steps)
    for _ in range(session.num_steps):
        assert session.scheduler.get_last_lr()[0] == theirs.get_last_lr()[0]
        for each in (session.optimizer, session.scheduler, optimizer, theirs):
            each.step()
    assert theirs.get_last_lr()[0] == pytest.approx(0.0, abs=1e-12)


def test_a_batch_has_the_columns_and_shapes_of_the_course(
    course_session: TrainingSession, mrpc_data_dir: Path
) -> None:
    assert set(course_session.train[0]) == {*("input_ids", "token_type_ids", "attention_mask", "label")}
    next(course_session.epochs())
    batches = course_session.batches()
    assert len(batches) == 459
    batch = next(iter(batches))

    rows = load_data("folder", mrpc_data_dir).dataset["train"]
    order = torch.randperm(3668, generator=torch.Generator().manual_seed(42))
    pairs = [rows[row] for row in order[:8].tolist()]
    tokenizer = course_session.tokenizer
    encoded = [
        {
            **tokenizer(pair["sentence1"], pair["sentence2"], truncation=True, max_length=128),
            "label": pair["label"],
        }
        for pair in pairs
    ]
    expected = DataCollatorWithPadding(tokenizer)(encoded)
    assert batch.keys() == expected.keys() == {"input_ids", "token_type_ids", "attention_mask", "labels"}
    for name, tensor in batch.items():
        assert torch.equal(tensor, expected[name]), name
    outputs = course_session.model(**batch)
    assert outputs.loss.shape == ()
    assert outputs.logits.shape == (8, 2)


def test_trainer_predict_answers_every_validation_pair(
    tmp_path: Path, mrpc_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[PredictionOutput] = []
    predict = SessionTrainer.predict

    def recorded(self: SessionTrainer, *args: Any, **kwargs: Any) -> PredictionOutput:
        outputs.append(predict(self, *args, **kwargs))
        return outputs[-1]

    monkeypatch.setattr(SessionTrainer, "predict", recorded)
    values = {"loop": "trainer", "num_train_pairs": 8, "max_steps": 1}
    run = train_here(make_run(tmp_path, mrpc_data_dir, tiny_checkpoint_dir, **values))
    (output,) = outputs
    assert isinstance(output.predictions, np.ndarray)
    assert output.predictions.shape == (408, 2)
    assert output.label_ids.shape == (408,)  # type: ignore[union-attr]
    classes = np.argmax(output.predictions, axis=-1)
    metrics = output.metrics or {}
    assert metrics["eval_accuracy"] == pytest.approx(accuracy_score(output.label_ids, classes), abs=1e-12)
    assert metrics["eval_f1"] == pytest.approx(f1_score(output.label_ids, classes), abs=1e-12)
    assert {"eval_loss", "eval_runtime", "eval_samples_per_second"} <= set(metrics)
    untrained = read_predictions(run.paths.validation_predictions(0))
    np.testing.assert_array_equal(untrained.logits, output.predictions)
    np.testing.assert_array_equal(untrained.label, output.label_ids)


class Seen(Exception):
    """The model was given its first batch."""


@pytest.mark.parametrize("step", [0, 1], ids=["evaluation", "training"])
@pytest.mark.parametrize("loop", ["pytorch", "accelerate"])
def test_batches_go_to_the_device_of_the_model(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    step: int,
) -> None:
    """Every machine has the device "meta": it computes nothing, and tells what was put on it."""
    session = open_session(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, loop=loop))
    monkeypatch.setattr("mrpc.training.session.BASE_EVALUATION_STEP", step)  # 0: before the first step
    session.device = torch.device("meta")
    monkeypatch.setitem(PartialState._shared_state, "device", session.device)
    torch.nn.Module.to(session.model, session.device)
    devices: dict[str, torch.device] = {}

    def look(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, torch.Tensor]) -> None:
        assert module.training is (step == 1)
        devices.update({name: tensor.device for name, tensor in kwargs.items()})
        raise Seen

    session.model.register_forward_pre_hook(look, with_kwargs=True)
    with pytest.raises(Seen):
        select_loop(session.config.loop)(session)
    assert devices == dict.fromkeys(
        ("input_ids", "token_type_ids", "attention_mask", "labels"), torch.device("meta")
    )
