"""Long work: how far it is, who may end it, and how much of it may run at once. No gradio here.

A function that may take long gets a :class:`Task` and calls :meth:`Task.progress` between its parts. That
call raises :class:`TaskCancelled` once nobody wants the work any more, so no second signal is passed around.
"""

from __future__ import annotations

import contextvars
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from mrpc.app.visitors import caller
from mrpc.errors import BusyError, TaskCancelled
from mrpc.progress import OnProgress, silent

Result = TypeVar("Result")

POLL_S = 0.2
FIRST_S = 0.05
"""Until the first word of progress: a press is answered within 300 ms, the way there and back included."""

MAX_RUNNING = 4
"""Tasks of all visitors at once; each computes on the same cores."""

MAX_RUNNING_A_VISITOR = 3
MAX_RUNNING_AN_ADDRESS = MAX_RUNNING - 1
"""Of visitors of one address: whoever takes many names still leaves something to others."""

VISITORS_SHARE = 0.05
"""Share of the time in which the long work of all visitors together computes while a training runs. A step
needs all cores, and waits for the one that is taken; a lower priority changed little of that."""

MAX_REST_S = 10.0
LOOK_EVERY_S = 2.0
"""How often it is looked whether a training runs."""


_left: ContextVar[threading.Event | None] = ContextVar("left", default=None)


@contextmanager
def ends_when(left: threading.Event) -> Iterator[None]:
    """End the tasks that are begun inside once ``left`` is set: whoever asked for them has gone."""
    before = _left.set(left)
    try:
        yield
    finally:
        _left.reset(before)


