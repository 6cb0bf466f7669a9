"""What this process was started with. The only module that reads environment variables.

Holds no hyperparameters (those are in :mod:`mrpc.config`) and imports nothing heavy.
"""

from __future__ import annotations

import argparse
import getpass
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from mrpc.errors import InputError

HUB_TIMEOUT_S = 3.0
"""How long the Hub may take to answer before it counts as away, in seconds."""


MIN_KEY_CHARS = 16
"""Of the owner's key: a visitor may try as many as they like."""

GPU_LOAN_S = 60.0
"""The longest training in one loan of a GPU, in seconds. People have 2 to 5 minutes a day on ZeroGPU."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
NOT_FOR_TRAININGS = {"SPACES_ZERO_GPU", "MRPC_OWNER_KEY"}
NUMBERS = (
    *("GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS", "GRADIO_NODE_NUM_PORTS", "GRADIO_DEBUG"),
    *("GRADIO_ANALYTICS_MAX_EVENTS", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"),
)
"""Variables that libraries read as whole numbers when they are imported."""

SIGN_IN = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""What a Space has whose README says ``hf_oauth: true``."""

NEVER_BY_PROXY = ("localhost", "127.0.0.1", "::1")
"""Addresses of this machine: a proxy elsewhere would look for them on itself."""


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
        open_to_all: let whoever reaches the app change things too.
        mcp: serve tools for agents.
        owner_key: a key that makes who holds it the owner, or None.
        space_id: the Space this runs on ("owner/name"), or None elsewhere.
        space_host: the public host names of that Space, with commas between them, or None.
        space_author: the user or organisation that the Space belongs to, or None.
        has_sign_in: whether the Space lets people sign in with Hugging Face (``hf_oauth: true``).
        zero_gpu: whether the Space lends a GPU for a short time at a call (ZeroGPU).
        gpu_loan_s: the longest training in one such loan (``MRPC_GPU_SECONDS``), 10 to 600 seconds.
        visitors_train: let visitors train short previews (``MRPC_VISITORS=train``).
        example: train a preview at once where there is no run yet.
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
    open_to_all: bool = False
    mcp: bool = False
    owner_key: str | None = None
    space_id: str | None = None
    space_host: str | None = None
    space_author: str | None = None
    has_sign_in: bool = False
    zero_gpu: bool = False
    gpu_loan_s: float = GPU_LOAN_S
    visitors_train: bool = False
    example: bool = False

    @classmethod
    def from_environment(cls) -> Settings:
        """Return what the environment says, over which the command line is laid.

        Raises:
            InputError: the path in ``MRPC_RUNS_DIR`` or ``MRPC_DATA_DIR`` leads nowhere.
        """
        get = os.environ.get
        data_dir, space_id = get("MRPC_DATA_DIR"), get("SPACE_ID") or None
        try:
            gpu_loan_s = min(600.0, max(10.0, float(os.environ["MRPC_GPU_SECONDS"])))
        except (KeyError, ValueError):
            gpu_loan_s = GPU_LOAN_S
        return cls(
            runs_dir=full_path(get("MRPC_RUNS_DIR") or "runs"),
            data_dir=full_path(data_dir) if data_dir else None,
            mcp=get("GRADIO_MCP_SERVER", "").lower() == "true",  # as for any Gradio app
            owner_key=owner_key(),
            space_id=space_id,
            space_host=get("SPACE_HOST") or None,
            space_author=get("SPACE_AUTHOR_NAME") or (space_id or "").partition("/")[0] or None,
            has_sign_in=all(get(name) for name in SIGN_IN),
            zero_gpu=get("SPACES_ZERO_GPU", "").lower() in {"1", "t", "true"},
            gpu_loan_s=gpu_loan_s,
            visitors_train=get("MRPC_VISITORS", "").strip().lower() == "train",
        )


