"""An object store that gives no answer below chosen names until it is told to, for tests of who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounters
from lutra.objects.store import ObjectStore

WITHIN_S: Final = 60.0
"""Longer than anything here takes on a machine that is not overloaded by far."""
T = TypeVar("T")


class StallingStore:
    """An `ObjectStore` over another; every operation on a stalled name waits until `release`, then is done.

    It has no local paths: every read comes through here. A context manager, which releases all at its end.
    """

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self._changed = threading.Condition()
        self._stalled: set[str] = set()
        self._waiting: dict[str, int] = {}

    def __enter__(self) -> StallingStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def stall(self, *prefixes: str) -> None:
        """From now on nothing is answered about names that begin so, or about folders that have such names."""
        with self._changed:
            self._stalled.update(prefixes)

    def release(self, *prefixes: str) -> None:
        """Those again; without any, all."""
        with self._changed:
            self._stalled -= set(prefixes) or self._stalled.copy()
            self._changed.notify_all()

    def waiting(self, prefix: str) -> int:
        """Operations that wait because of a stalled prefix, now."""
        with self._changed:
            return self._waiting.get(prefix, 0)

    def wait_waiting(self, prefix: str, number: int = 1) -> None:
        """Returns once so many operations wait. Raises AssertionError where they do not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting.get(prefix, 0) >= number, WITHIN_S), prefix

    def put(self, name: str, data: bytes) -> None:
        self._run(name, lambda: self.inner.put(name, data))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._run(name, lambda: self.inner.put_if_absent(name, data))

    def put_file(self, name: str, path: Path) -> None:
        self._run(name, lambda: self.inner.put_file(name, path))

    def get(self, name: str) -> bytes:
        return self._run(name, lambda: self.inner.get(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._run(name, lambda: self.inner.read(name, offset, length))

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        return self._run(name, lambda: self.inner.read_many(name, ranges))

    def size(self, name: str) -> int:
        return self._run(name, lambda: self.inner.size(name))

    def list(self, prefix: str) -> list[str]:
        return self._run(prefix, lambda: self.inner.list(prefix), is_folder=True)

    def delete(self, name: str) -> None:
        self._run(name, lambda: self.inner.delete(name))

    def local_path(self, name: str) -> Path | None:
        return None

    @property
    def requests(self) -> RequestCounters:
        return self.inner.requests

    def _run(self, name: str, act: Callable[[], T], *, is_folder: bool = False) -> T:
        with self._changed:
            while stalled := self._stalled_by(name, is_folder):
                for prefix in stalled:
                    self._waiting[prefix] = self._waiting.get(prefix, 0) + 1
                self._changed.notify_all()
                self._changed.wait()
                for prefix in stalled:
                    self._waiting[prefix] -= 1
        return act()

    def _stalled_by(self, name: str, is_folder: bool) -> list[str]:
        """Of a folder all that are in it: it waits for each of them."""
        return [
            prefix for prefix in self._stalled if name.startswith(prefix) or (is_folder and prefix.startswith(name))
        ]
