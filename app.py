"""Start the app: arguments become Settings, Settings become services, services become a page."""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from mrpc.core.data.columns import parse_columns
from mrpc.errors import DataError, InputError
from mrpc.settings import Settings, path_argument, prepare_environment, print_any_character

WANTED_FILES = 4096
MIN_FILES = 128
"""Open files: fewer than these are used up by a few pages."""


def parse_arguments(arguments: list[str] | None = None) -> Settings:
    """Read the command line and the environment. Exits with a message when an argument cannot be used."""
    known = Settings.from_environment()
    on_space = known.space_id is not None
    parser = argparse.ArgumentParser(
        prog="python app.py", description="MRPC Lab: inspect, fine-tune and compare on sentence pairs."
    )
    default_host = "0.0.0.0" if on_space else "127.0.0.1"
    parser.add_argument("--host", type=_host, default=default_host, help="address to bind")
    parser.add_argument("--port", type=_port, default=7860, help="TCP port, default 7860")
    parser.add_argument("--share", action="store_true", help="ask for a public gradio.live link")
    parser.add_argument("--auth", type=_user_and_password, metavar="USER:PASSWORD", help="ask for a login")
    parser.add_argument(
        "--open",
        action="store_true",
        help="let everybody who reaches the app start, stop and delete trainings, not the owner alone",
    )
    parser.add_argument(
        "--example",
        action="store_true",
        default=on_space,
        help="train a preview at once if there is no run yet; always on a Space",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=known.mcp,
        help="serve tools for agents (Model Context Protocol); needs requirements/mcp.txt",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further host name to answer; repeatable",
    )
    parser.add_argument(
        "--runs-dir",
        type=path_argument,
        default=known.runs_dir,
        help="where runs live: MRPC_RUNS_DIR, else ./runs",
    )
    parser.add_argument(
        "--data-dir",
        type=_file_or_folder,
        default=known.data_dir,
        help=(
            "a folder with one file a split, or one file: .csv, .tsv, .jsonl, .json or .parquet "
            "(MRPC_DATA_DIR)"
        ),
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        metavar="FIRST,SECOND,LABEL",
        help="the columns of both sentences and of the label, where their names are unusual",
    )
    parser.add_argument(
        "--checkpoint-dir",
        type=_folder,
        action="append",
        default=[],
        help="a folder with a pretrained encoder, offered beside the others; repeatable",
    )
    given = parser.parse_args(arguments)
    return replace(
        known,
        runs_dir=given.runs_dir,
        data_dir=given.data_dir,
        columns=given.columns,
        checkpoint_dirs=tuple(given.checkpoint_dir),
        host=given.host,
        port=given.port,
        share=given.share,
        auth=given.auth,
        allowed_hosts=tuple(given.allowed_host),
        open_to_all=given.open,
        mcp=given.mcp,
        example=given.example,
    )


def _host(text: str) -> str:
    host = text.strip("[]")
    if not host or "/" in host or any(character.isspace() for character in host):
        raise argparse.ArgumentTypeError(f"{text!r} is no address; write one such as 127.0.0.1 or ::1")
    return host


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return port


def _user_and_password(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not user or not password:
        raise argparse.ArgumentTypeError("write it as USER:PASSWORD, neither of them empty")
    return user, password


def _folder(text: str) -> Path:
    path = path_argument(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def _file_or_folder(text: str) -> Path:
    path = path_argument(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder or a file")
    return path


def _columns(text: str) -> tuple[str, ...]:
    try:
        return parse_columns(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def is_port_free(host: str, port: int) -> bool:
    """Tell whether the app could bind this address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except (OSError, UnicodeError):  # a name that is none
            return False
    return True


def raise_file_limit() -> str | None:
    """Allow as many open files as the system lets us; return what to do where that is too few."""
    if os.name == "nt":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < WANTED_FILES:
        wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft < MIN_FILES:
        return f"Only {soft} open files are allowed here; the app needs {MIN_FILES}: see ulimit -n."
    return None


def runs_folder_problem(runs_dir: Path) -> str | None:
    """Say what is wrong with a runs folder that cannot be read or made; a read-only one can be shown."""
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        next(os.scandir(runs_dir), None)
    except OSError as error:
        return (
            f"The runs folder {runs_dir} cannot be used: {error.strerror}. "
            "Name another with --runs-dir or MRPC_RUNS_DIR."
        )
    return None


def main(arguments: list[str] | None = None) -> int:
    """Serve the app until Ctrl-C."""
    print_any_character()
    try:
        settings = parse_arguments(arguments)
    except InputError as error:  # in a variable
        print(error, file=sys.stderr)
        return 2
    problem = prepare_environment() or raise_file_limit() or runs_folder_problem(settings.runs_dir)
    if problem is not None:
        print(problem, file=sys.stderr)
        return 1
    if not is_port_free(settings.host, settings.port):
        print(
            f"Port {settings.port} on {settings.host} is in use, or that address is not of this machine. "
            f"Stop what uses it, or choose another: --port {settings.port + 1}",
            file=sys.stderr,
        )
        return 1
    # Gradio takes seconds to import: a mistake in the arguments is answered before. Collecting garbage
    # meanwhile would take half a second and find nothing; serve() switches it on again.
    gc.disable()
    loans = None
    if settings.zero_gpu:  # before torch and Gradio are imported, as ZeroGPU asks for
        from mrpc.app.train.zero_gpu import register

        loans = register(settings.gpu_loan_s)
    from mrpc.app.server import serve
    from mrpc.app.services import Services

    try:
        services = Services(settings, loans)
    except InputError as error:  # a key that is too short
        print(error, file=sys.stderr)
        return 1
    return serve(services)


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    os._exit(exit_code)  # a library that the background still imports would hold up the end for seconds
