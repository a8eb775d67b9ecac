"""A node's own lease: that it is alive, said again and again; and how surely it knows that the others believe it.

A node renews by putting the next number below ``nodes/NODE/``, and is sure of itself for a while from the *start* of
that put, by its own clock. Others take it for dead by putting that very number, when they have seen none for longer
than that, each by its own clock (`lutra.cluster.node_board`): one of the two puts loses. So no clocks of two machines
are compared, and clocks need not show the same time, but only run about equally fast.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from lutra.cluster.lease_records import NODES, NodeRecord, NodeState, require_node_name
from lutra.model.errors import ObjectMissing, StorageFailure
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

TTL_S: Final = 5.0
MARGIN_S: Final = 0.5
"""Two clocks may drift apart by so much within a time to live, and a node is not sure of itself for so long before."""
KEPT: Final = 4
"""So many of the newest numbers of a lease are there."""

CHANGED: Final = "changed-"
"""Begins the last part of the name of an object that says, by the number at its end, that there is something new in a
lease since that number. It holds nothing, and decides nothing: it spares others to read what only says 'alive'."""

_CLAIMANT_BYTES: Final = 16

_log = logging.getLogger(__name__)

Clock = Callable[[], float]


def mark_name(node: str, number: int) -> str:
    """The object that says that the lease of a node says something new since that number."""
    return f"{NODES}/{node}/{CHANGED}{number:020d}"


def boot_clock_s() -> float:
    """Seconds that have passed on this machine, also while it was suspended, where that can be told."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A put of which it is not known whether it happened: only the same again will tell."""

    number: int
    record: NodeRecord
    claimant: bytes
    start_s: float


