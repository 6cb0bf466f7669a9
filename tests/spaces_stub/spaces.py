"""Stands in for the package ``spaces`` as it is on a ZeroGPU Space: put this folder on PYTHONPATH.

It does what tells such a Space from another machine: it must be imported first, the page's launch looks for a
registered function, ``torch.cuda.is_available()`` says yes in the app where no device is, and a task runs
in a thread of a forked daemon process, which is killed at the end of its time. What it saw is in the file
that ``SPACES_STUB_LOG`` names, a line an event. ``SPACES_STUB_KILL_S`` kills each task after so many seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path

assert "torch" not in sys.modules, "spaces must be imported before torch"
assert "gradio" not in sys.modules, "and before gradio"

_context = multiprocessing.get_context("fork")
_registered: list[str] = []


def _note(line: str) -> None:
    with Path(os.environ["SPACES_STUB_LOG"]).open("a") as log:
        log.write(f"{line}\n")


def GPU(duration=60):  # the name of the real one
    def decorate(task):
        _registered.append(task.__name__)

        @wraps(task)
        def lent(*arguments):
            asked = duration(*arguments) if callable(duration) else duration
            from gradio.context import LocalContext

            has_request = LocalContext.request.get(None) is not None
            _note(f"lent {asked} {'to a request' if has_request else 'to nobody'}")
            answers = _context.Queue()

            def work() -> None:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                with ThreadPoolExecutor(1) as pool:
                    assert multiprocessing.current_process().daemon
                    answers.put(pool.submit(task, *arguments).result())

            worker = _context.Process(target=work, daemon=True)
            worker.start()
            limit = float(os.environ.get("SPACES_STUB_KILL_S") or asked)
            worker.join(limit)
            if worker.is_alive():
                _note("killed")
                worker.kill()
                worker.join()
            if answers.empty():
                raise RuntimeError("GPU task aborted")
            code = answers.get()
            _note(f"ended {code}")
            return code

        return lent

    return decorate


def gradio_auto_wrap(task):
    """Gradio asks this for every handler on a Space; it changes nothing unless somebody switched it on."""
    return task


def _noting(launch):
    @wraps(launch)
    def launch_and_note(self, *arguments, **options):
        _note(f"launch with {_registered}")
        return launch(self, *arguments, **options)

    return launch_and_note


def _patch() -> None:
    """Look for torch and Gradio, and change them as the real package does."""
    has_torch = has_gradio = False
    me = os.getpid()
    while not (has_torch and has_gradio) and os.getpid() == me:
        torch = sys.modules.get("torch")
        if (
            not has_torch
            and hasattr(getattr(torch, "cuda", None), "is_available")
            and hasattr(torch, "Tensor")
        ):
            torch.cuda.is_available = lambda: os.getpid() == me
            has_torch = True
            _note("patched torch")
        gradio = sys.modules.get("gradio")
        if not has_gradio and hasattr(gradio, "Blocks"):
            gradio.Blocks.launch = _noting(gradio.Blocks.launch)
            has_gradio = True
        time.sleep(0.001)


threading.Thread(target=_patch, daemon=True).start()
