"""A store, and a builder, that kill their own process at a given moment: for tests of what a kill -9 leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

from lutra.index.builds.builder import Builder
from lutra.index.builds.job import BuildDone, BuildJob, Progress
from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounters
from lutra.objects.store import ObjectStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KillPoint:
    """SIGKILL at the ``number``-th operation ``kind``, counted from 1, on objects whose names ``pattern`` is found in.

    ``kind``: a method of the store, or "submit", "progress" and "done" of a build, whose name is its output's.
    """

    kind: str
    pattern: str
    number: int = 1
    moment: Literal["before", "after"] = "after"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: str) -> KillPoint:
        return cls(**json.loads(data))


class Killer:
    """Counts operations up to the point. Thread-safe."""

    def __init__(self, point: KillPoint) -> None:
        self._point = point
        self._pattern = re.compile(point.pattern)
        self._lock = threading.Lock()
        self._count = 0

    def run(self, kind: str, name: str, act: Callable[[], T]) -> T:
        point = self._point
        if kind != point.kind or self._pattern.search(name) is None:
            return act()
        with self._lock:
            self._count += 1
            is_now = self._count == point.number
        if is_now and point.moment == "before":
            die()
        result = act()
        if is_now:
            die()
        return result


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("outlived SIGKILL")


class KillingStore:
    """An `ObjectStore` over another."""

    def __init__(self, inner: ObjectStore, killer: Killer) -> None:
        self._inner, self._killer = inner, killer

    def put(self, name: str, data: bytes) -> None:
        self._killer.run("put", name, lambda: self._inner.put(name, data))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._killer.run("put_if_absent", name, lambda: self._inner.put_if_absent(name, data))

    def put_file(self, name: str, path: Path) -> None:
        self._killer.run("put_file", name, lambda: self._inner.put_file(name, path))

    def get(self, name: str) -> bytes:
        return self._killer.run("get", name, lambda: self._inner.get(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._killer.run("read", name, lambda: self._inner.read(name, offset, length))

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        return self._killer.run("read_many", name, lambda: self._inner.read_many(name, ranges))

    def size(self, name: str) -> int:
        return self._killer.run("size", name, lambda: self._inner.size(name))

    def list(self, prefix: str) -> list[str]:
        return self._killer.run("list", prefix, lambda: self._inner.list(prefix))

    def delete(self, name: str) -> None:
        self._killer.run("delete", name, lambda: self._inner.delete(name))

    def local_path(self, name: str) -> Path | None:
        return self._killer.run("local_path", name, lambda: self._inner.local_path(name))

    @property
    def requests(self) -> RequestCounters:
        return self._inner.requests


class KillingBuilder:
    """A `Builder` over another."""

    def __init__(self, inner: Builder, killer: Killer) -> None:
        self._inner, self._killer = inner, killer

    def submit(self, job: BuildJob, on_progress: Progress | None = None) -> Future[BuildDone]:
        def progressed(phase: str, rows: int, total: int) -> None:
            self._killer.run("progress", job.output, lambda: None)
            if on_progress is not None:
                on_progress(phase, rows, total)

        future = self._killer.run("submit", job.output, lambda: self._inner.submit(job, progressed))
        future.add_done_callback(lambda _: self._killer.run("done", job.output, lambda: None))
        return future

    def cancel(self, output: str) -> None:
        self._inner.cancel(output)

    def hurry(self, output: str) -> None:
        self._inner.hurry(output)

    def close(self) -> None:
        self._inner.close()
