"""What this process was started with. The only module that reads environment variables.

Holds no hyperparameters (those are in :mod:`mrpc.config`) and imports nothing heavy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

HUB_TIMEOUT_S = 3.0
"""How long the Hub may take to answer before it counts as away, in seconds."""


@dataclass(frozen=True)
class Settings:
    """Settings of one process, fixed at its start.

    Attributes:
        runs_dir: where runs live; the same for the app and the shell.
        data_dir: a folder with one file a split, or one file; None to look for the Hub and then the sample.
        columns: the columns of the sentences and the label there; None for the usual names.
        checkpoint_dirs: local checkpoint folders named on the command line.
        host: address to bind.
        port: TCP port to bind.
        share: ask for a public gradio.live link.
        auth: user name and password, or None.
        allowed_hosts: further host names that are answered.
        space_id: the Space this runs on ("owner/name"), or None elsewhere.
        space_host: the public host name of that Space, or None.
    """

    runs_dir: Path = field(default_factory=lambda: Path("runs").resolve())
    data_dir: Path | None = None
    columns: tuple[str, ...] | None = None
    checkpoint_dirs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth: tuple[str, str] | None = None
    allowed_hosts: tuple[str, ...] = ()
    space_id: str | None = None
    space_host: str | None = None


def full_path(text: str | Path) -> Path:
    """Return an absolute path; ``~`` is the home folder, also where no shell replaced it."""
    return Path(os.path.expanduser(text)).resolve()


def default_runs_dir() -> Path:
    """Return ``MRPC_RUNS_DIR``, else ``./runs``, as an absolute path."""
    return full_path(os.environ.get("MRPC_RUNS_DIR") or "runs")


def default_data_dir() -> Path | None:
    """Return ``MRPC_DATA_DIR`` as an absolute path, or None when it is not set."""
    value = os.environ.get("MRPC_DATA_DIR")
    return full_path(value) if value else None


def hub_endpoint() -> str:
    """Return the address of the Hub: ``HF_ENDPOINT``, else the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_disabled() -> bool:
    """Tell whether ``HF_HUB_OFFLINE`` forbids asking the Hub at all."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def space_id() -> str | None:
    """Return the id of the Space this process runs on, or None elsewhere."""
    return os.environ.get("SPACE_ID") or None


def space_host() -> str | None:
    """Return the public host name of the Space this process runs on, or None elsewhere."""
    return os.environ.get("SPACE_HOST") or None


@dataclass(frozen=True)
class LaunchedProcesses:
    """What a launcher (torchrun, ``accelerate launch``, mpirun) told this process about its siblings.

    Attributes:
        rank: which of the processes this one is, from 0.
        world_size: how many there are, over all machines.
        is_one_of_several_asked_for: ``accelerate launch`` was told to start several on a CPU, which it does
            not do: it starts one, and leaves nothing but the address at which they would have met.
    """

    rank: int = 0
    world_size: int = 1
    is_one_of_several_asked_for: bool = False


def launched_processes() -> LaunchedProcesses:
    """Return which of the launched processes this one is; the only one where nothing was launched."""
    mpi = ("PMI", "OMPI_COMM_WORLD", "MV2_COMM_WORLD")
    ranks = [os.environ.get(name) for name in ("RANK", *(f"{prefix}_RANK" for prefix in mpi))]
    sizes = [os.environ.get(name) for name in ("WORLD_SIZE", *(f"{prefix}_SIZE" for prefix in mpi))]
    world_size = next((int(size) for size in sizes if size), None)
    asked_for_several = "ACCELERATE_DYNAMO_BACKEND" in os.environ and "MASTER_ADDR" in os.environ
    return LaunchedProcesses(
        rank=next((int(rank) for rank in ranks if rank), 0),
        world_size=world_size or 1,
        is_one_of_several_asked_for=world_size is None and asked_for_several,
    )


def cpu_is_forced() -> bool:
    """Tell whether ``ACCELERATE_USE_CPU`` keeps the training on the CPU."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in {"1", "true", "yes", "on", "y", "t"}


def requested_mixed_precision() -> str:
    """Return what ``accelerate launch`` or its config file asks for: "no", "bf16", "fp16" or "fp8"."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()


def accelerate_config_file() -> Path | None:
    """Return the file that ``accelerate config`` wrote, or None when there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    path = Path(os.environ.get("HF_HOME") or home).expanduser() / "accelerate" / "default_config.yaml"
    return path if path.is_file() else None


def training_environment() -> dict[str, str]:
    """Return the environment that a training process is started with.

    ``SPACES_ZERO_GPU`` is left out: a detached process on a ZeroGPU Space has no GPU to wait for.
    """
    environment = {name: value for name, value in os.environ.items() if name != "SPACES_ZERO_GPU"}
    environment["TOKENIZERS_PARALLELISM"] = "true"
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
