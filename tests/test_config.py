"""Hyperparameters: every value is checked, and the message names field, value and range."""

import math
from typing import Any

import pytest

from mrpc.config import PRESETS, TrainConfig, allowed_range, build_config, changed_settings
from mrpc.errors import ConfigError


def test_the_course_preset_is_the_course() -> None:
    config = build_config({"preset": "course"})
    assert (config.train_batch_size, config.num_epochs, config.learning_rate) == (8, 3, 5e-5)
    assert (config.warmup_ratio, config.weight_decay, config.max_grad_norm) == (0.0, 0.0, 1.0)
    assert config.batch_order == "random"
    assert math.ceil(3668 / config.train_batch_size) * config.num_epochs == 1377


@pytest.mark.parametrize("preset", PRESETS)
def test_values_are_laid_over_the_preset(preset: str) -> None:
    config = build_config({"preset": preset, "seed": 7})
    assert config.seed == 7
    assert config.model_dump() == {
        **TrainConfig().model_dump(),
        **PRESETS[preset],
        "preset": preset,
        "seed": 7,
    }  # type: ignore[index]
    assert changed_settings(config) == ({"seed": 7} if PRESETS[preset].get("seed") != 7 else {})  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", 0),
        ("learning_rate", -1),
        ("learning_rate", "fast"),
        ("learning_rate", None),
        ("num_epochs", 2.5),
        ("num_epochs", 0),
        ("num_epochs", True),
        ("num_epochs", 10**30),
        ("train_batch_size", 0),
        ("train_batch_size", [8]),
        ("warmup_ratio", 1.5),
        ("max_length", 7),
        ("max_length", 513),
        ("seed", -1),
        ("seed", 2**31),
        ("checkpoint", ""),
        ("checkpoint", "x" * 201),
        ("loop", "other"),
        ("batch_order", {}),
    ],
)
def test_a_bad_value_is_refused_with_field_value_and_range(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is ")
    assert allowed_range(name) in message


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'batch_size'"):
        build_config({"batch_size": 8})


@pytest.mark.parametrize("preset", ["fast", None, ["quick"], 3])
def test_an_unknown_preset_is_refused(preset: Any) -> None:
    with pytest.raises(ConfigError, match="preset is"):
        build_config({"preset": preset})


def test_whole_numbers_may_come_as_floats_or_text_as_browsers_send_them() -> None:
    assert build_config({"num_epochs": 2.0}).num_epochs == 2
    assert build_config({"num_epochs": "2"}).num_epochs == 2


def test_every_field_has_a_description_and_a_range() -> None:
    for name, field in TrainConfig.model_fields.items():
        assert field.description, name
        assert allowed_range(name), name


@pytest.mark.parametrize(
    "checkpoint", ["google-bert/bert-base-uncased", "FacebookAI/roberta-base", "local:mine"]
)
def test_larger_encoders_get_a_recipe_of_their_own(checkpoint: str) -> None:
    config = build_config({"preset": "recommended", "checkpoint": checkpoint, "seed": 3})
    assert 2e-5 <= config.learning_rate <= 3e-5
    assert (config.train_batch_size, config.num_epochs, config.warmup_ratio) == (16, 4, 0.1)
    assert config.pooler_start == "checkpoint"  # RoBERTa has none
    assert not config.freeze_word_embeddings
    assert changed_settings(config) == {"seed": 3}
    small = build_config({"preset": "recommended"})
    assert small.learning_rate > config.learning_rate
    assert build_config({"checkpoint": checkpoint, "preset": "course"}).learning_rate == 5e-5
