"""Trainings that end before their last step: the cause in words, and what to do about it.

A main process that is blocked in a collective operation is ended, too. Python runs signal handlers between
two bytecodes, so a process that waits inside a collective for another one that died never handles TERM:
torchrun kills it half a minute later, and no reason is recorded.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import traceback
from collections.abc import Callable

from mrpc.errors import MrpcError, TrainingError
from mrpc.runs.events import FailedEvent
from mrpc.training.report import Reporter

TRACEBACK_LINES = 12
MEMORY_SIGNS = ("allocate memory", "out of memory", "could not create a primitive")
"""What torch, CUDA and oneDNN say when there is no memory left."""

ABANDONED = TrainingError(
    "The launcher ended this process, because another process of the training died or it was stopped itself.",
    "The log tells what the other process said last. Resume goes on from the newest checkpoint.",
)

GRACE_S = 10.0
"""A process that has not handled a signal after so many seconds counts as blocked. torchrun waits 30."""


def record_failure(error: Exception, report: Reporter) -> None:
    """Write why a training failed, as the last event of its attempt."""
    report.free_reserve()
    cause, suggestion = explain_failure(error)
    lines = traceback.format_exception(error)
    tail = "\n".join("".join(lines).splitlines()[-TRACEBACK_LINES:])
    event = FailedEvent(step=report.status.step, cause=cause, suggestion=suggestion, traceback=tail)
    report.end(event, phase="failed", outcome="failed", error=cause)


def explain_failure(error: Exception) -> tuple[str, str]:
    """Say in words why a training ended, and one thing to do about it."""
    text = str(error) or type(error).__name__
    if isinstance(error, TrainingError):
        return text, error.suggestion
    if "transport/tcp" in text or "NCCL" in text:
        return f"Another process of this training ended: {text}", ABANDONED.suggestion
    if isinstance(error, MrpcError):
        return text, "Correct the cause named in the message and start again."
    if _is_full_disk(error):
        return f"The disk is full: {text}.", "Free some space or choose another runs folder, then resume."
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"A file may not be written: {text}.", "Make the runs folder writable, then resume."
    if isinstance(error, FileNotFoundError):
        return f"A file is gone: {text}.", "Put it back, or start a new run."
    if isinstance(error, MemoryError) or any(sign in text for sign in MEMORY_SIGNS):
        return f"The memory is exhausted: {text}", "Use a smaller batch or a shorter max length."
    return f"{type(error).__name__}: {text}", "The last lines of the log tell more."


def _is_full_disk(error: Exception) -> bool:
    """Recognise a full disk also where safetensors and torch tell it in words of their own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    signs = ("No space left on device", "File too large", "PytorchStreamWriter failed", "unexpected pos")
    return any(sign in str(error) for sign in signs)


def watch_signals(on_unheard: Callable[[], None], exit_code: int) -> threading.Event:
    """End this process when a signal arrives that its handler does not get to handle.

    Args:
        on_unheard: records the reason; called in a thread of its own.
        exit_code: the exit code in this case.

    Returns:
        An event that the signal handler must set when it is called.
    """
    heard = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(reader, 1):
            if not heard.wait(GRACE_S):
                try:
                    on_unheard()
                finally:
                    os._exit(exit_code)

    threading.Thread(target=watch, name="watch-signals", daemon=True).start()
    return heard
