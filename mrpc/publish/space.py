"""``python -m mrpc.publish.space owner/name``: put this app on a Hugging Face Space.

What the app needs goes there, and nothing else of this folder: no runs, no data, no tests. The owner's key is
taken from ``MRPC_OWNER_KEY`` and becomes a secret of the Space; it is printed nowhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from huggingface_hub import HfApi

import mrpc
from mrpc.errors import InputError, MrpcError
from mrpc.files import PROJECT_DIR
from mrpc.publish.upload import FAILURES, REPO_ID, refused
from mrpc.settings import hub_endpoint, owner_key, require_safe_key

BELONGS = ["app.py", "README.md", "LICENSE", "requirements.txt", "mrpc/**", "assets/**", "docs/**"]
STAYS = ["**/__pycache__/**", "**/*.pyc", "**/*.pyi", "assets/readme/**"]


def deploy(
    repo_id: str,
    *,
    is_private: bool = True,
    key: str | None = None,
    visitors_train: bool = False,
    hardware: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Make a Space of this app, or bring one up to date, and return its address.

    Args:
        repo_id: "owner/name".
        is_private: only its owner sees a new Space; one that is there already stays as it is.
        key: the owner's key; None leaves the Space's secret alone.
        visitors_train: let visitors train short previews.
        hardware: what it runs on, as the Hub calls it, "zero-a10g" for ZeroGPU; None leaves it alone.
        say: told what is done.

    Raises:
        InputError: the name cannot be one of a Space, or the key is too short.
        UnavailableError: the Hub refused, or could not be reached; says what to do.
    """
    if not REPO_ID.fullmatch(repo_id):
        raise InputError(f"{repo_id[:60]!r} is no name of a Space: write it as owner/name.")
    if key is not None:
        require_safe_key(key)
    api = HfApi(endpoint=hub_endpoint())
    try:
        say("Asking the Hub who you are")
        api.whoami()
        say("Creating the Space, if it is not there")
        url = api.create_repo(
            repo_id, repo_type="space", space_sdk="gradio", private=is_private, exist_ok=True
        )
        if key is not None:
            say("Setting the secret MRPC_OWNER_KEY")
            api.add_space_secret(repo_id, "MRPC_OWNER_KEY", key)
        if visitors_train:
            say("Setting the variable MRPC_VISITORS to train")
            api.add_space_variable(repo_id, "MRPC_VISITORS", "train")
        say("Uploading the app")
        api.upload_folder(
            repo_id=repo_id,
            repo_type="space",
            folder_path=PROJECT_DIR,
            allow_patterns=BELONGS,
            ignore_patterns=STAYS,
            commit_message=f"MRPC Lab {mrpc.__version__}",
        )
        if hardware is not None:
            say(f"Asking for the hardware {hardware}")
            api.request_space_hardware(repo_id, hardware)  # type: ignore[arg-type]
    except FAILURES as error:
        raise refused(error) from None
    return str(url)


def main(arguments: list[str] | None = None) -> int:
    """Deploy, say what is done, and print the address; 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m mrpc.publish.space", description=__doc__)
    parser.add_argument("repo_id", help="owner/name of the Space")
    parser.add_argument("--public", action="store_true", help="let everybody see a new Space")
    parser.add_argument("--visitors-train", action="store_true", help="let visitors train short previews")
    parser.add_argument("--hardware", help="what it runs on, for example cpu-upgrade, t4-small, zero-a10g")
    given = parser.parse_args(arguments)
    try:
        url = deploy(
            given.repo_id,
            is_private=not given.public,
            key=owner_key(),
            visitors_train=given.visitors_train,
            hardware=given.hardware,
            say=lambda text: print(text, flush=True),
        )
    except MrpcError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The Space is at {url}. It builds for some minutes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