def full_path(text: str | Path) -> Path:
    """Return an absolute path; ``~`` is the home folder, also where no shell replaced it.

    Raises:
        InputError: there is no path, no such home folder, or its name is no text.
    """
    if not str(text):
        raise InputError("The path is empty; write . for the folder that this is started in.")
    expanded = os.path.expanduser(text)
    if str(expanded).startswith("~"):
        raise InputError(
            f"{str(text)!r}: there is no such home folder here. Write the whole path, from / on."
        )
    try:
        str(expanded).encode()
    except UnicodeEncodeError:  # it would stand in JSON files, which are UTF-8
        raise InputError(f"{str(text)!a}: this name is not UTF-8. Rename the file or the folder.") from None
    return Path(expanded).resolve()


def path_argument(text: str) -> Path:
    """Read a path of the command line; see :func:`full_path`."""
    try:
        return full_path(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def print_any_character() -> None:
    """Let a terminal that has no Unicode show a code for “, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def prepare_environment() -> str | None:
    """Set what the libraries read of the environment when they are imported, so that the app can start.

    This machine is never asked through a proxy, and uploads go to a folder of this user: another user may
    own ``/tmp/gradio``.

    Returns:
        What makes a start impossible and what to do, in one sentence, or None.
    """
    problem = _proxy_problem() or _library_problem()
    if problem is not None:
        return problem
    if "CPU_CORES" in os.environ:  # or torch would start a thread for each core of the host
        os.environ.setdefault("OMP_NUM_THREADS", str(num_cores()))
    # Gradio would sum up the times of all calls after each one, with pandas, for a page that is not served:
    # a tenth of what a short answer costs.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    listed = [name.strip() for name in exceptions.split(",") if name.strip()]
    listed += [name for name in NEVER_BY_PROXY if name not in listed]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(listed)
    named = os.environ.get("GRADIO_TEMP_DIR")
    if named:
        if not _is_writable(Path(named)):
            return f"GRADIO_TEMP_DIR is {named}, which cannot be written. Name another folder, or unset it."
        return None
    own = Path(tempfile.gettempdir()) / f"mrpc-lab-{_user()}"
    if not _is_writable(own):
        try:
            own = Path(tempfile.mkdtemp(prefix="mrpc-lab-"))
        except OSError as error:
            return f"No temporary folder can be written ({error.strerror}). Name one in TMPDIR."
    os.environ["GRADIO_TEMP_DIR"] = str(own)
    return None


def proxy_variable() -> str | None:
    """Return the name of the variable that names a proxy for the web, or None."""
    return next(iter(_proxies()), None)


def root_path() -> str:
    """Return the path under which a proxy serves the app (``GRADIO_ROOT_PATH``), or ""."""
    return os.environ.get("GRADIO_ROOT_PATH", "").rstrip("/")


def _proxies() -> dict[str, str]:
    """Return the variables that name a proxy for the web, and what they say."""
    names = (spelling for proxy in PROXIES for spelling in (proxy, proxy.upper()))
    return {name: value for name in names if (value := os.environ.get(name, "").strip())}


def _is_address(text: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


def _proxy_problem() -> str | None:
    """Say which variable names a proxy that no library could use."""
    for name, value in _proxies().items():
        address = value if "://" in value else f"http://{value}"
        if not _is_address(address, PROXY_SCHEMES):
            return f"{name} is {value[:80]!r}, which is no address of a proxy. Correct it, or unset it."
        if urlsplit(address).scheme.startswith("socks") and find_spec("socksio") is None:
            return f"{name} names a SOCKS proxy, which needs a package: pip install socksio, or unset {name}."
    return None


def _library_problem() -> str | None:
    """Say which variable is none of what libraries take it for: they would fail in words of their own."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip()
    if endpoint and not _is_address(endpoint, ("http", "https")):
        return f"HF_ENDPOINT is {endpoint[:80]!r}, which is no address of a hub. Correct it, or unset it."
    for name in NUMBERS:
        value = os.environ.get(name, "0").strip()
        if not (value.isascii() and value.isdecimal()):
            return f"{name} is {value[:40]!r}, which is no whole number. Correct it, or unset it."
    path = os.environ.get("GRADIO_ROOT_PATH", "")
    if path and not path.startswith(("/", "http://", "https://")):
        return f"GRADIO_ROOT_PATH is {path[:80]!r}; write it as /lab, or as a whole address."
    return None


def _is_writable(folder: Path) -> bool:
    """Tell whether a file can be made in a folder of this user, which is made if it is not there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _user() -> str:
    if hasattr(os, "getuid"):
        return str(os.getuid())
    return getpass.getuser()


def hub_endpoint() -> str:
    """Return the address of the Hub: ``HF_ENDPOINT``, else the public one."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_disabled() -> bool:
    """Tell whether ``HF_HUB_OFFLINE`` forbids asking the Hub at all."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def owner_key() -> str | None:
    """Return the key of ``MRPC_OWNER_KEY``, which makes who holds it the owner, or None."""
    return os.environ.get("MRPC_OWNER_KEY") or None


def require_safe_key(key: str) -> None:
    """Refuse an owner's key that could be guessed.

    Raises:
        InputError: it is too short.
    """
    if len(key) < MIN_KEY_CHARS:
        raise InputError(f"MRPC_OWNER_KEY is too short to be safe: give it {MIN_KEY_CHARS} characters.")


def num_cores() -> int:
    """Return how many cores this process may use; a container may see those of its host."""
    try:
        return max(1, int(float(os.environ["CPU_CORES"])))
    except (KeyError, ValueError, OverflowError):
        return os.cpu_count() or 1


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


MPI_PREFIXES = ("PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_")
LAUNCH_VARIABLES = frozenset(
    {
        *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
        *(prefix + name for prefix in MPI_PREFIXES for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")),
    }
)
"""By which a launcher tells a process of its siblings."""


def launched_processes() -> LaunchedProcesses:
    """Return which of the launched processes this one is; the only one where nothing was launched.

    Raises:
        InputError: the variables of a launcher hold no numbers, or numbers that do not fit.
    """
    ranks = ("RANK", *(f"{prefix}RANK" for prefix in MPI_PREFIXES))
    sizes = ("WORLD_SIZE", *(f"{prefix}SIZE" for prefix in MPI_PREFIXES))
    rank, world_size = _first_number(ranks), _first_number(sizes)
    if (rank or 0) >= (world_size or 1):
        raise InputError(
            f"The environment says that this is process {rank} of {world_size or 1}, counted from 0. Unset "
            "RANK and WORLD_SIZE, or start the training with torchrun or accelerate launch."
        )
    asked_for_several = "ACCELERATE_DYNAMO_BACKEND" in os.environ and "MASTER_ADDR" in os.environ
    return LaunchedProcesses(
        rank=rank or 0,
        world_size=world_size or 1,
        is_one_of_several_asked_for=world_size is None and asked_for_several,
    )


def _first_number(names: Iterable[str]) -> int | None:
    """Return the number in the first of these variables that is set."""
    name = next((name for name in names if os.environ.get(name)), None)
    if name is None:
        return None
    value = os.environ[name].strip()
    if not value.isascii() or not value.isdecimal():
        raise InputError(f"{name} is {value[:40]!r}, which is no whole number. Correct it, or unset it.")
    return int(value)


def cpu_is_forced() -> bool:
    """Tell whether ``ACCELERATE_USE_CPU`` keeps the training on the CPU."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in {"1", "true", "yes", "on", "y", "t"}


def requested_mixed_precision() -> str:
    """Return what ``accelerate launch`` or its config file asks for: "no", "bf16", "fp16" or "fp8"."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()


def accelerate_config_file() -> Path | None:
    """Return the file that ``accelerate config`` wrote, or None when there is none."""
    home = Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "huggingface"
    path = Path(os.path.expanduser(os.environ.get("HF_HOME") or home)) / "accelerate" / "default_config.yaml"
    return path if path.is_file() else None


def training_environment() -> dict[str, str]:
    """Return the environment that a training process is started with.

    ``SPACES_ZERO_GPU`` is left out: a detached process on a ZeroGPU Space has no GPU to wait for. So is the
    owner's key, which a training has no use for, and what a launcher told the app: the training is none of
    its siblings.
    """
    left_out = {*NOT_FOR_TRAININGS, *LAUNCH_VARIABLES}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["TOKENIZERS_PARALLELISM"] = "true"
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
