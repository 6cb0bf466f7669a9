"""What was worked out before, so that it is not worked out again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, overload

Owner = TypeVar("Owner")
Value = TypeVar("Value")


@dataclass(frozen=True)
class _Kept(Generic[Value]):
    value: Value
    version: Hashable
    made_at: float = field(default_factory=time.monotonic)


class Recent(Generic[Value]):
    """Keeps the values that were used last. May be used from many threads."""

    def __init__(self, max_kept: int, max_age_s: float = float("inf")) -> None:
        """Keep nothing yet.

        Args:
            max_kept: how many values.
            max_age_s: a value that was made longer ago is made anew.
        """
        self._max_kept = max_kept
        self._max_age_s = max_age_s
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._making: dict[Hashable, threading.RLock] = {}
        self._lock = threading.Lock()

    def once(self, key: Hashable, make: Callable[[], Value], version: Hashable = None) -> Value:
        """Return the value of a key; make it if it is not there, once, however many threads ask.

        Nothing is kept when ``make`` raises. The value that was not used for longest is dropped.

        Args:
            key: what the value is of.
            make: makes it.
            version: a value that is kept of another version is made anew.
        """
        with self._lock:
            kept = self._use(key, version)
            if kept is not None:
                return kept.value
            making = self._making.setdefault(key, threading.RLock())
        with making:
            with self._lock:
                kept = self._use(key, version)
                if kept is not None:
                    return kept.value
            try:
                value = make()
                with self._lock:
                    self._kept[key] = _Kept(value, version)
                    self._kept.move_to_end(key)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            self.trim(self._max_kept)
            return value

    def get(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None. This is no use that keeps it for longer."""
        with self._lock:
            kept = self._kept.get(key)
        return None if kept is None else kept.value

    def forget(self, key: Hashable) -> None:
        """Make the value of a key anew at its next use."""
        with self._lock:
            self._kept.pop(key, None)

    def trim(self, num: int) -> None:
        """Drop all but the ``num`` values that were used last."""
        with self._lock:
            while len(self._kept) > num:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)

    def _use(self, key: Hashable, version: Hashable) -> _Kept[Value] | None:
        kept = self._kept.get(key)
        if kept is None or kept.version != version or time.monotonic() - kept.made_at >= self._max_age_s:
            return None
        self._kept.move_to_end(key)
        return kept


class built_once(Generic[Owner, Value]):
    """A property whose value is built at the first use, once, however many threads ask at the same time.

    Each property waits on a lock of its own. Nothing is kept when building raises, so the next use tries
    again.
    """

    def __init__(self, build: Callable[[Owner], Value]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> built_once[Owner, Value]: ...

    @overload
    def __get__(self, instance: Owner, owner: type) -> Value: ...

    def __get__(self, instance: Owner | None, owner: type) -> built_once[Owner, Value] | Value:
        if instance is None:
            return self
        values = instance.__dict__
        if self._name not in values:
            with _LOCKS_LOCK:
                lock = values.setdefault(f"_{self._name}_lock", threading.RLock())
            with lock:
                if self._name not in values:
                    values[self._name] = self._build(instance)
        return values[self._name]


_LOCKS_LOCK = threading.Lock()
