"""An object store that fails as told, for tests: at the n-th operation, or at random by a seed; also slow, or lying.

Around every operation of a scenario, one after the other::

    for number in itertools.count(1):
        store = FaultyStore(LocalStore(folder), [Fault(number, Effect.AFTER)])
        ...                      # the scenario; what it is told has failed may have happened or not
        if store.operations < number:
            break                # the scenario was over before the fault
        store.heal()
        ...                      # nothing acknowledged is lost

A crash at that operation: ``Fault(number, Effect.AFTER, lasts=True)``, then open everything anew over the inner store.
At random: ``FaultyStore(inner, seed=7, rate=0.05, latency_ms=(0, 3))``. What happens to the n-th operation depends on
the seed and on n alone, so with one thread a run is repeated by its seed.
"""

from __future__ import annotations

import enum
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from lutra.model.errors import StorageFailure
from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounters
from lutra.objects.store import ObjectStore

Kind = Literal["put", "put_if_absent", "put_file", "get", "read", "read_many", "size", "list", "delete"]

WRITES: Final[frozenset[Kind]] = frozenset({"put", "put_if_absent", "put_file", "delete"})
READS: Final[frozenset[Kind]] = frozenset({"get", "read", "read_many", "size", "list"})
CONTENT: Final[frozenset[Kind]] = frozenset({"get", "read", "read_many"})
"""Reads of an object's bytes."""

ALL: Final[frozenset[Kind]] = WRITES | READS

T = TypeVar("T")


class Effect(enum.Enum):
    """What becomes of an operation. On operations that give no content, the last three are as AFTER."""

    BEFORE = "before"
    """Fails, and nothing has happened: no connection."""
    AFTER = "after"
    """Fails, though it has happened: the connection was reset before the reply came."""
    SHORT = "short"
    """Fails with the store's own error for fewer bytes than were asked for."""
    TRUNCATED = "truncated"
    """Gives half of the bytes as if that were all: who reads must find out by length or checksum."""
    FLIPPED = "flipped"
    """Gives the bytes with one bit flipped, in the middle: who reads must find out by checksum."""


FAILURES: Final = (Effect.BEFORE, Effect.AFTER)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the operation ``number``, counted from 1, of those that the store counts.

    ``lasts``: from then on everything fails and nothing happens any more, until `FaultyStore.heal`.
    """

    number: int
    effect: Effect
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One that was counted. ``effect`` None: it went through."""

    number: int
    kind: Kind
    name: str
    effect: Effect | None