@dataclass(frozen=True)
class Progress:
    """How far a task is.

    Attributes:
        task_id: names the task for :meth:`Tasks.cancel`; only its own page knows it.
        what: what is being done, in words; "" as long as nothing was said.
        num_done: of ``num_total``.
        num_total: 0 where it is not known.
        so_far: HTML of the part of the answer that is known already.
        is_resting: whether it takes longer because a training goes first.
    """

    task_id: str
    what: str = ""
    num_done: int = 0
    num_total: int = 0
    so_far: str = ""
    is_resting: bool = False


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The task has ended, with this result."""

    result: Result


class Task:
    """What long work tells, and asks by telling. One that is made by itself tells nobody."""

    def __init__(self, rest: Callable[[], float] = lambda: 0.0) -> None:
        """Begin.

        Args:
            rest: how long to rest between two parts, in multiples of what the part before took.
        """
        self.task_id = secrets.token_urlsafe(12)
        self.newest = Progress(self.task_id)
        self._rest = rest
        self._part_began_at = time.monotonic()
        self._cancelled = threading.Event()
        self._left = _left.get()

    def progress(self, what: str, num_done: int, num_total: int, so_far: str = "") -> None:
        """Say how far the work is, and show the part of the answer that is known already, as HTML.

        Raises:
            TaskCancelled: nobody wants the result any more.
        """
        is_resting = self.newest.is_resting
        self.newest = Progress(self.task_id, what, num_done, num_total, so_far, is_resting)
        self.check()

    def check(self) -> None:
        """Rest if others go first, and raise :class:`TaskCancelled` if nobody wants the result any more."""
        rest_s = min(MAX_REST_S, self._rest() * (time.monotonic() - self._part_began_at))
        if rest_s > 0 and not self.newest.is_resting:
            self.newest = replace(self.newest, is_resting=True)
        if self._cancelled.wait(rest_s) or (self._left is not None and self._left.is_set()):
            raise TaskCancelled("Cancelled.")
        self._part_began_at = time.monotonic()

    @property
    def is_resting(self) -> bool:
        """Whether a training goes first: then less exact answers that cost less are welcome."""
        return self._rest() > 0

    def cancel(self) -> None:
        """Let the next call of :meth:`progress` or :meth:`check` end the work."""
        self._cancelled.set()


@dataclass(frozen=True)
class _Running:
    """Whose a task is."""

    visitor: str
    address: str
    is_visitors: bool
    task: Task


@dataclass
class Tasks:
    """The tasks that run now. One for a whole app; may be used from many threads."""

    max_running: int = MAX_RUNNING
    max_running_a_visitor: int = MAX_RUNNING_A_VISITOR
    is_training: Callable[[], bool] = lambda: False
    _looked: tuple[float, bool] = (float("-inf"), False)
    _running: dict[str, _Running] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(
        self, work: Callable[[Task], Result], visitor: str = "", address: str = "", gives_way: bool = False
    ) -> Iterator[Progress | Done[Result]]:
        """Do work in a thread and yield how far it is, at most five times a second, then its result.

        Whoever stops iterating (a page that was closed) cancels the work. What it raises is raised here.

        Args:
            work: gets the task that it reports to.
            visitor: who asked for it; "" where that is not known: then the address stands for it.
            address: where a visitor's request came from; "" for the owner, who is not counted by it.
            gives_way: it is a visitor's: it computes :data:`VISITORS_SHARE` of the time alone while a
                training runs, and is not counted against the owner's.

        Raises:
            BusyError: too much runs already, for this visitor or for all.
            TaskCancelled: it was cancelled.
        """
        task = Task(self._rest) if gives_way else Task()
        visitor = visitor or address
        with self._lock:
            running = [one for one in self._running.values() if one.is_visitors == gives_way]
            of_visitor = sum(one.visitor == visitor for one in running)
            of_address = sum(bool(address) and one.address == address for one in running)
            if of_visitor >= self.max_running_a_visitor or len(running) >= self.max_running:
                raise BusyError("Other long work is under way here. Wait until it ends, or cancel it.")
            if of_address >= MAX_RUNNING_AN_ADDRESS:
                raise BusyError("Much long work from your address is under way here. Wait until some ends.")
            self._running[task.task_id] = _Running(visitor, address, gives_way, task)
        ended: queue.SimpleQueue[Done[Result] | BaseException] = queue.SimpleQueue()

        def run() -> None:
            try:
                ended.put(Done(work(task)))
            except BaseException as error:
                ended.put(error)
            finally:
                with self._lock:
                    self._running.pop(task.task_id, None)

        in_context = contextvars.copy_context().run  # who asked for it counts there, too
        threading.Thread(target=in_context, args=[run], name="task", daemon=True).start()
        shown: Progress | None = None
        try:
            while True:
                try:
                    outcome = ended.get(timeout=FIRST_S if shown is None else POLL_S)
                except queue.Empty:
                    if task.newest != shown:
                        shown = task.newest
                        yield shown
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
                return
        finally:
            task.cancel()

    def _rest(self) -> float:
        """Return how long the work of one visitor rests, in multiples of how long it computes."""
        looked_at, is_training = self._looked
        if time.monotonic() > looked_at + LOOK_EVERY_S:
            is_training = self.is_training()
            self._looked = time.monotonic(), is_training
        num_visitors = sum(one.is_visitors for one in list(self._running.values()))
        return max(1, num_visitors) / VISITORS_SHARE - 1 if is_training else 0.0

    def do(self, work: Callable[[OnProgress], Result]) -> Result:
        """Do work that a script waits for: at once for the owner, for visitors in the same bounds.

        Raises:
            BusyError: too much runs already, for this visitor or for all.
        """
        who = caller()
        if who.is_owner:
            return work(silent)
        steps = self.follow(lambda task: work(task.progress), who.visitor, who.address, gives_way=True)
        return next(step.result for step in steps if isinstance(step, Done))

    def cancel(self, task_id: object) -> None:
        """Cancel a task by its name; one that has ended, or never was, is ignored."""
        with self._lock:
            running = self._running.get(str(task_id)[:40])
        if running is not None:
            running.task.cancel()
