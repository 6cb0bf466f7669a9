"""The first batch through the model and one training step, against plain library code."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.tokenize.step import FirstSteps
from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.text.batching import epoch_batches
from mrpc.errors import InputError, TaskCancelled

COURSE = ["I've been waiting for a HuggingFace course my whole life.", "This course is amazing!"]


@pytest.fixture(scope="module")
def checkpoints(tiny_checkpoint_dir: Path) -> CheckpointShelf:
    return CheckpointShelf((tiny_checkpoint_dir,))


@pytest.fixture(scope="module")
def first_steps(tiny_data_dir: Path, checkpoints: CheckpointShelf) -> FirstSteps:
    data = load_data("folder", tiny_data_dir)
    return FirstSteps(lambda: data, checkpoints)


def test_the_first_batch_is_the_first_of_a_training(first_steps):
    ready = first_steps.first_batch("train", "local:tiny-bert", 8, seed=7)
    assert ready.rows == epoch_batches(range(64), 8, "random", seed=7, epoch=0)[0]
    assert list(ready.columns_tokenized) == [
        *("sentence1", "sentence2", "label", "idx"),
        *("input_ids", "token_type_ids", "attention_mask"),
    ]
    assert set(ready.columns_ready) == {"labels", "input_ids", "token_type_ids", "attention_mask"}
    length = ready.shapes["input_ids"][1]
    assert ready.shapes == {
        "labels": (8,),
        "input_ids": (8, length),
        "token_type_ids": (8, length),
        "attention_mask": (8, length),
    }
    assert ready.dtype == "torch.int64"
    assert [(one.row, one.label) for one in ready.answers] == [(row, row % 2) for row in ready.rows]
    assert ready.new_parameters == ["classifier.bias", "classifier.weight"]
    assert ready == first_steps.first_batch("train", "local:tiny-bert", 8, seed=7)


def test_the_columns_and_the_forward_pass_of_the_course(checkpoints, mrpc_data_dir):
    data = load_data("folder", mrpc_data_dir)
    ready = FirstSteps(lambda: data, checkpoints).first_batch("train")
    assert sorted(ready.columns_tokenized) == [
        *("attention_mask", "idx", "input_ids", "label", "sentence1", "sentence2", "token_type_ids"),
    ]
    assert sorted(ready.columns_ready) == ["attention_mask", "input_ids", "labels", "token_type_ids"]
    assert sorted(ready.shapes) == sorted(ready.columns_ready)
    assert [len(one.logits) for one in ready.answers] == [2] * 8
    assert ready.loss == pytest.approx(math.log(2), abs=0.05)


def test_every_answer_is_the_argmax_and_its_loss_follows_from_the_softmax(first_steps):
    ready = first_steps.first_batch("train", "local:tiny-bert", 8, seed=7)
    for one in ready.answers:
        powers = [math.exp(logit) for logit in one.logits]
        assert one.probs == pytest.approx([power / sum(powers) for power in powers], abs=1e-6)
        assert one.predicted == one.logits.index(max(one.logits))
        assert one.loss == pytest.approx(-math.log(one.probs[one.label]), abs=1e-5)
        assert one.is_right == (one.predicted == one.label)
    assert ready.loss == pytest.approx(sum(one.loss for one in ready.answers) / 8, abs=1e-6)
    assert ready.num_right == sum(one.predicted == one.label for one in ready.answers)
    assert ready.num_equivalent == sum(one.label for one in ready.answers)
    alike = {one.predicted for one in ready.answers}
    assert ready.only_answer == (alike.pop() if len(alike) == 1 else None)


def test_a_split_without_labels_has_no_loss(tiny_data_dir, checkpoints):
    data = load_data("folder", tiny_data_dir)
    test = data.dataset["test"]
    bare = test.remove_columns("label").add_column("label", [-1] * len(test))  # type: ignore[call-arg]
    unlabelled = SimpleNamespace(split=lambda name: bare)
    with pytest.raises(InputError, match="Not every pair of test has a label"):
        FirstSteps(lambda: unlabelled, checkpoints).first_batch("test", "local:tiny-bert")  # type: ignore[arg-type]


def test_one_answer_for_all_pairs_is_noticed(first_steps):
    found = [first_steps.first_batch("train", "local:tiny-bert", 8, seed) for seed in range(12)]
    assert {ready.only_answer for ready in found} & {0, 1}  # a random head often answers one thing
    assert first_steps.first_batch("train", "local:tiny-bert", 1, 0).only_answer is None


def test_the_loss_before_training_is_near_ln_2(first_steps):
    ready = first_steps.first_batch("train", "", 8)
    assert ready.loss == pytest.approx(math.log(2), abs=0.05)


def test_the_step_is_the_one_that_a_plain_script_takes(first_steps, tiny_checkpoint_dir):
    step = first_steps.take_step(COURSE, "local:tiny-bert", 1e-3, seed=3)
    checkpoint = resolve_pretrained(checkpoint_dir=tiny_checkpoint_dir)
    batch = load_tokenizer(checkpoint)(COURSE, padding=True, truncation=True, return_tensors="pt")
    batch["labels"] = torch.tensor([1, 1])
    model, *_ = load_classifier(checkpoint, 3)
    optimizer = torch.optim.AdamW(model.parameters())  # its own learning rate, 1e-3, as in the course
    before = model.classifier.weight.detach().clone()
    loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    with torch.inference_mode():
        after = model(**batch).loss
    assert step.loss_before == pytest.approx(loss.item(), abs=1e-6)
    assert step.loss_after == pytest.approx(after.item(), abs=1e-6)
    assert step.loss_after < step.loss_before
    moved = (model.classifier.weight.detach() - before).norm().item()
    assert step.head.distance == pytest.approx(moved, rel=0.05)  # the bias moves too
    assert step.head.num_weights == 2 * 32 + 2
    assert step.head.largest == pytest.approx(1e-3, rel=0.05)
    assert step.encoder.num_weights == sum(p.numel() for p in model.bert.parameters())
    assert step.shapes["input_ids"] == tuple(batch["input_ids"].shape)
    assert [row.is_padding for row in step.rows[1]].count(True) > 0


def test_nothing_moves_at_a_learning_rate_of_zero(first_steps):
    step = first_steps.take_step(COURSE, "local:tiny-bert", 0.0)
    assert step.loss_after == step.loss_before
    assert step.head.distance == step.encoder.distance == 0.0


def test_a_step_says_how_far_it_is_and_can_be_cancelled(first_steps):
    told = []
    first_steps.take_step(COURSE, "local:tiny-bert", on_progress=lambda *progress: told.append(progress))
    assert [(done, of) for _, done, of in told] == [(0, 3), (1, 3), (2, 3)]

    def cancel(what, num_done, num_total):
        raise TaskCancelled("Cancelled.")

    with pytest.raises(TaskCancelled):
        first_steps.take_step(COURSE, "local:tiny-bert", on_progress=cancel)
    assert first_steps.take_step(COURSE, "local:tiny-bert").loss_before > 0  # nothing stays locked


def test_the_course_cell_with_the_bundled_checkpoint(first_steps):
    step = first_steps.take_step(COURSE)
    assert step.shapes == {
        "input_ids": (2, 16),
        "token_type_ids": (2, 16),
        "attention_mask": (2, 16),
        "labels": (2,),
    }
    assert step.loss_before == pytest.approx(math.log(2), abs=0.1)
    assert step.loss_after < step.loss_before - 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sentences": ["", "a"]}, "Sentence 1 is empty"),
        ({"learning_rate": float("inf")}, "learning rate is 'inf'"),
        ({"learning_rate": -1}, "learning rate is '-1'"),
        ({"seed": 0.5}, "seed is '0.5'"),
        ({"checkpoint": "nowhere"}, "it must be one of"),
    ],
)
def test_what_cannot_be_used_is_refused(first_steps, given, message):
    with pytest.raises(InputError, match=message):
        first_steps.take_step(**({"sentences": COURSE} | given))
    with pytest.raises(InputError, match="batch size is '17'"):
        first_steps.first_batch("train", "local:tiny-bert", 17)


def test_models_made_at_the_same_time_draw_the_same_heads(tiny_checkpoint_dir):
    checkpoint = resolve_pretrained(checkpoint_dir=tiny_checkpoint_dir)

    def head(seed: int) -> list[float]:
        return load_classifier(checkpoint, seed).model.classifier.weight.flatten().tolist()

    alone = [head(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(head, range(8))) == alone
