"""What was worked out lately, so that it is not worked out again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Recent:
    """Keeps the values that were used last, of any kind. May be used from many threads."""

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.RLock] = {}
        self._lock = threading.Lock()

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key; make it if it is not there, once, however many threads ask.

        Nothing is kept when ``make`` raises. The value that was not used for longest is let go of.
        """
        with self._lock:
            if key in self._values:
                return self._use(key)
            making = self._making.setdefault(key, threading.RLock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._use(key)
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._values[key] = value
            self.trim(self._max_kept)
            return value

    def get(self, key: Hashable) -> Any:
        """Return the value of a key, or None."""
        with self._lock:
            return self._use(key) if key in self._values else None

    def forget(self, key: Hashable) -> None:
        """Make the value of a key anew at its next use."""
        with self._lock:
            self._values.pop(key, None)

    def trim(self, num: int) -> None:
        """Let go of all but the ``num`` values that were used last."""
        with self._lock:
            while len(self._values) > num:
                self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)

    def _use(self, key: Hashable) -> Any:
        self._values.move_to_end(key)
        return self._values[key]