class NodeLease:
    """Of one run of a node. `is_sure` may be asked by any thread; the other methods are called by one at a time."""

    def __init__(
        self,
        store: ObjectStore,
        node: str,
        record: NodeRecord,
        clock: Clock,
        token_bytes: Callable[[int], bytes],
        margin_s: float = MARGIN_S,
    ) -> None:
        """Reads nothing yet. Raises ParameterInvalid for a bad name.

        :param record: what it is to say; the incarnation is found out.
        :param clock: seconds that pass on this machine, from any beginning.
        :param token_bytes: gives so many random bytes, no two times the same.
        """
        self._store = store
        self.node = require_node_name(node)
        self.record = record
        self._clock = clock
        self._token_bytes = token_bytes
        self._margin_s = margin_s
        self._log = ManifestLog(store, f"{NODES}/{node}")
        self._lock = threading.Lock()
        self._number = 0
        """Of the last put that took, 0 before any."""
        self._attempt: _Attempt | None = None
        self._start_s = 0.0
        """When the put of ``_number`` was begun."""
        self._sure_until_s: float | None = None
        """None: never yet, or never again."""
        self._has_joined = False
        self._is_over = False
        self._seen: tuple[int, float] | None = None
        """Before it has joined: which number another run had, and since when."""
        self._has_told = False
        """Whoever runs it of another that runs by its name."""
        self._said: NodeRecord | None = None
        """By ``_number``."""
        self._marked: NodeRecord | None = None
        """What others have been told to read, by ``_newest_mark``."""
        self._newest_mark = ""

    @property
    def has_joined(self) -> bool:
        """Whether others have been told that it is alive."""
        return self._has_joined

    @property
    def is_over(self) -> bool:
        """Whether this run has left, or was taken for dead: whatever it owned is anybody's."""
        return self._is_over

    def is_sure(self) -> bool:
        """Whether nobody can have taken it for dead yet: what it owns is surely its own at this moment.

        Who reads something for an answer asks *after* it has read.
        """
        return self.sure_for_s() > 0

    def sure_for_s(self) -> float:
        """So long it will be sure without another renewal, 0 where it is not."""
        with self._lock:
            until_s = self._sure_until_s
        return 0.0 if until_s is None else max(0.0, until_s - self._clock())

    def join(self) -> bool:
        """Tries to be this node. False: another run of it may be alive yet, and this one is to try again, soon.

        A list and a get, and where nobody is, a put and another list. Raises StorageFailure, Corruption.
        """
        numbers = self._log.numbers()
        newest = numbers[-1] if numbers else 0
        if self._attempt is None and numbers and not self._is_free(newest):
            return False
        number = newest + 1 if self._attempt is None else self._attempt.number
        self._put(number, replace(self.record, incarnation=number))
        names = self._store.list(NODES)
        self._confirm(names)
        if not self._has_joined:
            return False
        self._tidy(names)
        return True

    def renew(self) -> list[str]:
        """Says that it is alive; returns the names of all objects of all nodes. Two requests, and a delete.

        Where that comes too late for it to be sure, it says so once more. Raises StorageFailure: it may be sure yet.
        """
        names: list[str] = []
        for _ in range(2):
            number = self._number + 1 if self._attempt is None else self._attempt.number
            self._put(number, self.record)
            names = self._store.list(NODES)
            self._confirm(names)
            if self._is_over or self.is_sure():
                break
        if not self._is_over:
            self._tidy(names)
        return names

    def leave(self) -> None:
        """Ends this run, which owns nothing any more. Raises StorageFailure where others may not know: again, then."""
        with self._lock:
            self._sure_until_s = None
        if not self._has_joined:
            self._is_over = True
        self.record = replace(self.record, state=NodeState.LEFT)
        while not self._is_over:
            number = self._number + 1 if self._attempt is None else self._attempt.number
            said = self._put(number, self.record)
            if said is not None and said.state is NodeState.LEFT:
                self._is_over = True
                with suppress(StorageFailure):
                    self._mark()

    def _is_free(self, newest: int) -> bool:
        """Whether nobody can be sure to be this node by the lease of that number."""
        try:
            other = NodeRecord.from_json(self._log.read(newest).payload)
        except ObjectMissing:
            return False
        if other.state.is_over:
            return True
        now_s = self._clock()
        if self._seen is not None and self._seen[0] != newest and not self._has_told:
            self._has_told = True
            process = "" if other.process is None else f", process {other.process.pid} of {other.process.host}"
            _log.warning(
                "another node %s is alive, at %s%s: this one joins when that has ended, or by another name",
                self.node,
                other.address,
                process,
            )
        if self._seen is None or self._seen[0] != newest:
            self._seen = (newest, now_s)
        return now_s - self._seen[1] > other.ttl_s + self._margin_s

    def _put(self, number: int, record: NodeRecord) -> NodeRecord | None:
        """What it says by that number, ``record`` unless it may have put another there before; None: it is over."""
        attempt = self._attempt
        if attempt is None:
            attempt = _Attempt(number, record, self._token_bytes(_CLAIMANT_BYTES), self._clock())
        self._attempt = attempt
        took = self._log.put(number, attempt.record.to_json(), attempt.claimant)
        self._attempt = None
        if not took:
            self._end()
            return None
        self._number, self._start_s, self._said = number, attempt.start_s, attempt.record
        if not self._has_joined:
            self.record = attempt.record
        return attempt.record

    def _confirm(self, names: Sequence[str]) -> None:
        """By a list that was begun after the put: whether that number is the newest."""
        if self._is_over:
            return
        newest = max(self._log.numbers_among(names), default=0)
        if newest > self._number:
            self._end()
        elif newest == self._number:
            self._has_joined = True
            with self._lock:
                self._sure_until_s = self._start_s + self.record.ttl_s - self._margin_s

    def _end(self) -> None:
        """Another has gone on from this run's number."""
        with self._lock:
            self._sure_until_s = None
        self._is_over = True

    def _tidy(self, names: Sequence[str]) -> None:
        """Tells others to read what is new in its lease, and deletes what nobody reads. Fails without harm."""
        with suppress(StorageFailure):
            if self._marked != self._said:
                self._mark()
            for number in self._log.numbers_among(names):
                if number <= self._number - KEPT:
                    self._store.delete(self._log.name(number))
            for name in names:
                if name.startswith(f"{NODES}/{self.node}/{CHANGED}") and name < self._newest_mark:
                    self._store.delete(name)

    def _mark(self) -> None:
        self._newest_mark = mark_name(self.node, self._number)
        self._store.put(self._newest_mark, b"")
        self._marked = self._said
