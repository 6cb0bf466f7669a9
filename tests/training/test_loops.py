"""Three loops, one contract: the same numbers from the same seed, in the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from mrpc.config import LOOP_HELP, RESUMABLE_LOOPS, build_config
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.errors import ConfigError, TrainingError
from mrpc.files import read_model, write_model
from mrpc.runs.events import FinishedEvent, NonFiniteEvent, WarningEvent
from mrpc.runs.layout import StopRequest, TrainerReport
from mrpc.runs.log import read_events, read_terminal_event
from mrpc.runs.run import Run
from mrpc.training.checkpoints import read_random_state
from mrpc.training.report import StopTraining
from mrpc.training.session import select_loop
from tests.tiny import folder_sha256
from tests.training.in_process import (
    evaluations,
    make_run,
    open_session,
    steps,
    train_here,
    train_records,
)

LOOPS = ("accelerate", "pytorch", "trainer")


def train_all(folder: Path, data_dir: Path, checkpoint_dir: Path | None, **values: object) -> dict[str, Run]:
    return {
        loop: train_here(make_run(folder / loop, data_dir, checkpoint_dir, loop=loop, **values))
        for loop in LOOPS
    }


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> dict[str, Run]:
    """One run of each loop: 61 pairs, so that the last batch is short, and two epochs."""
    values = {"num_train_pairs": 61, "num_epochs": 2, "learning_rate": 1e-3, "warmup_ratio": 0.2, "seed": 5}
    folder = tmp_path_factory.mktemp("runs")
    more = {"weight_decay": 0.1, "lr_scheduler_type": "cosine"}
    return train_all(folder, tiny_data_dir, tiny_checkpoint_dir, **more, **values)


def losses(run: Run) -> list[float]:
    return [step.loss for step in steps(run)]


def test_plain_and_accelerate_compute_the_very_same(runs: dict[str, Run]) -> None:
    plain, accelerate = runs["pytorch"], runs["accelerate"]
    assert len(losses(plain)) == 16
    assert losses(plain) == losses(accelerate)
    assert [e.weights_sha256 for e in evaluations(plain)] == [
        e.weights_sha256 for e in evaluations(accelerate)
    ]
    assert folder_sha256(plain.paths.last_model) == folder_sha256(accelerate.paths.last_model)


def test_trainer_computes_the_same_to_within_rounding(runs: dict[str, Run]) -> None:
    plain, trainer = steps(runs["pytorch"]), steps(runs["trainer"])
    for name in ("loss", "learning_rate", "grad_norm", "epoch"):
        expected = [getattr(step, name) for step in plain]
        assert [getattr(step, name) for step in trainer] == pytest.approx(expected, rel=1e-5), name
    for ours, theirs in zip(evaluations(runs["pytorch"]), evaluations(runs["trainer"]), strict=True):
        assert (theirs.epoch, theirs.step) == (ours.epoch, ours.step)
        assert theirs.loss == pytest.approx(ours.loss, rel=1e-5)
        assert (theirs.accuracy, theirs.f1) == (ours.accuracy, ours.f1)


@pytest.mark.slow
def test_the_course_preset_begins_alike_with_the_bundled_checkpoint(
    tmp_path: Path, tiny_data_dir: Path
) -> None:
    runs = train_all(tmp_path, tiny_data_dir, None, num_epochs=1, max_steps=4, seed=42)
    assert len(losses(runs["pytorch"])) == 4
    assert losses(runs["pytorch"]) == losses(runs["accelerate"])
    assert losses(runs["trainer"]) == pytest.approx(losses(runs["pytorch"]), rel=1e-6)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_leaves_the_same_record(runs: dict[str, Run], loop: str) -> None:
    run, other = runs[loop], runs["pytorch"]
    assert [step.step for step in steps(run)] == list(range(1, 17))
    assert sum(step.num_pairs for step in steps(run)) == 2 * 61
    assert [(s.num_tokens, s.num_padded_tokens) for s in steps(run)] == [
        (s.num_tokens, s.num_padded_tokens) for s in steps(other)
    ]
    for epoch in (1, 2):
        ours, theirs = train_records(run, epoch), train_records(other, epoch)
        assert ours["idx"] == theirs["idx"]
        assert len(set(ours["idx"])) == 61
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["prob_equivalent"] == pytest.approx(theirs["prob_equivalent"], rel=1e-4)
    for epoch in (0, 1, 2):
        ours, theirs = (read_predictions(r.paths.validation_predictions(epoch)) for r in (run, other))
        assert ours.idx.tolist() == theirs.idx.tolist()
        np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-5)
    assert isinstance(read_terminal_event(run.paths.events, 1), FinishedEvent)
    assert (run.paths.best_model / "model.safetensors").is_file()
    assert folder_sha256(run.paths.last_model) == evaluations(run)[-1].weights_sha256
    assert not run.paths.checkpoints.exists()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_metrics_are_those_of_scikit_learn(runs: dict[str, Run], loop: str) -> None:
    for evaluation in evaluations(runs[loop]):
        answers = read_predictions(runs[loop].paths.validation_predictions(evaluation.epoch))
        accuracy = accuracy_score(answers.label, answers.predicted)
        f1 = f1_score(answers.label, answers.predicted, zero_division=0)
        assert evaluation.accuracy == pytest.approx(accuracy, abs=1e-12)
        assert evaluation.f1 == pytest.approx(f1, abs=1e-12)


@pytest.mark.slow
def test_accumulated_gradients_agree(tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> None:
    values = {"gradient_accumulation_steps": 2, "train_batch_size": 4, "learning_rate": 1e-3}
    runs = train_all(tmp_path, tiny_data_dir, tiny_checkpoint_dir, num_epochs=1, max_grad_norm=0, **values)
    assert len(losses(runs["pytorch"])) == 8
    assert losses(runs["pytorch"]) == losses(runs["accelerate"])
    assert losses(runs["trainer"]) == pytest.approx(losses(runs["pytorch"]), rel=1e-5)
    norms = {loop: [step.grad_norm for step in steps(run)] for loop, run in runs.items()}
    assert norms["trainer"] == pytest.approx(norms["pytorch"], rel=1e-4)


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_stops_when_asked(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
) -> None:
    monkeypatch.setattr("mrpc.training.session.BASE_EVALUATION_STEP", 0)
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, loop=loop)
    session = open_session(run)
    write_model(run.paths.stop, StopRequest(attempt=1, save=True, requested_at=0.0))
    with pytest.raises(StopTraining) as stop:
        select_loop(session.config.loop)(session)
    assert stop.value.save
    # Epoch 0 is being evaluated: a person does not wait for its end.
    assert session.step == 0
    session.report.run.paths.stop.unlink()
    session.report.stop_signal = True
    session.validation.begin()
    session.report.check_stop = lambda: None  # type: ignore[method-assign]
    with pytest.raises(StopTraining):
        select_loop(session.config.loop)(session)
    assert session.step == 1
    session.stop(save=True)
    assert run.paths.checkpoints.exists() is (loop in RESUMABLE_LOOPS)
    assert folder_sha256(run.paths.last_model) == weights_sha256(session.model)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_refuses_a_loss_that_is_no_number(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, loop: str
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, loop=loop)
    session = open_session(run)
    for parameter in session.model.bert.encoder.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="became nan"):
        select_loop(session.config.loop)(session)
    assert any(isinstance(event, NonFiniteEvent) for event in read_events(run.paths.events))


def test_trainer_reports_no_metrics_of_its_own(runs: dict[str, Run]) -> None:
    report = read_model(runs["trainer"].paths.trainer_report, TrainerReport)
    assert report is not None
    assert "eval_loss" in report.without_compute_metrics
    assert not {"eval_accuracy", "eval_f1"} & set(report.without_compute_metrics)
    untrained = evaluations(runs["trainer"])[0]
    assert report.with_compute_metrics["eval_f1"] == pytest.approx(untrained.f1)
    assert report.with_compute_metrics["eval_loss"] == pytest.approx(untrained.loss, rel=1e-5)
    assert not runs["pytorch"].paths.trainer_report.exists()


def test_bfloat16_where_the_processor_has_it(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    if not torch.cpu._is_avx512_bf16_supported():
        pytest.skip("this processor computes no bfloat16")
    values = {"num_epochs": 1, "learning_rate": 1e-3}
    exact = train_here(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **values))
    for loop in ("accelerate", "trainer"):
        values = {"num_epochs": 1, "learning_rate": 1e-3, "mixed_precision": "bf16", "loop": loop}
        mixed = train_here(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **values))
        assert losses(mixed) != losses(exact)
        assert losses(mixed) == pytest.approx(losses(exact), abs=0.02)


def test_the_form_says_what_a_loop_cannot_do() -> None:
    assert "cannot continue exactly" in LOOP_HELP["trainer"]
    assert set(LOOP_HELP) == set(LOOPS)
    assert {"trainer"} == set(LOOPS) - RESUMABLE_LOOPS


def test_the_plain_loop_refuses_mixed_precision() -> None:
    with pytest.raises(ConfigError, match="the loop pytorch trains in float32"):
        build_config({"loop": "pytorch", "mixed_precision": "bf16"})


def test_a_run_that_goes_on_with_another_number_of_processes_says_so(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir)
    session = open_session(run)
    states = [read_random_state(session.dropout), read_random_state(session.dropout)]
    session.ranks.gather = lambda value: states  # type: ignore[method-assign, assignment]
    session.step = session.epoch = 1
    session.save_checkpoint()
    open_session(run)
    warnings = [e.message for e in read_events(run.paths.events) if isinstance(e, WarningEvent)]
    assert warnings == [
        "This attempt trains with 1 processes, the one before with 2: dropout drops other activations than "
        "it would have."
    ]
