"""Files of ``accelerate config`` of every kind: launched, or refused in one sentence that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mrpc.app.train.accelerate_config import check_accelerate_config
from mrpc.errors import UnavailableError

LOCAL: dict[str, Any] = {
    "compute_environment": "LOCAL_MACHINE",
    "debug": False,
    "distributed_type": "NO",
    "machine_rank": 0,
    "mixed_precision": "no",
    "num_machines": 1,
    "num_processes": 1,
    "use_cpu": False,
}

FINE: dict[str, dict[str, Any]] = {
    "plain": {},
    "an old key": {"fp16": False},
    "NO without quotes": {"distributed_type": False},
    "no type": {"distributed_type": None},
    "one process on a CPU": {"distributed_type": "MULTI_CPU", "num_processes": 1, "use_cpu": True},
    "two GPUs of two": {"distributed_type": "MULTI_GPU", "num_processes": 2, "gpu_ids": "all"},
    "named GPUs": {"distributed_type": "MULTI_GPU", "num_processes": 2, "gpu_ids": "0,1"},
    "dynamo": {"dynamo_config": {"dynamo_backend": "INDUCTOR"}},
    "fp16": {"mixed_precision": "fp16"},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "eight GPUs": (
        {"distributed_type": "MULTI_GPU", "num_processes": 8},
        "asks for 8 processes on GPUs.*2 are",
    ),
    "a GPU that is not there": (
        {"distributed_type": "MULTI_GPU", "num_processes": 2, "gpu_ids": "2,3"},
        "names the GPU 2 in gpu_ids; the last one here is 1",
    ),
    "several processes on a CPU": (
        {"distributed_type": "MULTI_CPU", "num_processes": 2, "use_cpu": True},
        "asks for 2 processes on a CPU, but accelerate launch starts only one",
    ),
    "GPUs on a CPU": (
        {"distributed_type": "MULTI_GPU", "num_processes": 2, "use_cpu": True},
        "MULTI_GPU and use_cpu",
    ),
    "a second machine": (
        {"distributed_type": "MULTI_GPU", "num_machines": 2, "machine_rank": 1},
        "machine 2 of 2",
    ),
    "a first machine": ({"num_machines": 4}, "machine 1 of 4"),
    "SageMaker": ({"compute_environment": "AMAZON_SAGEMAKER"}, "compute_environment AMAZON_SAGEMAKER"),
    **{
        kind: ({"distributed_type": kind, "num_processes": 2}, f"distributed_type {kind}, which")
        for kind in ("DEEPSPEED", "FSDP", "MEGATRON_LM", "XLA", "TPU", "MULTI_NPU", "SOMETHING_NEW")
    },
    "unknown keys": ({"some_future_key": 3}, "does not know: some_future_key"),
    "lower case": ({"distributed_type": "no"}, "not understood by accelerate"),
    "a type that is no text": ({"mixed_precision": "no", "distributed_type": ["NO"]}, "distributed_type"),
    "processes in words": ({"num_processes": "two"}, "num_processes 'two'"),
    "no processes": ({"num_processes": -1}, "num_processes '-1'"),
    "machines that are true": ({"num_machines": True}, "num_machines 'True'"),
}


def write(folder: Path, content: bytes | dict[str, Any]) -> Path:
    path = folder / "default_config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    return path


@pytest.mark.parametrize("kind", FINE)
def test_a_config_that_this_machine_can_follow(tmp_path: Path, kind: str) -> None:
    check_accelerate_config(write(tmp_path, LOCAL | FINE[kind]), lambda: 2)


@pytest.mark.parametrize("kind", REFUSED)
def test_one_that_it_cannot_is_refused_with_the_file_and_the_remedy(tmp_path: Path, kind: str) -> None:
    changes, said = REFUSED[kind]
    path = write(tmp_path, LOCAL | changes)
    with pytest.raises(UnavailableError, match=said) as refused:
        check_accelerate_config(path, lambda: 2)
    assert str(refused.value).startswith(str(path))
    assert "or delete default_config.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: b\n\tc: [NO\n", r"no YAML that can be read \(line 2\)"),
        (b"", "holds no settings"),
        (b"- a\n- b\n", "holds no settings"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"a: !!python/object/apply:os.system ['true']", "no YAML that can be read"),
        (b"[" * 20_000, "no YAML that can be read"),
        (b"a" * 2_000_000, "is too large"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_one_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UnavailableError, match=said):
        check_accelerate_config(write(tmp_path, content), lambda: 0)


def test_gpus_are_counted_only_where_the_file_wants_some(tmp_path: Path) -> None:
    def count() -> int:
        raise AssertionError("this imports torch")

    check_accelerate_config(write(tmp_path, LOCAL), count)
