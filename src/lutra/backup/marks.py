"""Who makes backups at a place, and who prunes it: each puts a mark, then looks for the other's. So of two one goes on.

A backup counts on chunks that are there before any record names them; who prunes must not delete those. A mark is put
anew every minute. One that was not for an hour is a crash's, and so is one of this machine whose process is gone: it is
deleted by who prunes, **before** records are read. Whose mark was deleted though it was alive (it had slept, say) finds
out right after it has put its record, takes that back, and fails: nobody is told of a backup that lacks something.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

from lutra.backup.place import BackupPlace
from lutra.model.clock import Clock
from lutra.model.errors import ObjectMissing, OperationConflict, StorageFailure

RUNNING: Final = "running/"
PRUNING: Final = "pruning/"
RENEWED_EVERY_S: Final = 60.0
STALE_AFTER_US: Final = 3_600_000_000


class Mark:
    """One of this process, renewed by whoever gets something done. Thread-safe."""

    def __init__(self, place: BackupPlace, kind: str, id: str, clock: Clock) -> None:
        self._place, self._clock = place, clock
        self.name = kind + id
        self._lock = threading.Lock()
        self._renewed_s = 0.0

    def put(self) -> None:
        told = {"time_us": self._clock.now_us(), "host": socket.gethostname(), "process": os.getpid()}
        self._place.store.put(self.name, json.dumps(told).encode())
        self._renewed_s = time.monotonic()

    def renew(self) -> None:
        """Where it is time to."""
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._renewed_s >= RENEWED_EVERY_S and self.is_there:
                    self.put()
            finally:
                self._lock.release()

    @property
    def is_there(self) -> bool:
        return self.name in self._place.store.list(self.name.partition("/")[0])


@contextlib.contextmanager
def running(place: BackupPlace, id: str, clock: Clock) -> Iterator[Mark]:
    """The mark of backup ``id``, for as long as it is being made. Raises OperationConflict where somebody prunes."""
    with _put(place, RUNNING, id, clock) as mark:
        others = _alive(place, PRUNING, clock)
        if others:
            raise OperationConflict(f"backups at {place.address} are being pruned ({others[0]}): try again later")
        yield mark


@contextlib.contextmanager
def pruning(place: BackupPlace, id: str, clock: Clock) -> Iterator[Mark]:
    """Raises OperationConflict where a backup is being made, or another prunes."""
    with _put(place, PRUNING, id, clock) as mark:
        others = [
            *_alive(place, RUNNING, clock),
            *(name for name in _alive(place, PRUNING, clock) if name != mark.name),
        ]
        if others:
            raise OperationConflict(f"{place.address} is in use ({others[0]}): try again when that has ended")
        yield mark


@contextlib.contextmanager
def _put(place: BackupPlace, kind: str, id: str, clock: Clock) -> Iterator[Mark]:
    mark = Mark(place, kind, id, clock)
    mark.put()
    try:
        yield mark
    finally:
        with contextlib.suppress(StorageFailure):  # it is stale once this process has ended
            place.store.delete(mark.name)


def _alive(place: BackupPlace, kind: str, clock: Clock) -> list[str]:
    """The marks of others. Those of crashes are deleted."""
    alive = []
    for name in place.store.list(kind):
        try:
            told = place.store.get(name)
        except ObjectMissing:
            continue
        if _is_stale(told, clock.now_us()):
            place.store.delete(name)
        else:
            alive.append(name)
    return alive


def _is_stale(told: bytes, now_us: int) -> bool:
    try:
        mark = json.loads(told)
        if now_us - int(mark["time_us"]) > STALE_AFTER_US:
            return True
        return mark["host"] == socket.gethostname() and not _is_process(int(mark["process"]))
    except (ValueError, KeyError, TypeError):
        return False  # of a newer Lutra, perhaps


def _is_process(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
