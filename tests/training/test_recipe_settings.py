"""Settings that make a training cheaper or better do what they say, in every loop, and resume exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from mrpc.core.data.load import load_data
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_base, load_finetuned
from mrpc.core.model.fast_bert import FastForward
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.recipe import freeze
from mrpc.core.model.stored_predictions import read_predictions
from mrpc.core.text.batching import swapped_rows
from mrpc.core.text.tokenization import encode_pairs
from mrpc.errors import ConfigError
from mrpc.runs.events import CheckpointEvent, StartedEvent, WarningEvent
from mrpc.runs.log import read_events
from mrpc.runs.run import Run
from mrpc.training.report import StopTraining
from mrpc.training.session import select_loop
from tests.tiny import folder_sha256
from tests.training.in_process import evaluations, make_run, open_session, steps, train_here, train_records

TIMES = {"seq": 0, "time": 0.0, "duration_s": 0.0}
RECIPE = {
    "fast": True,
    "swap_probability": 0.5,
    "freeze_word_embeddings": True,
    "attention_dropout": False,
    "shared_words_weight": 0.5,
    "batch_order": "length",
    "learning_rate": 1e-3,
}


@pytest.mark.parametrize("loop", ["accelerate", "pytorch", "trainer"])
def test_every_loop_trains_fast(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, loop: str
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, loop=loop, num_epochs=2, **RECIPE)
    session = open_session(run)
    assert isinstance(session.model.forward, FastForward)
    select_loop(session.config.loop)(session)
    session.finish()
    assert len(steps(run)) == 16
    for epoch in (1, 2):
        assert sorted(train_records(run, epoch)["idx"]) == list(range(64))
    assert folder_sha256(run.paths.last_model) == evaluations(run)[-1].weights_sha256


@pytest.mark.parametrize("shared_words_weight", [0.0, 0.5])
def test_fast_steps_have_the_losses_of_plain_ones_without_dropout(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_words_weight: float,
) -> None:
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: x)
    monkeypatch.setattr("mrpc.core.model.fast_bert.DropoutStream.apply", lambda self, x, p: x)
    values = {"learning_rate": 1e-4, "num_epochs": 2, "attention_dropout": False}
    values["shared_words_weight"] = shared_words_weight
    plain, fast = (
        train_here(make_run(tmp_path / str(on), tiny_data_dir, tiny_checkpoint_dir, fast=on, **values))
        for on in (False, True)
    )
    assert [s.loss for s in steps(fast)] == pytest.approx([s.loss for s in steps(plain)], abs=1e-4)
    assert [s.grad_norm for s in steps(fast)] == pytest.approx([s.grad_norm for s in steps(plain)], rel=1e-3)
    assert [e.loss for e in evaluations(fast)] == pytest.approx(
        [e.loss for e in evaluations(plain)], abs=1e-4
    )


needs_bfloat16 = pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="this processor computes no bfloat16"
)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="recipe"),
        pytest.param({"freeze_word_embeddings": False}, id="words trained"),
        pytest.param({"both_orders": True}, id="both orders"),
        pytest.param({"mixed_precision": "bf16"}, id="bfloat16", marks=needs_bfloat16),
        pytest.param({"mixed_precision": "bf16", "fast": False}, id="autocast", marks=needs_bfloat16),
    ],
)
def test_a_cut_run_goes_on_to_the_very_same_weights(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
) -> None:
    monkeypatch.setattr("mrpc.training.session.BASE_EVALUATION_STEP", 5)

    def make(name: str) -> Run:
        return make_run(tmp_path / name, tiny_data_dir, tiny_checkpoint_dir, num_epochs=2, **RECIPE | values)

    def train_until(run: Run, last_step: int) -> None:
        session = open_session(run)
        on_step = session.on_step

        def stop_there(*args: float) -> None:
            on_step(*args)
            if session.step == last_step:
                session.save_checkpoint()
                raise StopTraining(save=True)

        session.on_step = stop_there  # type: ignore[method-assign, assignment]
        with pytest.raises(StopTraining):
            select_loop("accelerate")(session)

    whole = train_here(make("whole"))
    for last_step in (3, 11):  # before epoch 0 was evaluated, and in the second epoch
        cut = make(f"cut at {last_step}")
        train_until(cut, last_step)
        torch.manual_seed(999)  # a new process begins with other random states
        train_here(cut)
        assert folder_sha256(cut.paths.last_model) == folder_sha256(whole.paths.last_model), last_step
        losses = {step.step: step.loss for step in steps(cut)}
        assert list(losses.values()) == [step.loss for step in steps(whole)], last_step
        same = [
            [(each.epoch, each.step, each.loss, each.weights_sha256) for each in evaluations(run)]
            for run in (cut, whole)
        ]
        assert same[0] == same[1], last_step
        assert [(epoch, step) for epoch, step, *_ in same[0]] == [(0, 0), (1, 8), (2, 16)], last_step


@pytest.mark.parametrize("loop", ["accelerate", "pytorch"])
def test_the_untrained_model_is_evaluated_in_passing_and_changes_nothing(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    runs = []
    for number in (0, 3, 500):  # before the first step, after the third, at the end of the epoch
        monkeypatch.setattr("mrpc.training.session.BASE_EVALUATION_STEP", number)
        values = {"loop": loop, "num_epochs": 2, "fast": True, "learning_rate": 1e-3}
        runs.append(
            train_here(make_run(tmp_path / str(number), tiny_data_dir, tiny_checkpoint_dir, **values))
        )
    first, *others = runs
    for run in others:
        assert folder_sha256(run.paths.last_model) == folder_sha256(first.paths.last_model)
        assert [step.loss for step in steps(run)] == [step.loss for step in steps(first)]
        assert [e.model_copy(update=TIMES) for e in evaluations(run)] == [
            e.model_copy(update=TIMES) for e in evaluations(first)
        ]
        for epoch in (0, 1, 2):
            ours, theirs = (pq.read_table(r.paths.validation_predictions(epoch)) for r in (run, first))
            assert ours.equals(theirs)
            assert ours.schema.metadata == theirs.schema.metadata


@needs_bfloat16
@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_trains_alike_and_predicts_in_float32(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, fast: bool
) -> None:
    values = {**RECIPE, "fast": fast, "num_epochs": 2}
    exact, mixed = (
        train_here(
            make_run(tmp_path / name, tiny_data_dir, tiny_checkpoint_dir, mixed_precision=name, **values)
        )
        for name in ("no", "bf16")
    )
    assert [s.loss for s in steps(mixed)] != [s.loss for s in steps(exact)]
    assert [s.loss for s in steps(mixed)] == pytest.approx([s.loss for s in steps(exact)], abs=0.03)
    stored = read_predictions(mixed.paths.validation_predictions(evaluations(mixed)[-1].epoch))
    model, tokenizer = load_finetuned(mixed.paths.last_model)
    validation = load_data("folder", tiny_data_dir).dataset["validation"]
    again = Predictor(model, tokenizer).predict_dataset(validation)
    np.testing.assert_allclose(stored.logits, again.logits, atol=1e-5)


def test_auto_takes_bfloat16_where_it_pays_and_the_run_says_so(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for has_units, expected in ((False, "no"), (True, "bf16")):
        monkeypatch.setattr("mrpc.core.model.precision.computes_in", lambda mixed, device, has=has_units: has)
        values = {"mixed_precision": "auto", "fast": True}
        run = make_run(tmp_path / expected, tiny_data_dir, tiny_checkpoint_dir, **values)
        assert open_session(run).mixed_precision == expected
        (started,) = (e for e in read_events(run.paths.events) if isinstance(e, StartedEvent))
        assert started.mixed_precision == expected


def test_going_on_in_another_precision_is_said(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, mixed_precision="auto")
    monkeypatch.setattr("mrpc.core.model.precision.computes_in", lambda mixed, device: False)
    session = open_session(run)
    session.step = session.epoch = 1
    session.save_checkpoint()
    monkeypatch.setattr("mrpc.core.model.precision.computes_in", lambda mixed, device: True)
    open_session(run)
    warnings = [e.message for e in read_events(run.paths.events) if isinstance(e, WarningEvent)]
    assert any("its steps in bfloat16, the one before in float32" in message for message in warnings)


def test_only_pairs_of_steps_are_encoded(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []

    def encode(tokenizer: Any, sentence1: Sequence[str], *rest: Any) -> Any:
        encoded.extend(sentence1)
        return encode_pairs(tokenizer, sentence1, *rest)

    monkeypatch.setattr("mrpc.training.pairs.encode_pairs", encode)
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, max_steps=2)
    session = open_session(run)
    assert encoded == []
    select_loop("accelerate")(session)
    assert 2 * 8 <= len(encoded) <= 3 * 8  # accelerate asks for one batch more, to know the last


def test_swapped_pairs_are_those_that_the_epoch_says(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    session = open_session(
        make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, swap_probability=0.5, seed=3)
    )
    pairs, tokenizer = session.train, session.tokenizer
    seen = {}
    for epoch in (0, 1):
        (rows,) = pairs.shown([range(64)], epoch)
        swapped = swapped_rows(64, 0.5, 3, epoch)
        assert [row >= 64 for row in rows] == swapped.tolist()
        seen[epoch] = swapped
    assert 0 < seen[0].sum() < 64
    assert not np.array_equal(seen[0], seen[1])
    first, second = pairs[5]["input_ids"], pairs[5 + 64]["input_ids"]
    middle = first.index(tokenizer.sep_token_id)
    assert second[1:-1] == [*first[middle + 1 : -1], tokenizer.sep_token_id, *first[1:middle]]
    assert pairs[5]["label"] == pairs[5 + 64]["label"]


def test_both_orders_stand_in_one_batch(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    values = {"both_orders": True, "swap_probability": 0.5, "seed": 3}
    session = open_session(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **values))
    batches = session.train.shown([[5, 9, 2], [0]], 1)
    swapped = swapped_rows(64, 0.5, 3, 1)
    for pairs, rows in zip([[5, 9, 2], [0]], batches, strict=True):
        first, second = rows[: len(pairs)], rows[len(pairs) :]
        assert [row % 64 for row in first] == [row % 64 for row in second] == pairs
        assert [row >= 64 for row in first] == [bool(swapped[pair]) for pair in pairs]
        assert all((one >= 64) != (other >= 64) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("loop", ["accelerate", "pytorch", "trainer"])
def test_both_orders_of_a_pair_are_one_record(
    tmp_path: Path,
    tiny_data_dir: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
) -> None:
    """With no dropout and no learning a step's loss is the mean of what each order alone would give."""
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: x)
    values = {"loop": loop, "learning_rate": 1e-9, "num_epochs": 1, "attention_dropout": False}
    runs = {
        name: train_here(make_run(tmp_path / name, tiny_data_dir, tiny_checkpoint_dir, **values, **own))
        for name, own in {
            "written": {},
            "swapped": {"swap_probability": 1.0},
            "both": {"both_orders": True},
        }.items()
    }
    records = {name: train_records(run, 1) for name, run in runs.items()}
    assert records["both"]["idx"] == records["written"]["idx"] == records["swapped"]["idx"]
    for name in ("loss", "prob_equivalent"):
        orders = np.array([records["written"][name], records["swapped"][name]])
        assert np.abs(orders[0] - orders[1]).max() > 5e-6, "the orders differ"
        assert records["both"][name] == pytest.approx(orders.mean(axis=0), abs=1e-6)
    written, swapped, both = (steps(runs[name]) for name in ("written", "swapped", "both"))
    for one, other, shown in zip(written, swapped, both, strict=True):
        assert shown.loss == pytest.approx((one.loss + other.loss) / 2, abs=1e-5)
        assert shown.num_pairs == one.num_pairs == 8
        assert shown.num_tokens == one.num_tokens + other.num_tokens == 2 * one.num_tokens


