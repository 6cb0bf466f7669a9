"""Who asks for what is done now, and what visitors of a public page may train.

Visitors train short previews, one at a time, and stop only their own. No gradio here.

Who a visitor is tells a cookie with a random value, set when the page is opened; a run keeps its hash. On a
Space the page stands in a frame of another site, where the cookie is kept for that site alone
(``Partitioned``). A browser that keeps none is told to open the page in a tab of its own.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.requests import HTTPConnection, cookie_parser

from mrpc.app.hosts import Header, opens_page
from mrpc.config import DEFAULT_CHECKPOINT, TrainConfig
from mrpc.errors import AccessError, BusyError
from mrpc.runs.queue import RunQueue
from mrpc.runs.run import ALIVE_STATES, OVER_STATES, Run, RunState
from mrpc.runs.store import RunStore

COOKIE = "mrpc_visitor"
COOKIE_AGE_S = 30 * 24 * 3600
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{22}")

MAX_PAIRS = 3600
"""Pairs that a preview may train on, over all its epochs: those of the preset quick."""

MAX_STEPS = 600
MAX_BATCH = 32
MAX_LENGTH = 128
MAX_MINUTES = 10.0
"""A preview that trains longer is stopped, and keeps what it has."""

MAX_WAITING = 10
MAX_KEPT_A_VISITOR = 3
MAX_KEPT = 20
"""Previews of all visitors that stay on the disk; the oldest goes when a new one is made."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        is_owner: whether they may do everything.
        visitor: a mark of a visitor's browser; "" where it keeps no cookie.
        address: where the request comes from.
        is_app: whether nobody asks: the app does it by itself.
    """

    is_owner: bool
    visitor: str = ""
    address: str = ""
    is_app: bool = False


THIS_PROCESS = Caller(is_owner=True, is_app=True)
"""What is done without a request: by the app itself, or by a test."""

_caller: ContextVar[Caller] = ContextVar("caller", default=THIS_PROCESS)


def caller() -> Caller:
    """Return who asks for what this thread does now."""
    return _caller.get()


@contextmanager
def called_by(who: Caller) -> Iterator[None]:
    """Do what is inside on behalf of somebody."""
    before = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(before)


class Visitors:
    """Holds visitors to what they may train. One for a whole app; may be used from many threads."""

    def __init__(self, store: RunStore, may_train: bool = False) -> None:
        self._store = store
        self.may_train = may_train
        self._admitting = threading.Lock()

    @contextmanager
    def admit(self, config: TrainConfig, num_train_pairs: int | None) -> Iterator[str | None]:
        """Let who asks make a run inside ``with``, and give what the run keeps of a visitor.

        Args:
            config: of the run.
            num_train_pairs: pairs of the training split; None where the run has data of its own.

        Raises:
            AccessError: it is more than a visitor may train, or the browser sent no cookie of this page.
            BusyError: the visitor has a run already, or too many wait.
        """
        who = caller()
        if who.is_owner:
            yield None
            return
        if not who.visitor:
            raise AccessError(
                "Your browser keeps no cookie of this page, so nobody can tell which runs are yours. Open "
                "the page in a tab of its own, and try again there."
            )
        if num_train_pairs is None:
            raise AccessError("Visitors train on the data of this app, not on others.")
        check_size(config, num_train_pairs)
        with self._admitting:
            runs = [run for run in self._store.list() if run.config.visitor is not None]
            own = [run for run in runs if run.config.visitor == who.visitor]
            for run in own:
                if run.state() in ALIVE_STATES | {RunState.QUEUED}:
                    raise BusyError(
                        f"One preview of yours is under way or waits already: run {run.run_id}. Wait for its "
                        "end, or stop it.",
                        run.run_id,
                    )
            if len(RunQueue(self._store.runs_dir).read()) >= MAX_WAITING:
                raise BusyError(f"{MAX_WAITING} runs wait already. Come back when some have ended.")
            self._make_room(own, MAX_KEPT_A_VISITOR)
            self._make_room(runs, MAX_KEPT)
            yield who.visitor

    def check_own(self, run: Run) -> None:
        """Refuse to touch a run that is not the visitor's own.

        Raises:
            AccessError: who asks is a visitor, and the run is somebody else's.
        """
        who = caller()
        if not who.is_owner and (not who.visitor or run.config.visitor != who.visitor):
            raise AccessError("A visitor may stop previews of their own only, and this run is not yours.")

    def _make_room(self, runs: list[Run], num_kept: int) -> None:
        """Delete the oldest of these runs that are over, so that one more makes ``num_kept``."""
        for run in runs[num_kept - 1 :]:
            if run.state() in OVER_STATES and not run.is_evaluated():
                self._store.remove(run)


def is_too_long(run: Run) -> bool:
    """Tell whether a visitor's preview has trained longer than it may."""
    return run.config.visitor is not None and run.read_status().train_s > 60 * MAX_MINUTES


