"""An object store that is far away: it counts the rounds in which it is asked, requests that wait for one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounters
from lutra.objects.store import ObjectStore

SETTLED_S: Final = 0.25
"""After so long without another request those that wait are answered, all at once: whoever could ask has asked."""
T = TypeVar("T")


class FarStore:
    """An `ObjectStore` over another, without local paths. Requests wait until no other comes, then all have answers:
    that is a round. A context manager."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self.is_far = True
        """While it is not, requests are answered at once, and not counted."""
        self.rounds: list[list[str]] = []
        """Of each round what was asked for."""
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._is_closed = False
        self._answering = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> FarStore:
        self._answering.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._answering.join()

    def take(self) -> list[list[str]]:
        """The rounds since the last call."""
        with self._changed:
            found, self.rounds = self.rounds, []
            return found

    def _answer(self) -> None:
        with self._changed:
            while not self._is_closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                count = len(self._waiting)
                self._changed.wait_for(lambda count=count: len(self._waiting) > count or self._is_closed, SETTLED_S)
                if len(self._waiting) == count or self._is_closed:
                    self.rounds.append(self._waiting)
                    self._waiting = []
                    self._changed.notify_all()

    def _run(self, what: str, act: Callable[[], T]) -> T:
        with self._changed:
            if self.is_far and not self._is_closed:
                self._waiting.append(what)
                mine = self._waiting
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting is not mine)
        return act()

    def put(self, name: str, data: bytes) -> None:
        self._run(f"put {name}", lambda: self.inner.put(name, data))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._run(f"put {name}", lambda: self.inner.put_if_absent(name, data))

    def put_file(self, name: str, path: Path) -> None:
        self._run(f"put {name}", lambda: self.inner.put_file(name, path))

    def get(self, name: str) -> bytes:
        return self._run(f"get {name}", lambda: self.inner.get(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.read_many(name, [(offset, length)])[0]

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        return self._run(f"read {name} {ranges}", lambda: self.inner.read_many(name, ranges))

    def size(self, name: str) -> int:
        return self._run(f"size {name}", lambda: self.inner.size(name))

    def list(self, prefix: str) -> list[str]:
        return self._run(f"list {prefix}", lambda: self.inner.list(prefix))

    def delete(self, name: str) -> None:
        self._run(f"delete {name}", lambda: self.inner.delete(name))

    def local_path(self, name: str) -> Path | None:
        return None

    @property
    def requests(self) -> RequestCounters:
        return self.inner.requests