def test_frozen_word_embeddings_stay_as_they_were(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    values = {"freeze_word_embeddings": True, "learning_rate": 1e-3, "num_epochs": 1, "weight_decay": 0.1}
    run = train_here(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, **values))
    name = "embeddings.word_embeddings.weight"
    before = load_file(tiny_checkpoint_dir / "model.safetensors")[name]
    after = load_file(run.paths.last_model / "model.safetensors")
    assert torch.equal(after[f"bert.{name}"], before)
    assert not torch.equal(
        after["bert.embeddings.position_embeddings.weight"],
        load_file(tiny_checkpoint_dir / "model.safetensors")["embeddings.position_embeddings.weight"],
    )


def test_frozen_layers_stay_as_they_were(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    values = {"freeze_layers": 1, "learning_rate": 1e-3, "num_epochs": 1}
    fast, plain = (
        train_here(make_run(tmp_path / str(on), tiny_data_dir, tiny_checkpoint_dir, fast=on, **values))
        for on in (True, False)
    )
    before = load_file(tiny_checkpoint_dir / "model.safetensors")
    for run in (fast, plain):
        after = load_file(run.paths.last_model / "model.safetensors")
        moved = {name for name in before if not torch.equal(after[f"bert.{name}"], before[name])}
        assert moved
        assert all(name.startswith(("encoder.layer.1", "pooler")) for name in moved)


def test_too_many_frozen_layers_are_refused(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    with pytest.raises(ConfigError, match="freeze_layers is 2, but this encoder has 2 layers; at most 1"):
        open_session(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, freeze_layers=2))


def test_every_family_of_encoders_can_be_frozen() -> None:
    small = {"num_hidden_layers": 3, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    configs = [
        *(AutoConfig.for_model(kind, vocab_size=30, **small) for kind in ("bert", "roberta")),
        AutoConfig.for_model("modernbert", vocab_size=30, pad_token_id=0, **small),
        AutoConfig.for_model("distilbert", vocab_size=30, n_layers=3, dim=16, n_heads=2, hidden_dim=16),
    ]
    for config in configs:
        model = AutoModelForSequenceClassification.from_config(config)
        freeze(model, word_embeddings=False, num_layers=2)
        names = [name for name, weights in model.named_parameters() if not weights.requires_grad]
        numbers = {part for name in names for part in name.split(".") if part.isdigit()}
        assert numbers == {"0", "1"}, config.model_type
        assert not model.get_input_embeddings().weight.requires_grad, config.model_type


def test_an_identity_pooler_belongs_to_the_model_before_training(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, pooler_start="identity", num_epochs=1)
    session = open_session(run)
    assert torch.equal(session.model.bert.pooler.dense.weight, torch.eye(32))
    assert "bert.pooler.dense.weight" in session.new_parameters
    base = load_base(session.checkpoint, run.paths.base)
    assert weights_sha256(base) == session.base_sha256


def test_attention_dropout_is_off_where_it_is_said_so(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, attention_dropout=False, num_epochs=1)
    session = open_session(run)
    layer = session.model.bert.encoder.layer[0]
    assert (layer.attention.self.dropout.p, layer.output.dropout.p) == (0.0, 0.1)
    train_here(run)
    saved = AutoConfig.from_pretrained(run.paths.best_model)
    assert (saved.attention_probs_dropout_prob, saved.hidden_dropout_prob) == (0.0, 0.1)


def test_a_model_without_a_fast_forward_trains_plainly_and_says_so(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrpc.training.setup.why_not_fast", lambda model: "it is made for BERT")
    run = make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, fast=True)
    session = open_session(run)
    assert not isinstance(session.model.forward, FastForward)
    warnings = [e.message for e in read_events(run.paths.events) if isinstance(e, WarningEvent)]
    assert warnings == ["The fast forward pass is not used: it is made for BERT."]


def test_large_checkpoints_take_their_share_of_the_time_and_no_more(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(make_run(tmp_path, tiny_data_dir, tiny_checkpoint_dir, checkpoint_every_s=0.1))
    session.save_checkpoint()
    assert session.checkpoint_interval_s == 0.1
    monkeypatch.setattr("mrpc.training.session.LARGE_CHECKPOINT_BYTES", 0)
    session.save_checkpoint()
    *_, written = read_events(session.run.paths.events)
    assert isinstance(written, CheckpointEvent)
    assert session.checkpoint_interval_s == pytest.approx(max(0.1, 50 * written.duration_s))
