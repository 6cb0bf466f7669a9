"""A last word for a main process that waits for others in vain.

Python runs signal handlers between two steps of its own, so a process that waits inside a collective for
one that died hears no TERM: torchrun kills it half a minute later, and nobody has said why.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

GRACE_S = 10.0
"""How long a signal may stay unheard before the process counts as stuck, in seconds. torchrun waits 30."""


def watch_signals(on_unheard: Callable[[], None], exit_code: int) -> threading.Event:
    """End this process with a last word when a signal comes that its handler does not get to hear.

    Args:
        on_unheard: says the last word; called in a thread of its own.
        exit_code: of the process then.

    Returns:
        What the signal handler sets when it is called.
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
