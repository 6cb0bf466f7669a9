"""Requests to the Hugging Face Hub: which files a repository has, and the files themselves.

What was downloaded before is taken from this machine's cache without asking. Otherwise the list of files
comes first: it tells within :data:`mrpc.settings.HUB_TIMEOUT_S` whether the Hub answers at all, and a
repository without safetensors is refused before anything is fetched, so no conversion is ever asked for.

Nothing here hangs. The libraries' own limits count from byte to byte and are retried, so each question
runs in a thread of its own and the wait for it has a limit over all.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mrpc.core.data.pairs import SPLITS
from mrpc.errors import UnavailableError
from mrpc.settings import HUB_TIMEOUT_S, hub_endpoint, hub_is_disabled

DATASET = "nyu-mll/glue"
DATASET_FILES = {split: f"mrpc/{split}-00000-of-00001.parquet" for split in SPLITS}
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
SMALL_FILES = (
    *("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
)
"""What goes with the tokenizer, where a repository has it."""

NO_SUCH_NAME = ("Name or service not known", "name resolution", "getaddrinfo", "nodename nor servname")
"""How systems say that they cannot find the address of a host."""

STALL_S = 15.0
"""A download that brings nothing new for so long is given up, in seconds."""

_Answer = TypeVar("_Answer")
_logger = logging.getLogger(__name__)


def download_dataset() -> tuple[dict[str, Path], str]:
    """Return the files of ``nyu-mll/glue``, configuration ``mrpc``, and where they came from, in words.

    Raises:
        UnavailableError: they are not on this machine, and the Hub does not answer in time, does not have
            them, or a download broke.
    """
    known = {split: _cached(DATASET, name, "dataset") for split, name in DATASET_FILES.items()}
    files = {split: path for split, path in known.items() if path is not None}
    if len(files) == len(DATASET_FILES):
        return files, f"{DATASET} (mrpc), downloaded from the Hub before."
    listed = list_files(DATASET, "dataset")
    missing = [name for name in DATASET_FILES.values() if name not in listed]
    if missing:
        raise UnavailableError(f"The Hub's {DATASET} has no {missing[0]}.")
    paths = _download(DATASET, list(DATASET_FILES.values()), "dataset")
    files = dict(zip(DATASET_FILES, paths, strict=True))
    return files, f"{DATASET} (mrpc) from the Hub, which answered."


def download_pretrained(repo_id: str, weights: bool) -> Path:
    """Return a folder with the config and tokenizer of a repository, and its weights if they are wanted.

    Raises:
        UnavailableError: they are not on this machine, and the Hub does not answer in time, the repository
            has no safetensors, or a download broke.
    """
    known = cached_pretrained(repo_id, weights)
    if known is not None:
        return known
    listed = list_files(repo_id)
    problem = _missing_files(repo_id, listed)
    if problem:
        raise UnavailableError(problem)
    # The tokenizer comes after the small files and the weights come last: what is there is complete.
    names = [*(name for name in SMALL_FILES if name in listed), TOKENIZER, *([WEIGHTS] if weights else [])]
    return _download(repo_id, names)[0].parent


def cached_pretrained(repo_id: str, weights: bool = True) -> Path | None:
    """Return the folder of a checkpoint that was downloaded before, or None; no request is made."""
    paths = [_cached(repo_id, name) for name in ("config.json", TOKENIZER, *([WEIGHTS] if weights else []))]
    return paths[0].parent if paths[0] is not None and None not in paths else None


def pretrained_problem(repo_id: str) -> str | None:
    """Return why a checkpoint cannot be downloaded now, in words, or None when it can."""
    try:
        return _missing_files(repo_id, list_files(repo_id))
    except UnavailableError as error:
        return str(error)


def list_files(repo_id: str, repo_type: str = "model") -> set[str]:
    """Return the names of all files of a repository, within :data:`mrpc.settings.HUB_TIMEOUT_S`.

    Raises:
        UnavailableError: the Hub does not answer in time, refuses, or has no such repository.
    """
    endpoint = hub_endpoint()
    if hub_is_disabled():
        raise UnavailableError(
            f"The Hub is not asked, because HF_HUB_OFFLINE is set, and {repo_id} is not here."
        )
    from huggingface_hub import HfApi  # before the clock starts

    def ask() -> set[str]:
        if not urlsplit(endpoint).hostname:
            raise ValueError("HF_ENDPOINT is not an address such as https://huggingface.co")
        hub = HfApi(endpoint=endpoint)
        info_of = hub.dataset_info if repo_type == "dataset" else hub.model_info
        return {file.rfilename for file in info_of(repo_id, timeout=HUB_TIMEOUT_S).siblings or []}

    asked = _in_a_thread(ask)
    try:
        return asked.result(timeout=HUB_TIMEOUT_S)
    except FutureTimeoutError:
        raise UnavailableError(f"The Hub ({endpoint}) did not answer within {HUB_TIMEOUT_S:g} s.") from None
    except _hub_faults() as error:
        raise UnavailableError(_explain(error, repo_id, endpoint)) from error


def _missing_files(repo_id: str, listed: set[str]) -> str | None:
    if WEIGHTS not in listed:
        return f"The Hub's {repo_id} has no {WEIGHTS}, and other formats are not read: unpickling runs code."
    for name in ("config.json", TOKENIZER):
        if name not in listed:
            return f"The Hub's {repo_id} has no {name}."
    return None


def _cached(repo_id: str, name: str, repo_type: str = "model") -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo_id, name, repo_type=repo_type)
    return Path(found) if isinstance(found, str) else None


@dataclass
class _Progress:
    """The progress of a download, read by the thread that waits for it."""

    furthest: float = 0
    moved_at: float = field(default_factory=time.monotonic)
    given_up: bool = False

    def start_file(self) -> None:
        self.furthest, self.moved_at = 0, time.monotonic()

    def reach(self, position: float) -> None:
        """Record the position in the file; a download that starts over and over makes no progress."""
        if self.given_up:
            raise OSError("given up")
        if position > self.furthest:
            self.furthest, self.moved_at = position, time.monotonic()


def _download(repo_id: str, names: Sequence[str], repo_type: str = "model") -> list[Path]:
    """Download files into the cache; there is no limit as long as bytes arrive."""
    from huggingface_hub import hf_hub_download

    endpoint = hub_endpoint()
    progress = _Progress()
    bar = _progress_bar(progress)

    def fetch() -> list[Path]:
        paths = []
        for name in names:
            progress.start_file()
            _logger.info("Downloading %s of %s from the Hub.", name, repo_id)
            path = hf_hub_download(
                *(repo_id, name),
                repo_type=repo_type,
                endpoint=endpoint,
                etag_timeout=HUB_TIMEOUT_S,
                tqdm_class=bar,
            )
            paths.append(Path(path))
        return paths

    fetched = _in_a_thread(fetch)
    while True:
        try:
            return fetched.result(timeout=min(0.5, STALL_S))
        except FutureTimeoutError:
            if time.monotonic() - progress.moved_at > STALL_S:
                progress.given_up = True
                raise UnavailableError(
                    f"The download of {repo_id} from the Hub ({endpoint}) brought nothing for {STALL_S:g} s. "
                    "Try again later."
                ) from None
        except _hub_faults() as error:
            raise UnavailableError(
                f"The download broke. {_explain(error, repo_id, endpoint)} Try again."
            ) from error


def _progress_bar(progress: _Progress) -> type[Any]:
    """Return a progress bar class for huggingface_hub that shows nothing and tells ``progress``."""
    from tqdm import tqdm

    class SilentBar(tqdm):
        def __init__(self, *args: object, initial: float = 0, **kwargs: object) -> None:
            super().__init__(disable=True)
            self.position = initial

        def update(self, n: float | None = 1) -> None:
            self.position += n or 0
            progress.reach(self.position)

    return SilentBar


def _in_a_thread(function: Callable[[], _Answer]) -> Future[_Answer]:
    """Run a function in a daemon thread: the process can end while it still runs."""
    future: Future[_Answer] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # passed on to the caller of result()
            future.set_exception(error)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return future


def _hub_faults() -> tuple[type[BaseException], ...]:
    """Return what a request may raise: network errors, refusals, malformed answers."""
    from huggingface_hub.errors import HfHubHTTPError

    # The library's own error stands on that of its HTTP client, which is httpx or httpx2 by version.
    return (OSError, HfHubHTTPError.__bases__[0], ValueError, KeyError, TypeError, AttributeError)


def _explain(error: BaseException, repo_id: str, endpoint: str) -> str:
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

    cause = error
    while cause.__cause__ is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    if isinstance(cause, RepositoryNotFoundError):
        return f"The Hub ({endpoint}) has no repository {repo_id}."
    if isinstance(cause, EntryNotFoundError) and isinstance(cause, HfHubHTTPError):
        return f"The Hub's {repo_id} lacks a file that its list names."
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        return f"The Hub ({endpoint}) answered {repo_id} with the status {cause.response.status_code}."
    text = " ".join(str(cause).split()) or type(cause).__name__
    if "timed out" in text:  # the client's own clock was the quicker one
        return f"The Hub ({endpoint}) did not answer within {HUB_TIMEOUT_S:g} s."
    text = re.sub(r"\[Errno -?\d+\]\s*", "", text)
    if any(words in text for words in NO_SUCH_NAME):
        text = "its address was not found, so there may be no network"
    return f"The Hub ({endpoint}) could not be asked for {repo_id}: {text[:200].rstrip('.')}."
