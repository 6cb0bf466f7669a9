"""Whether a training can be launched as the file of ``accelerate config`` says, known before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from mrpc.errors import UnavailableError

MAX_BYTES = 1_000_000
NOT_DISTRIBUTED = frozenset({"NO", "MULTI_CPU"})
SAYS_NO = frozenset({"no", "none", "null", "false", ""})
SUPPORTED = 'Supported are distributed_type "NO", MULTI_CPU and MULTI_GPU, on one machine'


def check_accelerate_config(path: Path, count_gpus: Callable[[], int]) -> None:
    """Refuse a file of ``accelerate config`` by which no training could be launched here.

    Args:
        path: the file.
        count_gpus: counts the GPUs of this machine; asked where the file wants several.

    Raises:
        UnavailableError: names the file, what it asks for, and the remedy.
    """
    config = read_config(path)
    problem = find_problem(config, count_gpus) or _misunderstood(path, config)
    if problem is not None:
        raise UnavailableError(f"{path}, which accelerate config wrote, {problem}. {remedy(path)}")


def remedy(path: Path) -> str:
    """Say what to do about a file by which nothing can be launched."""
    return (
        f"Answer accelerate config anew, or delete {path.name}: without it the training runs as it can here."
    )


def read_config(path: Path) -> dict[str, object]:
    """Return what the file says.

    Raises:
        UnavailableError: when it cannot be read; names the line where it can.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnavailableError(f"{path} is too large for a config of accelerate. {remedy(path)}")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}. {remedy(path)}") from None
    except UnicodeDecodeError:
        raise UnavailableError(f"{path} cannot be read: it is no text. {remedy(path)}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise UnavailableError(f"{path} is no YAML that can be read{where}. {remedy(path)}") from None
    if not isinstance(content, dict):
        raise UnavailableError(f"{path} holds no settings of accelerate. {remedy(path)}")
    return content


def find_problem(config: dict[str, object], count_gpus: Callable[[], int]) -> str | None:
    """Return what a config asks for that is not available here, as the rest of a sentence, or None."""
    environment = str(config.get("compute_environment", "LOCAL_MACHINE"))
    if environment != "LOCAL_MACHINE":
        return f"says compute_environment {environment[:40]}; this app starts trainings on this machine alone"
    kind = _word(config.get("distributed_type", "NO"))
    if kind not in {*NOT_DISTRIBUTED, "MULTI_GPU"}:
        return f"says distributed_type {kind[:40]}, which this app does not train with. {SUPPORTED}"
    numbers = {"num_machines": 1, "num_processes": 1, "machine_rank": 0}
    for name, lowest in numbers.items():
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            return f"says {name} {str(value)[:40]!r}, which is no number from {lowest}"
        numbers[name] = value
    num_machines, num_processes, rank = numbers.values()
    if num_machines > 1:
        return (
            f"says that this is machine {rank + 1} of {num_machines}: such a training has to be launched on "
            "each of them, and this app starts one on this machine alone"
        )
    if kind == "MULTI_CPU" and num_processes > 1:
        return (
            f"asks for {num_processes} processes on a CPU, but accelerate launch starts only one. "
            "With num_processes 1 it works, and one process uses all cores"
        )
    if kind != "MULTI_GPU":
        return None
    if config.get("use_cpu") is True:
        return "says distributed_type MULTI_GPU and use_cpu together"
    num_gpus = count_gpus()
    if num_processes > num_gpus:
        there = f"{num_gpus} are" if num_gpus != 1 else "1 is"
        several = "es" * (num_processes > 1)
        return f"asks for {num_processes} process{several} on GPUs, one each, and {there} here"
    chosen = [part.strip() for part in str(config.get("gpu_ids") or "all").split(",")]
    beyond = [number for number in chosen if number.isdecimal() and int(number) >= num_gpus]
    if beyond:
        return f"names the GPU {beyond[0][:10]} in gpu_ids; the last one here is {num_gpus - 1}"
    return None


def _misunderstood(path: Path, config: dict[str, object]) -> str | None:
    """Return what accelerate's own reader says against a file, as the rest of a sentence; imports torch."""
    from accelerate.commands.config.config_args import ClusterConfig

    unknown = sorted(set(map(str, config)) - {*ClusterConfig.__dataclass_fields__, "fp16", "dynamo_backend"})
    if unknown:
        keys = ", ".join(key[:40] for key in unknown[:5])
        return f"has keys that this version of accelerate does not know: {keys}"
    try:
        ClusterConfig.from_yaml_file(str(path))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return f"is not understood by accelerate ({' '.join(str(error).split())[:160].rstrip('.')})"
    return None


def _word(value: object) -> str:
    """Read a value that YAML may have taken for a truth value: an unquoted NO is false."""
    text = "NO" if value is False or value is None else str(value)
    return "NO" if text.lower() in SAYS_NO else text.upper()
