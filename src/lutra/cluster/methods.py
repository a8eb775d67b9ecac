"""What a node answers other nodes: methods by name, each on the threads of its lane."""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lutra.cluster.counters import CallCounters
from lutra.cluster.signing import DIGEST_HEADER, SIGNATURE_HEADER, TIME_HEADER, digest_of, is_same, is_signed
from lutra.cluster.wire import decode, encode
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import LutraError

logger = logging.getLogger(__name__)

LEFT_HEADER: Final = "x-lutra-left-ms"
_LEFT_MS_MAX: Final = 10 * 60 * 1_000
Headers = Sequence[tuple[bytes, bytes]]


class PeerLane(enum.Enum):
    """Which threads a method runs on, so that none waits behind a kind slower than itself."""

    POINT = "peer-point"
    WRITE = "peer-write"
    SCAN = "peer-scan"
    SEARCH = "peer-search"
    SCHEMA = "peer-schema"
    FOLLOW = "peer-follow"
    """What followers of changes send on: it never waits for another node in turn."""
    CONTROL = "peer-control"


_THREADS: Final = {
    PeerLane.POINT: 2,
    PeerLane.WRITE: 32,
    PeerLane.SCAN: 8,
    PeerLane.SEARCH: 8,
    PeerLane.SCHEMA: 4,
    PeerLane.FOLLOW: 8,
    PeerLane.CONTROL: 2,
}


@dataclass(frozen=True, slots=True)
class _Method:
    lane: PeerLane
    call: Callable[[Any], object]


class Methods:
    """Thread-safe once all are added."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._methods: dict[str, _Method] = {}
        self.answers = CallCounters()
        """By method. To look at."""

    @property
    def lanes(self) -> Mapping[str, int]:
        """So many threads each."""
        return {lane.value: threads for lane, threads in _THREADS.items()}

    def add(self, name: str, lane: PeerLane, call: Callable[[Any], object]) -> None:
        """``call`` gets what the other node says and gives what it is answered (`lutra.cluster.wire`).

        A LutraError that it raises is raised in the other node as well. Slashes may be in a name: what comes after the
        first tells of the lane, as in ``partition/write``.
        """
        if name in self._methods:
            raise ValueError(f"there is a method {name} already")
        self._methods[name] = _Method(lane, call)

    def admit(self, method: str, headers: Headers) -> str | None:
        """The lane of a call, by its head; None where there is no such method, or who asks does not have the secret.

        That the body is the one that was signed is for `answer` to see.
        """
        known = self._methods.get(method)
        time_text, digest, signature = (
            _header(headers, name) for name in (TIME_HEADER, DIGEST_HEADER, SIGNATURE_HEADER)
        )
        if known is None or not is_signed(self._secret, method, time_text, digest, signature):
            return None
        return known.lane.value

    def answer(self, method: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
        """Makes a call that was admitted: an HTTP status and what is said.

        200: what the method gives. 409: the LutraError that it raised. 403: the body is not the one that was signed.
        500: it failed, which is logged here.
        """
        if not is_same(digest_of(body), _header(headers, DIGEST_HEADER)):
            return 403, b""
        began_s, outcome = time.monotonic(), CallCounters.OK
        left = _header(headers, LEFT_HEADER)
        left_ms = min(int(left), _LEFT_MS_MAX) if left.isdecimal() and len(left) <= 9 else _LEFT_MS_MAX
        try:
            with working_for(Deadline(left_ms / 1_000)) as deadline:
                deadline.check()
                return 200, encode(self._methods[method].call(decode(body)))
        except LutraError as error:
            outcome = type(error).__name__
            return 409, encode(error)
        except Exception:
            outcome = "failure"
            logger.exception("method %s failed", method)
            return 500, b""
        finally:
            self.answers.count(method, outcome, time.monotonic() - began_s)


def _header(headers: Headers, name: str) -> str:
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in headers if key == wanted), "")
