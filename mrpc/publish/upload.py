"""Upload a finished run to the Hugging Face Hub: its model with a card, private unless asked otherwise.

The token is handed to huggingface_hub and nowhere else: it is in no file, event or log of ours.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from mrpc.errors import InputError, RunStateError, UnavailableError
from mrpc.files import copy_regular
from mrpc.progress import OnProgress, silent
from mrpc.publish.answers import TestedBehavior, run_behavioral_tests
from mrpc.publish.card import build_card, current_export
from mrpc.publish.onnx import onnx_files
from mrpc.runs.run import Run
from mrpc.settings import hub_endpoint, hub_is_disabled

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")

# Of the HTTP library that this version of huggingface_hub uses.
HTTPError: type[Exception] = HfHubHTTPError.__mro__[1]
FAILURES = (HTTPError, OSError, RuntimeError, HFValidationError, KeyError)
"""What huggingface_hub raises when a request fails: for a large file a RuntimeError, for an answer that lacks
something a KeyError."""

ADVICE = {
    401: "The token is wrong or has expired. Make one with write access at huggingface.co/settings/tokens.",
    403: "The token may not write there. Use one with write access to this owner.",
    409: "A repository of this name is there already and is of another kind. Choose another name.",
    429: "The Hub takes no more requests for now. Try again in some minutes.",
}


NO_TOKEN = (
    "There is no token of the Hub on the machine that this runs on. Run hf auth login in a terminal there, "
    "or start with HF_TOKEN set to one that may write, and try again."
)
OFFLINE = "HF_HUB_OFFLINE is set, so the Hub is never asked. Start without it to publish."
SEEN_BY_ALL = (
    "{} is there already, and everybody can see it. Choose another name, make it private on the Hub, or "
    "publish in public."
)


def publish_run(
    run: Run,
    repo_id: str,
    token: str | None,
    is_private: bool = True,
    on_progress: OnProgress = silent,
    behavior: Sequence[TestedBehavior] | None = None,
) -> str:
    """Publish the best model of a run and return the address of its repository.

    What is there already is replaced file by file; an upload that broke off goes on where it was.

    Args:
        run: one that has ended with fine-tuned weights.
        repo_id: "owner/name".
        token: of the Hub, with write access; None takes the one that ``hf auth login`` stored.
        is_private: only its owner sees it; a repository that everybody sees is then refused.
        on_progress: told how far it is.
        behavior: the behavioural tests of the model, where they are known; else they are run.

    Raises:
        InputError: the name cannot be one of a repository.
        RunStateError: the run has nothing to publish.
        UnavailableError: the Hub refused, or could not be reached; says what to do.
    """
    check_publishable(run, repo_id)
    if hub_is_disabled():
        raise UnavailableError(OFFLINE)
    if token is None and get_token() is None:
        raise UnavailableError(NO_TOKEN)
    api = HfApi(endpoint=hub_endpoint(), token=token)
    on_progress("Asking the Hub who you are", 0, 4)
    try:
        api.whoami()
    except FAILURES as error:
        raise refused(error) from None
    on_progress("Running behavioural tests for the card", 1, 4)
    with tempfile.TemporaryDirectory(prefix="mrpc-publish-") as temporary:
        folder = Path(temporary) / "model"
        write_model_folder(run, repo_id, folder, behavior)
        on_progress("Creating the repository", 2, 4)
        try:
            url = api.create_repo(repo_id, private=is_private, exist_ok=True)
            if is_private and not api.model_info(repo_id).private:
                raise UnavailableError(SEEN_BY_ALL.format(repo_id))
            on_progress("Uploading the model", 3, 4)
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=f"Publish run {run.run_id} of MRPC Lab"
            )
        except FAILURES as error:
            raise refused(error) from None
    on_progress("Published", 4, 4)
    return str(url)


def check_publishable(run: Run, repo_id: object) -> str:
    """Return the name of a repository for a run that can be published.

    Raises:
        InputError: the name cannot be one of a repository.
        RunStateError: the run has nothing to publish.
    """
    if not isinstance(repo_id, str) or not REPO_ID.fullmatch(repo_id):
        raise InputError(f"{str(repo_id)[:60]!r} is no name of a repository: write it as owner/name.")
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to publish.")
    return repo_id


def write_model_folder(
    run: Run, repo_id: str, folder: Path, behavior: Sequence[TestedBehavior] | None = None
) -> None:
    """Write what is published: the best model as a standard folder, its card, and ONNX where there is."""
    card = build_card(run, repo_id, run_behavioral_tests(run) if behavior is None else behavior)
    copy_regular(run.best_files() | (onnx_files(run) if current_export(run) else {}), folder)
    card.save(folder / "README.md")


def refused(error: Exception) -> UnavailableError:
    """Say in words what the Hub, or the way to it, answered."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in ADVICE:
        return UnavailableError(f"The Hub refused ({status}). {ADVICE[status]}")
    if status is not None:
        return UnavailableError(f"The Hub answered {status}. Try again later: what was uploaded is kept.")
    if isinstance(cause, KeyError):
        return UnavailableError(
            f"The Hub at {hub_endpoint()} gave an answer without {cause}. Choose another name, or try again "
            "later."
        )
    return UnavailableError(
        f"The Hub at {hub_endpoint()} cannot be reached ({type(cause).__name__}). Check the network and try "
        "again: what was uploaded is kept."
    )