class FaultyStore:
    """An `ObjectStore` over another, with faults; thread-safe."""

    def __init__(
        self,
        inner: ObjectStore,
        faults: Iterable[Fault] = (),
        *,
        counted: frozenset[Kind] = ALL,
        seed: int | None = None,
        rate: float = 0.0,
        effects: Sequence[Effect] = FAILURES,
        latency_ms: tuple[float, float] = (0.0, 0.0),
        local: bool = False,
    ) -> None:
        """
        :param counted: the kinds of operation that are counted, and may fail.
        :param seed: for ``rate`` (the share of operations that fail, each with one of ``effects``), and for which
            latency of the range ``latency_ms`` each has. None: no chance, and the lower bound.
        :param local: give the inner store's paths, so that local files are read past this store; else none, so
            that every read comes through here.
        """
        self.inner = inner
        self.history: list[Operation] = []
        self.most_at_once = self._at_once = 0
        """Of counted operations: how many were under way at one time."""
        self._faults = {fault.number: fault for fault in faults}
        self._counted, self._local = counted, local
        self._seed, self._rate, self._effects, self._latency_ms = seed, rate, tuple(effects), latency_ms
        self._is_gone = False
        self._lock = threading.Lock()

    @property
    def operations(self) -> int:
        """Counted so far."""
        return len(self.history)

    @property
    def failed(self) -> list[Operation]:
        """Those that a fault fell upon."""
        return [operation for operation in self.history if operation.effect is not None]

    def fail_next(self, effect: Effect, *, after: int = 0, lasts: bool = False) -> None:
        """A fault of the next counted operation, or of one so many ``after`` it."""
        with self._lock:
            number = len(self.history) + 1 + after
            self._faults[number] = Fault(number, effect, lasts)

    def heal(self) -> None:
        """From now on everything goes through at once."""
        with self._lock:
            self._faults.clear()
            self._is_gone, self._rate, self._latency_ms = False, 0.0, (0.0, 0.0)

    def put(self, name: str, data: bytes) -> None:
        self._run("put", name, lambda: self.inner.put(name, data))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._run("put_if_absent", name, lambda: self.inner.put_if_absent(name, data))

    def put_file(self, name: str, path: Path) -> None:
        self._run("put_file", name, lambda: self.inner.put_file(name, path))

    def get(self, name: str) -> bytes:
        return self._run("get", name, lambda: self.inner.get(name), _damaged)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._run("read", name, lambda: self.inner.read(name, offset, length), _damaged)

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        def damaged(found: list[bytes], effect: Effect) -> list[bytes]:
            return [*found[:-1], _damaged(found[-1], effect)] if found else found

        return self._run("read_many", name, lambda: self.inner.read_many(name, ranges), damaged)

    def size(self, name: str) -> int:
        return self._run("size", name, lambda: self.inner.size(name))

    def list(self, prefix: str) -> list[str]:
        return self._run("list", prefix, lambda: self.inner.list(prefix))

    def delete(self, name: str) -> None:
        self._run("delete", name, lambda: self.inner.delete(name))

    def local_path(self, name: str) -> Path | None:
        return self.inner.local_path(name) if self._local else None

    @property
    def requests(self) -> RequestCounters:
        """Of the inner store: operations that failed before they happened are not in it."""
        return self.inner.requests

    def _run(self, kind: Kind, name: str, act: Callable[[], T], damaged: Callable[[T, Effect], T] | None = None) -> T:
        effect, latency_ms = self._begin(kind, name)
        try:
            if latency_ms > 0:
                time.sleep(latency_ms / 1_000)
            if effect is Effect.BEFORE:
                raise StorageFailure(f"{name}: {kind} failed: connection refused (injected)")
            found = act()
        finally:
            self._end(kind)
        if effect in {Effect.TRUNCATED, Effect.FLIPPED} and damaged is not None:
            return damaged(found, effect)
        if effect is Effect.SHORT and damaged is not None:
            raise StorageFailure(f"{name}: {kind} came short (injected)")
        if effect is not None:
            raise StorageFailure(f"{name}: {kind} failed: connection reset by peer (injected)")
        return found

    def _begin(self, kind: Kind, name: str) -> tuple[Effect | None, float]:
        """What becomes of this operation, and how long it takes more."""
        with self._lock:
            if self._is_gone:
                raise StorageFailure(f"{name}: {kind} failed: the store is gone (injected)")
            if kind not in self._counted:
                return None, 0.0
            number = len(self.history) + 1
            effect, latency_ms = self._chance(number)
            fault = self._faults.get(number)
            if fault is not None:
                effect, self._is_gone = fault.effect, fault.lasts
            self.history.append(Operation(number, kind, name, effect))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return effect, latency_ms

    def _end(self, kind: Kind) -> None:
        with self._lock:
            self._at_once -= kind in self._counted

    def _chance(self, number: int) -> tuple[Effect | None, float]:
        least_ms, most_ms = self._latency_ms
        if self._seed is None:
            return None, least_ms
        chance = random.Random(f"{self._seed}/{number}")
        latency_ms = chance.uniform(least_ms, most_ms)
        return (chance.choice(self._effects) if chance.random() < self._rate else None), latency_ms


def _damaged(data: bytes, effect: Effect) -> bytes:
    middle = len(data) // 2
    if effect is Effect.TRUNCATED:
        return data[:middle]
    return data[:middle] + bytes((data[middle] ^ 0x10,)) + data[middle + 1 :] if data else data
