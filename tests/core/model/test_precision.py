"""Which number format a training computes its steps in."""

from __future__ import annotations

import pytest
import torch

from mrpc.config import DEFAULT_CHECKPOINT, PRESETS, TrainConfig, build_config
from mrpc.core.model.precision import computes_in, select_precision
from mrpc.errors import TrainingError

CPU = torch.device("cpu")


def config(mixed_precision: str, **values: str) -> TrainConfig:
    return build_config({"preset": "course", "mixed_precision": mixed_precision, **values})


def let_the_processor_have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: "avx512_bf16" in names)


def test_float32_unless_asked() -> None:
    assert select_precision(config("no"), "no", CPU).mixed == "no"


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (("avx2",), "no"),
        (("avx512_bf16",), "bf16"),
        (("amx_tile", "amx_int8"), "no"),
        (("avx512_bf16", "amx_tile", "amx_bf16"), "bf16"),
    ],
)
def test_auto_is_bfloat16_on_processors_that_multiply_in_it(
    monkeypatch: pytest.MonkeyPatch, units: tuple[str, ...], expected: str
) -> None:
    let_the_processor_have(monkeypatch, *units)
    assert select_precision(config("auto"), "no", CPU) == (expected, "")
    assert computes_in("bf16", CPU) is (expected == "bf16")


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "no"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_auto_is_bfloat16_on_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert select_precision(config("auto"), "no", torch.device("cuda")).mixed == expected


def test_auto_leaves_the_plain_loop_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    let_the_processor_have(monkeypatch, "amx_tile", "amx_bf16")
    assert select_precision(config("auto", loop="pytorch"), "bf16", CPU).mixed == "no"


@pytest.mark.parametrize("checkpoint", [DEFAULT_CHECKPOINT, "google-bert/bert-base-uncased"])
def test_auto_is_what_the_quick_presets_ask_for(checkpoint: str) -> None:
    chosen = {
        name: build_config({"preset": name, "checkpoint": checkpoint}).mixed_precision for name in PRESETS
    }
    assert chosen == {"course": "no", "recommended": "auto", "quick": "auto"}


def test_a_run_that_wants_what_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    let_the_processor_have(monkeypatch)
    with pytest.raises(TrainingError, match="cpu does not compute in it"):
        select_precision(config("bf16"), "no", CPU)


@pytest.mark.parametrize("requested", ["fp16", "fp8"])
def test_a_config_of_accelerate_that_does_not_fit_is_set_aside_with_a_warning(requested: str) -> None:
    precision = select_precision(config("no"), requested, CPU)
    assert precision.mixed == "no"
    assert "runs in float32" in precision.warning


def test_a_config_of_accelerate_that_fits_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    let_the_processor_have(monkeypatch, "avx512_bf16")
    assert select_precision(config("no"), "bf16", CPU) == ("bf16", "")
