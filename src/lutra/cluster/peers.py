"""Asking other nodes: calls over connections that are kept, each signed."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from lutra.cluster.counters import CallCounters
from lutra.cluster.errors import PeerLost, PeerUnreachable
from lutra.cluster.methods import LEFT_HEADER
from lutra.cluster.peer_connections import PeerConnections
from lutra.cluster.signing import (
    DIGEST_HEADER,
    SIGNATURE_HEADER,
    SKEW_S_MAX,
    TIME_HEADER,
    digest_of,
    is_timely,
    signature_of,
)
from lutra.cluster.wire import decode, encode
from lutra.kernels.daemons import DaemonExecutor
from lutra.model.deadline import current_deadline, working_for
from lutra.model.errors import LutraError, ServerBusy

CONNECT_TIMEOUT_S: Final = 1.0
"""A node that does not take a connection is tried elsewhere."""
TIMEOUT_S: Final = 40.0
"""Where nobody says by when."""
_AT_ONCE: Final = 64
_WARN_S: Final = 60.0

_log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A method of a node at ``address`` (``http://HOST:PORT``), and what it is told."""

    address: str
    method: str
    payload: object = None


class Peers:
    """Thread-safe. Holds connections and threads: `close` it."""

    def __init__(self, secret: bytes, at_once: int = _AT_ONCE, now_s: Callable[[], float] = time.time) -> None:
        """``at_once``: so many calls of one kind (`run_many`) are under way, others wait. ``now_s``: since 1970."""
        self._secret = secret
        self._now_s = now_s
        self._warned_s = -math.inf
        self._connections = PeerConnections()
        self._at_once = at_once
        self._lock = threading.Lock()
        self._executors: dict[str, DaemonExecutor] = {}
        self._is_closed = False
        self.calls = CallCounters()
        """By method. To look at."""

    def call(self, address: str, method: str, payload: object = None, *, timeout_s: float | None = None) -> Any:
        """What the node says. Takes no longer than ``timeout_s``, and than what this thread works for.

        Raises the LutraError that the method raised there, PeerUnreachable, PeerLost, and RequestTimeout where the time
        was up before it was asked.
        """
        began_s = time.monotonic()
        outcome = CallCounters.OK
        try:
            return self._call(address, method, payload, timeout_s)
        except LutraError as error:
            outcome = type(error).__name__
            raise
        finally:
            self.calls.count(method, outcome, time.monotonic() - began_s)

    def _call(self, address: str, method: str, payload: object, timeout_s: float | None) -> Any:
        deadline = current_deadline()
        deadline.check()
        left_s = min(TIMEOUT_S if timeout_s is None else timeout_s, deadline.left_s)
        body = encode(payload)
        now, digest = str(int(self._now_s())), digest_of(body)
        head = (
            f"{TIME_HEADER}: {now}\r\n"
            f"{DIGEST_HEADER}: {digest}\r\n"
            f"{SIGNATURE_HEADER}: {signature_of(self._secret, method, now, digest)}\r\n"
            f"{LEFT_HEADER}: {max(1, int(1_000 * left_s))}\r\n"
        )
        connect_s = min(CONNECT_TIMEOUT_S, left_s)
        try:
            answer = self._connections.post(address, f"/_lutra/{method}", head, body, connect_s, left_s)
        except PeerUnreachable as error:
            raise PeerUnreachable(f"node {address} cannot be reached: {error}") from None
        except PeerLost as error:
            raise PeerLost(f"node {address} did not answer {method}: {error}") from None
        if answer.status == 403:
            self._require_same_time(address, answer.body)
        return _answer_of(address, method, answer.status, answer.body)

    def _require_same_time(self, address: str, told: bytes) -> None:
        """Raises PeerUnreachable where a node refuses calls because of what its clock shows, which it says."""
        its, here_s = told[:16].decode("latin-1"), self._now_s()
        if not its or is_timely(its, here_s):
            return
        message = (
            f"node {address} refuses to be asked: its clock shows {its} s since 1970, this machine's {here_s:.0f}, "
            f"and they may differ by {SKEW_S_MAX} s"
        )
        if time.monotonic() - self._warned_s > _WARN_S:
            self._warned_s = time.monotonic()
            _log.warning("%s: its partitions cannot be asked from here until both are right", message)
        raise PeerUnreachable(message)

    def submit(self, call: Call, timeout_s: float | None = None) -> Future[Any]:
        """`call`, by a thread, within what this thread works for."""
        deadline = current_deadline()

        def ask() -> Any:
            with working_for(deadline):
                return self.call(call.address, call.method, call.payload, timeout_s=timeout_s)

        return self._executor("").submit(ask)

    def call_many(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """All at once: what each node says, in the place of those that failed their LutraError."""
        if len(calls) == 1:
            return [_told(lambda: self.call(*calls[0], timeout_s=timeout_s))]
        futures = [self.submit(call, timeout_s) for call in calls]
        return [_told(future.result) for future in futures]

    def run_many(self, calls: Sequence[Callable[[], Any]], kind: str = "") -> list[Any]:
        """As `call_many`, of whatever asks others, within what this thread works for.

        Each ``kind``, of which there are few, has threads of its own: searches that wait for a node which does not
        answer, up to their deadline, hold up no writes.
        """
        if len(calls) == 1:
            return [_told(calls[0])]
        deadline = current_deadline()

        def run(call: Callable[[], Any]) -> Any:
            with working_for(deadline):
                return call()

        executor = self._executor(kind)
        futures = [executor.submit(run, call) for call in calls]
        return [_told(future.result) for future in futures]

    def close(self) -> None:
        """Lets connections go; calls under way fail."""
        with self._lock:
            self._is_closed = True
            executors = list(self._executors.values())
        for executor in executors:
            executor.shutdown(wait=False, cancel_futures=True)
        self._connections.close()

    def _executor(self, kind: str) -> DaemonExecutor:
        with self._lock:
            found = self._executors.get(kind)
            if found is None:
                found = self._executors[kind] = DaemonExecutor(f"lutra-{kind or 'peers'}", self._at_once)
                if self._is_closed:
                    found.shutdown(wait=False)
            return found


def _answer_of(address: str, method: str, status: int, data: bytes) -> Any:
    if status == 200:
        return decode(data)
    if status == 409:
        error = decode(data)
        raise error if isinstance(error, LutraError) else PeerLost(f"node {address} answered {method} with nonsense")
    if status == 403:
        raise PeerUnreachable(f"node {address} does not know this cluster's secret, or no method {method}")
    if status == 503:
        raise ServerBusy(f"node {address} is busy")
    raise PeerLost(f"node {address} failed in {method} ({status})")


def _told(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except LutraError as error:
        return error