def require_owner() -> None:
    """Refuse what only the owner may do, in a handler that visitors may call for something else.

    Raises:
        AccessError: who asks is a visitor.
    """
    if not caller().is_owner:
        raise AccessError(
            "A visitor may stop previews of their own. Everything else is for the owner of this app."
        )


def check_size(config: TrainConfig, num_train_pairs: int) -> None:
    """Refuse what is more than a preview.

    Raises:
        AccessError: names the value, its limit, and what to do.
    """
    num_steps = config.num_steps(num_train_pairs)
    num_pairs = config.num_used_pairs(num_train_pairs) * config.num_epochs * config.num_orders
    num_rows = config.train_batch_size * config.gradient_accumulation_steps * config.num_orders
    too_much = [
        f"{what} {value:,} (at most {limit:,})"
        for what, value, limit in (
            ("pairs in all epochs and orders:", num_pairs, MAX_PAIRS),
            ("steps:", num_steps, MAX_STEPS),
            ("batch size in all orders:", num_rows, MAX_BATCH),
            ("max length:", config.max_length, MAX_LENGTH),
        )
        if value > limit
    ]
    if config.checkpoint != DEFAULT_CHECKPOINT:
        too_much.append(f"the checkpoint {config.checkpoint} (only {DEFAULT_CHECKPOINT})")
    if config.keep_epochs != "best_last":
        too_much.append("the weights of all epochs (only best and last)")
    if too_much:
        raise AccessError(
            f"Visitors train short previews here. Too much: {'; '.join(too_much)}. The preset Quick fits."
        )


def visitor_mark(headers: Mapping[str, str]) -> str:
    """Return what a run keeps of the visitor who sent these headers; "" for one without a cookie."""
    token = _token_of(headers)
    return hashlib.sha256(token.encode()).hexdigest()[:32] if token else ""


def set_cookie(request: HTTPConnection, name: str, value: str, *, is_framed: bool) -> Header:
    """Return the header that sets a cookie no script of a page can read.

    Args:
        request: whose answer sets it; of one that came by https, it is sent by https alone.
        name: of the cookie.
        value: letters, digits, - and _ alone.
        is_framed: whether the page may stand in a frame of another site: then browsers keep it for that
            site alone, also where they block cookies of third parties.
    """
    where = "SameSite=None; Partitioned" if is_framed else "SameSite=Lax"
    secure = "; Secure" if is_framed or request.scope.get("scheme") == "https" else ""
    attributes = f"Max-Age={COOKIE_AGE_S}; Path=/; HttpOnly; {where}{secure}"
    return b"set-cookie", f"{name}={value}; {attributes}".encode()


def new_cookie(is_framed: bool, request: HTTPConnection) -> list[Header]:
    """Return a cookie to know a visitor again by, where a browser opens the page that has none."""
    if not opens_page(request) or _token_of(request.headers):
        return []
    return [set_cookie(request, COOKIE, secrets.token_urlsafe(16), is_framed=is_framed)]


def _token_of(headers: Mapping[str, str]) -> str:
    token = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return token if TOKEN_PATTERN.fullmatch(token) else ""
