"""The settings as people fill them in, and what a training with them would do and need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mrpc.app.templates import render
from mrpc.app.train.estimates import Estimate, Minutes
from mrpc.app.train.start import (
    DEFAULT_PRESET,
    FIELDS,
    FILLED,
    LABELS,
    checkpoint_changes,
    describe_needs,
    describe_time,
    field_id,
    fill_form,
    help_text,
    is_preset,
    label_text,
    make_plan,
    preset_cards,
    preset_values,
    read_form,
)
from mrpc.config import PRESETS, TrainConfig, build_config
from mrpc.errors import ConfigError, UnavailableError
from tests.html import parse

BERT = "google-bert/bert-base-uncased"


class Checkpoints:
    def require(self, name: str) -> None:
        if name == "away":
            raise UnavailableError("It is <b>away</b>.")


class Estimates:
    def estimate(self, config: TrainConfig, num_pairs: int) -> Estimate:
        return Estimate(
            Minutes(7.5, "measured"), 10**9, 5 * 10**9, None, 9 * 10**9, False, ["No <b>room</b>."]
        )

    def minutes(self, configs: list[TrainConfig], num_pairs: int) -> list[Minutes]:
        return [Minutes(number * 1.1 + 0.5, "scaled") for number, _ in enumerate(configs)]


@pytest.fixture
def services() -> Any:
    train = SimpleNamespace(num_rows=3_668)
    data = SimpleNamespace(dataset={"train": train})
    own_data = SimpleNamespace(get=lambda name: data)
    return SimpleNamespace(own_data=own_data, checkpoints=Checkpoints(), estimates=Estimates())


def form_values(**values: Any) -> dict[str, Any]:
    return {"preset": "quick", "checkpoint": "all-MiniLM-L6-v2", **preset_values("quick"), **values}


def test_every_hyperparameter_has_a_place_a_name_and_says_what_raising_it_does() -> None:
    assert set(FIELDS) == set(TrainConfig.model_fields) == set(LABELS)
    assert len(FIELDS) == len(set(FIELDS))
    for name in FILLED:
        extra = TrainConfig.model_fields[name].json_schema_extra
        assert isinstance(extra, dict)
        assert extra["raise_lower"], name
        assert str(extra["raise_lower"]) in help_text(name)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_filled_in_is_that_preset(preset: str) -> None:
    assert build_config({"preset": preset, **preset_values(preset)}) == build_config({"preset": preset})


def test_another_checkpoint_brings_the_recipe_of_larger_encoders() -> None:
    shown = preset_values("recommended")
    changed = checkpoint_changes("recommended", BERT, shown)
    assert (changed["learning_rate"], changed["num_epochs"]) == ("2e-5", 4)
    assert "train_batch_size" not in changed
    own = {**shown, "learning_rate": "3e-5"}
    assert "learning_rate" not in checkpoint_changes("recommended", BERT, own), "a person's value stays"
    assert checkpoint_changes("course", BERT, preset_values("course")) == {}


def test_rates_read_as_people_write_them() -> None:
    assert preset_values("course")["learning_rate"] == "5e-5"
    assert preset_values("recommended")["warmup_ratio"] == "0.1"


@pytest.mark.parametrize("preset", ["<b>", None, 3, ["quick"]])
def test_an_unknown_preset_is_none(preset: object) -> None:
    assert not is_preset(preset)
    assert is_preset(DEFAULT_PRESET)


def test_emptied_fields_fall_back_to_the_preset() -> None:
    values = read_form(form_values(num_epochs=None, learning_rate=""))
    assert "num_epochs" not in values
    assert "learning_rate" not in values
    assert build_config(values) == build_config({"preset": "quick"})


def test_the_settings_of_a_run_come_back_as_they_were() -> None:
    config = build_config({"preset": "course", "seed": 11, "learning_rate": 3e-4, "warmup_ratio": 0.25})
    assert build_config(read_form(fill_form(config))) == config


def test_units_stand_with_the_label() -> None:
    assert label_text("max_length") == "Longest pair (tokens)"
    assert label_text("num_epochs") == "Epochs"


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ({"preset": "course"}, 1_377),  # as in the course
        ({"preset": "course", "gradient_accumulation_steps": 4}, 345),
        ({"preset": "course", "max_steps": 100}, 100),
        ({"preset": "course", "num_train_pairs": 320, "num_epochs": 1}, 40),
        ({"preset": "course", "num_train_pairs": 9_999}, 1_377),
    ],
)
def test_the_plan_counts_steps(values: dict[str, Any], steps: int) -> None:
    assert build_config(values).num_steps(3_668) == steps


def test_the_plan_in_words(services: Any) -> None:
    values = form_values(num_train_pairs=640, num_epochs=1, gradient_accumulation_steps=2)
    plan = make_plan(services, values)
    assert (plan.num_steps, plan.words) == (20, "640 pairs in batches of 16 × 2, 1 epoch")
    shown = parse(render("train/plan.html", plan=plan, ids={}, groups={}, preset_help="What it is for."))
    assert "20 optimizer steps" in shown.one("p", cls="plan").text
    assert shown.one(role="status").text == "No <b>room</b>."


@pytest.mark.parametrize("value", ["abc", "nan", "-1", "1e400", "<script>"])
def test_what_cannot_be_used_is_named_at_its_field(services: Any, value: str) -> None:
    plan = make_plan(services, form_values(learning_rate=value))
    assert set(plan.problems) == {"learning_rate"}
    assert plan.problems["learning_rate"].startswith("Learning rate is")
    assert "more than 0 and at most 0.01" in plan.problems["learning_rate"]
    ids = {name: field_id(name) for name in FIELDS}
    shown = parse(render("train/plan.html", plan=plan, ids=ids, groups={}, preset_help=""))
    (problem,) = shown.one(role="alert").all("button")
    assert problem.attributes["data-field"] == "train-learning-rate"
    assert value in problem.text or value in ("nan", "1e400")


def test_several_faults_are_named_each() -> None:
    with pytest.raises(ConfigError) as caught:
        build_config({"num_epochs": 99, "seed": -1})
    assert set(caught.value.problems) == {"num_epochs", "seed"}
    with pytest.raises(ConfigError) as caught:
        build_config({"loop": "pytorch", "mixed_precision": "bf16"})
    assert set(caught.value.problems) == {"mixed_precision"}


def test_what_is_away_is_said_beside_the_fields(services: Any) -> None:
    plan = make_plan(services, form_values(checkpoint="away"))
    assert (plan.problems, plan.message) == ({}, "It is <b>away</b>.")


def test_needs_in_words() -> None:
    unknown = Estimate(Minutes(None, "unknown"), 10**9, 5 * 10**9, None, 9 * 10**9, False, [])
    assert describe_needs(unknown) == (
        "Time: time not known yet. Disk: about 1.0 GB of 5.0 GB free. Memory: unknown; 9.0 GB are free."
    )
    known = Estimate(Minutes(7.5, "measured"), 1, 2, 3, 4, True, [])
    assert "7 min 30 s, measured here" in describe_needs(known)
    assert describe_needs(known).endswith("free, as an earlier run here.")


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (Minutes(7.51, "measured"), "7 min 31 s, measured here"),
        (Minutes(7.51, "scaled"), "about 8 min, from other runs here"),
        (Minutes(0.4, "machine"), "roughly 24 s, estimated from this machine's speed"),
    ],
)
def test_a_time_says_how_far_to_believe_it(time: Minutes, words: str) -> None:
    assert describe_time(time) == words


def test_each_card_has_the_time_of_its_own_preset(services: Any) -> None:
    cards = {name: text for text, name in preset_cards(services, "all-MiniLM-L6-v2")}
    assert set(cards) == set(PRESETS)
    times = [text.splitlines()[1] for text in cards.values()]
    assert times == [f"about {time}, from other runs here" for time in ("30 s", "2 min", "3 min")]


@pytest.mark.parametrize("checkpoint", [None, 3, "", "x" * 500])
def test_cards_without_a_checkpoint_have_no_time(services: Any, checkpoint: object) -> None:
    assert all("…" in text for text, _ in preset_cards(services, checkpoint))
