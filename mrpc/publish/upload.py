"""Upload a finished run to the Hugging Face Hub: its model with a card, private unless asked otherwise.

The token is handed to huggingface_hub and nowhere else: it is in no file, event or log of ours.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from mrpc.errors import InputError, RunStateError, UnavailableError
from mrpc.publish.card import build_card, run_behavioral_tests
from mrpc.runs.events import FinishedEvent
from mrpc.runs.log import read_events
from mrpc.runs.store import Run
from mrpc.settings import hub_endpoint

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")

OnProgress = Callable[[str, int, int], None]
"""Takes what is being done, how many steps are done, and how many there are; may raise to end the work."""

# Of the HTTP library that this version of huggingface_hub uses.
HTTPError: type[Exception] = HfHubHTTPError.__mro__[1]
FAILURES = (HTTPError, OSError, RuntimeError, HFValidationError)
"""What huggingface_hub raises when a request fails; the upload of a large file wraps it in a RuntimeError."""

WAYS_OUT = {
    401: "The token is wrong or has expired. Make one with write access at huggingface.co/settings/tokens.",
    403: "The token may not write there. Use one with write access to this owner.",
    409: "A repository of this name is there already and is of another kind. Choose another name.",
    429: "The Hub takes no more requests for now. Try again in some minutes.",
}


def publish_run(
    run: Run,
    repo_id: str,
    token: str | None,
    is_private: bool = True,
    on_progress: OnProgress = lambda what, num_done, num_total: None,
) -> str:
    """Publish the best model of a run and return the address of its repository.

    What is there already is replaced file by file; an upload that broke off goes on where it was.

    Args:
        run: one that has ended with fine-tuned weights.
        repo_id: "owner/name".
        token: of the Hub, with write access; None takes the one that ``hf auth login`` stored.
        is_private: only its owner sees it.
        on_progress: told how far it is.

    Raises:
        InputError: the name cannot be one of a repository.
        RunStateError: the run has nothing to publish.
        UnavailableError: the Hub refused, or could not be reached; says what to do.
    """
    if not REPO_ID.fullmatch(repo_id):
        raise InputError(f"{repo_id[:60]!r} is no name of a repository: write it as owner/name.")
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to publish.")
    api = HfApi(endpoint=hub_endpoint(), token=token)
    on_progress("Asking the Hub who you are", 0, 4)
    try:
        api.whoami()
    except FAILURES as error:
        raise refused(error) from None
    on_progress("Running behavioural tests for the card", 1, 4)
    with tempfile.TemporaryDirectory(prefix="mrpc-publish-") as temporary:
        folder = Path(temporary) / "model"
        write_model_folder(run, repo_id, folder)
        on_progress("Creating the repository", 2, 4)
        try:
            url = api.create_repo(repo_id, private=is_private, exist_ok=True)
            on_progress("Uploading the model", 3, 4)
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=f"Publish run {run.run_id} of MRPC Lab"
            )
        except FAILURES as error:
            raise refused(error) from None
    on_progress("Published", 4, 4)
    return str(url)


def write_model_folder(run: Run, repo_id: str, folder: Path) -> None:
    """Write what is published: the best model as a standard folder, and its card as README.md."""
    end = _end_of(run)
    shutil.copytree(run.paths.best_model, folder)
    process = run.read_process()
    card = build_card(
        run,
        repo_id,
        best_epoch=end.best_epoch,
        weights_sha256=end.weights_sha256["best"],
        behavior=run_behavioral_tests(run),
        versions=process.versions if process else {},
    )
    card.save(folder / "README.md")


def _end_of(run: Run) -> FinishedEvent:
    ends = [event for event in read_events(run.paths.events).events if isinstance(event, FinishedEvent)]
    if not ends or not ends[-1].best_epoch:
        raise RunStateError(f"Run {run.run_id} has not finished: there is nothing final to publish yet.")
    return ends[-1]


def refused(error: Exception) -> UnavailableError:
    """Say in words what the Hub, or the way to it, answered."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in WAYS_OUT:
        return UnavailableError(f"The Hub refused ({status}). {WAYS_OUT[status]}")
    if status is not None:
        return UnavailableError(f"The Hub answered {status}. Try again later: what was uploaded is kept.")
    return UnavailableError(
        f"The Hub at {hub_endpoint()} cannot be reached ({type(cause).__name__}). Check the network and try "
        "again: what was uploaded is kept."
    )
