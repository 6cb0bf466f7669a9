"""End a main process that is blocked in a collective operation, and record why.

Python runs signal handlers between two bytecodes, so a process that waits inside a collective for another
one that died never handles TERM: torchrun kills it half a minute later, and no reason is recorded.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

GRACE_S = 10.0
"""A process that has not handled a signal after so many seconds counts as blocked. torchrun waits 30."""


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
