"""Serve the page until Ctrl-C, and say in the terminal what a person needs to know."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from mrpc.app.access import Access, Mode, access_guards
from mrpc.app.guides import guide_routes
from mrpc.app.hosts import as_in_header, host_guards, network_addresses
from mrpc.app.page import MAX_SESSIONS, build_app
from mrpc.app.services import Services
from mrpc.app.share import FOR_ROBOTS, close_link, open_link
from mrpc.app.theme import build_theme, collect_css, collect_head, static_routes
from mrpc.app.tools import INSTALL, PATH, can_serve_tools, tool_routes
from mrpc.errors import MrpcError, UnavailableError
from mrpc.runs.process import pid_namespace
from mrpc.runs.queue import RunQueue
from mrpc.runs.run import RunState
from mrpc.settings import Settings

MAX_UPLOAD = "20mb"

FIRST_PAGE_TIMEOUT_S = 10.0
"""The heavy imports begin when the first page is drawn, and after this long without one, in seconds."""

EXAMPLE_NOTE = (
    "The app trains this by itself where there is no run yet, so that there is something to look at: a "
    "preview on a part of the pairs, whose scores mean little."
)

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
HOST_PID_NAMESPACE = "pid:[4026531836]"
"""The first PID namespace of Linux always has this number (PROC_PID_INIT_INO in its source)."""

QUEUE_SLEEP_S = 0.02
"""How long Gradio's empty queue sleeps before it looks again. Its own millisecond costs 4 % of two cores, for
as long as the app is open, and a training needs them."""


def serve(services: Services) -> int:
    """Start the server, warm up in the background, and wait for Ctrl-C or SIGTERM."""
    settings = services.settings
    if settings.mcp and not can_serve_tools():
        print(INSTALL, file=sys.stderr)
        return 1
    ended = threading.Event()
    received: list[int] = []

    def end(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    demo = build_app(services)
    demo._queue.sleep_when_free = QUEUE_SLEEP_S
    routes = [*static_routes(), *guide_routes(), *([FOR_ROBOTS] if settings.share else [])]
    if settings.mcp:
        routes += tool_routes(demo, services.access)
    # Gradio prints advice of its own; ours is below.
    with contextlib.redirect_stdout(io.StringIO()):
        demo.launch(
            server_name=as_in_header(settings.host),  # Gradio asks for brackets around IPv6
            server_port=settings.port,
            share=False,  # see mrpc.app.share
            auth=settings.auth,
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            max_file_size=MAX_UPLOAD,
            state_session_capacity=MAX_SESSIONS,
            footer_links=[],
            pwa=False,
            mcp_server=False,  # see mrpc.app.tools
            theme=build_theme(),
            css=collect_css(),
            head=collect_head(),
            app_kwargs={
                "middleware": [*host_guards(settings), *access_guards(services.access)],
                "routes": routes,
            },
        )
    demo.keep_sessions_small()
    gc.freeze()  # what is here now stays: no need to look at it again at every collection
    gc.enable()
    link = ""
    if settings.share and settings.space_id is None:
        print("Asking for a public link ...", flush=True)
        try:
            link = f"Public link: {open_link(settings.host, settings.port, demo.share_token)}"
        except UnavailableError as error:
            link = str(error)
    print(describe_address(settings, services.access, link), flush=True)
    threading.Thread(target=_warm_up, args=[services], daemon=True).start()
    if settings.example:
        threading.Thread(target=train_example, args=[services], daemon=True).start()
    ended.wait()
    print("\n" + (_end_training(services) if ends_all(received[0]) else describe_end(services)), flush=True)
    close_link()
    demo.close(verbose=False)
    return 0


def _warm_up(services: Services) -> None:
    if not RunQueue(services.settings.runs_dir).read():  # runs that wait need no page
        services.page_is_up.wait(FIRST_PAGE_TIMEOUT_S)
    services.launcher.watch_queue()
    services.background.watch()
    if services.settings.data_dir is not None:  # what a person named is told how it was read
        with contextlib.suppress(MrpcError):  # the page says it
            print(services.data.report.as_text(), flush=True)
    services.warm_up()


def train_example(services: Services) -> str | None:
    """Train a preview where there is no run yet, so that every tab has something to show; return its id."""
    if services.store.list():
        return None
    try:
        run_id = services.launcher.start({"preset": "quick"})
        services.store.open(run_id).rename("Example", EXAMPLE_NOTE)
    except MrpcError as error:
        print(f"There is no example: {error}", flush=True)
        return None
    return run_id


def describe_address(settings: Settings, access: Access, link: str = "") -> str:
    """Say where the app answers, and what is worth knowing about that.

    Args:
        settings: of this process.
        access: who may do what.
        link: the line about its public link; "" where none was asked for.
    """
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
    local = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    lines = [f"MRPC Lab is at {local}"]
    if settings.host == "0.0.0.0" and settings.space_id is None:
        others = " or ".join(f"http://{address}:{settings.port}" for address in network_addresses())
        lines += [f"Others in its network open {others}"] if others else []
    if link:
        lines.append(link)
    if settings.space_id is not None:
        lines.append("This is a Space: runs vanish when it restarts. Download what you want to keep.")
    if access.trains_visitors:
        lines.append("Visitors may train short previews, one at a time (MRPC_VISITORS=train).")
    owner_path = access.owner_path()
    if owner_path is not None:
        lines.append(f"You are the owner, once you have opened: {local}{owner_path}")
        lines.append("Everybody else may look, type pairs and compare. --open lets everybody train.")
    if access.mode is Mode.OPEN:
        lines.append("Everybody who reaches this app can start, stop and delete trainings (--open).")
    if settings.mcp:
        lines.append(f"Agents find its tools at {local}{PATH}/")
        if (access.is_guarded or access.mode is Mode.LOGIN) and settings.owner_key is None:
            asks = "Every tool asks" if access.mode is Mode.LOGIN else "Start, stop and resume ask"
            lines.append(f"{asks} for a key: start the app with one in MRPC_OWNER_KEY.")
    lines.append(f"Runs are kept in {settings.runs_dir}. Ctrl-C ends the app.")
    return "\n".join(lines)


def ends_all(signum: int) -> bool:
    """Tell whether all processes end with this one: it is the first of its container, or that is stopped."""
    if os.getpid() == 1:
        return True
    return signum == signal.SIGTERM and is_in_container()


def is_in_container() -> bool:
    """Tell whether this process runs in a container, as Docker, Podman and Kubernetes make them."""
    namespace = pid_namespace()
    has_mark = any(Path(mark).exists() for mark in CONTAINER_MARKS)
    return has_mark or namespace not in ("", HOST_PID_NAMESPACE)


def _end_training(services: Services) -> str:
    """Pass the end on to the training, so that it writes its checkpoint, and say what became of it."""
    run = services.launcher.stop_before_the_end()
    if run is None:
        return describe_end(services)
    if run.is_trained():
        return f"MRPC Lab ends. The training {run.run_id} did not end in time: its newest checkpoint counts."
    if run.state() is not RunState.STOPPED:
        return f"MRPC Lab ended. The training {run.run_id} is {run.state()}."
    return (
        f"MRPC Lab ended, and with it the training {run.run_id}, which would have died with this container. "
        "It kept its last step: Resume goes on from there."
    )


def describe_end(services: Services) -> str:
    """Say whether a training goes on without the app, and how to stop it."""
    run = services.store.holder()
    process = run.living_process() if run else None
    if run is None:
        return "MRPC Lab ended. No training is under way."
    if process is None:
        return (
            f"MRPC Lab ended. The run {run.run_id} goes on: its process is of another container or machine, "
            "or predicts test."
        )
    return (
        f"MRPC Lab ended. The training {run.run_id} goes on (process {process.pid}) and shows again "
        f"when the app is started.\nTo stop it and keep its last checkpoint: kill {process.pid}"
    )
