"""What Compare shows first is worked out before somebody opens it: in one thread, while nothing trains.

After a run has ended its behavioural tests are run, and the sentences of its data are read with the untrained
encoder, for the baselines that need them. Both are kept on disk, by weights and by data. A training always
goes first: this work stops where it is, and begins anew when the queue is empty.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.errors import MrpcError, TaskCancelled, UnavailableError
from mrpc.runs.queue import RunQueue

if TYPE_CHECKING:
    from mrpc.app.compare.comparisons import Comparisons
    from mrpc.runs.store import RunStore

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""Between two looks at who trains: one costs 35 ms of processor time with a hundred runs."""

MAX_JOBS = 20
LOOK_EVERY_S = 1.0
"""The same while it works, so that a training that began has the processor soon."""


@dataclass(frozen=True)
class Job:
    """Something to work out.

    Attributes:
        what: "tests", the behavioural tests, or "baselines", those that need the encoder.
        first, second: the sides.
        split: whose sentences are read.
    """

    what: str
    first: str
    second: str
    split: str = "validation"


class Background:
    """Works out what will be looked at. One for a whole app; may be used from many threads."""

    def __init__(self, store: RunStore, comparisons: Callable[[], Comparisons]) -> None:
        """Bind to a runs folder.

        Args:
            store: the runs.
            comparisons: returns what compares; asked when there is something to do.
        """
        self._store = store
        self._comparisons = comparisons
        self._queue = RunQueue(store.runs_dir)
        self._jobs: deque[Job] = deque(maxlen=MAX_JOBS)
        self._failed: dict[Job, str] = {}
        self._trained = ""
        self._watch: threading.Thread | None = None
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._said = ""

    def watch(self) -> None:
        """Begin, in a thread that lives as long as the app."""
        with self._lock:
            if self._watch is None:
                self._watch = threading.Thread(target=self._work, name="background", daemon=True)
                self._watch.start()

    def want(self, job: Job) -> str:
        """Have something worked out next, and say how far it is.

        Raises:
            UnavailableError: it cannot be; says why.
        """
        with self._lock:
            if job in self._failed:
                raise UnavailableError(self._failed[job])
            if job not in self._jobs:
                self._jobs.appendleft(job)
            said = self._said if self._jobs[0] == job else ""
        if self._is_busy():
            return "It waits until no training is under way."
        return said or "It is worked out in the background."

    def look(self) -> None:
        """Note which run trains, and what is to be done once it has ended."""
        holder = self._store.holder()
        trained, self._trained = self._trained, holder.run_id if holder is not None else ""
        if not trained or trained == self._trained:
            return
        if trained not in {run.run_id for run in self._comparisons().catalog.comparable_runs()}:
            return  # nothing was learned that could be compared
        with self._lock:
            sides = f"{trained}:base", f"{trained}:best"
            for job in (Job("tests", *sides), Job("baselines", *sides)):
                if job not in self._jobs:
                    self._jobs.append(job)

    def do_next(self) -> Job | None:
        """Do the next job if nothing trains or waits, and return it."""
        with self._lock:
            job = self._jobs[0] if self._jobs else None
        if job is None or self._is_busy():
            return None
        try:
            self._do(job)
        except TaskCancelled:  # a training began
            return None
        except MrpcError as error:  # whoever opens the view is told
            self._failed[job] = str(error)
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
            self._said = ""
        return job

    def _do(self, job: Job) -> None:
        comparison = self._comparisons().compare(job.first, job.second, job.split, self._note)
        if job.what == "tests":
            comparison.behavioral_tests(self._note)
        else:
            comparison.baselines(True, self._note)

    def _note(self, what: str, num_done: int, num_total: int) -> None:
        """Take how far the work is; end it if a training began."""
        self._said = f"{what}: {num_done:,} of {num_total:,}." if num_total else f"{what}."
        now = time.monotonic()
        if now - self._looked_at > LOOK_EVERY_S:
            self._looked_at = now
            if self._is_busy():
                raise TaskCancelled("A training began.")

    def _is_busy(self) -> bool:
        return self._store.holder() is not None or bool(self._queue.read())

    def _work(self) -> None:
        while True:
            time.sleep(POLL_S)
            try:
                self.look()
                self.do_next()
            except OSError as error:  # a folder that is away for a moment
                logger.warning("the runs folder cannot be read: %s", error)
