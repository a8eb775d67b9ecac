"""An object store in memory, that calls back before each request: to stall there, or to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lutra.model.errors import ObjectMissing, StorageFailure
from lutra.objects.name import require_name, require_prefix
from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounter, RequestCounters

T = TypeVar("T")


class LostAnswer(Exception):
    """Raised by a callback: the request is done, and fails for who made it."""


class LostRequest(Exception):
    """Raised by a callback: the request is not done, and fails for who made it."""


class MemoryStore:
    """One view of objects that others share: with a callback and counters of its own."""

    def __init__(
        self, objects: dict[str, bytes] | None = None, before: Callable[[str, str], None] | None = None
    ) -> None:
        """``before``: called with what is to be done, as ``put``, and the name."""
        self.objects = {} if objects is None else objects
        self._before = before
        self._requests = RequestCounter()

    def put(self, name: str, data: bytes) -> None:
        require_name(name)
        self._requests.add(puts=1, written_bytes=len(data))
        self._do("put", name, lambda: self.objects.update({name: bytes(data)}))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        require_name(name)
        self._requests.add(puts=1, written_bytes=len(data))
        return self._do("put_if_absent", name, lambda: self.objects.setdefault(name, data) is data)

    def put_file(self, name: str, path: Path) -> None:
        self.put(name, path.read_bytes())
        path.unlink()

    def get(self, name: str) -> bytes:
        require_name(name)
        self._requests.add(gets=1)
        data = self._do("get", name, lambda: self.objects.get(name))
        if data is None:
            raise ObjectMissing(f"{name}: there is no such object")
        return data

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.get(name)[offset : offset + length]

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        data = self.get(name)
        return [data[offset : offset + length] for offset, length in ranges]

    def size(self, name: str) -> int:
        return len(self.get(name))

    def list(self, prefix: str) -> list[str]:
        folder = require_prefix(prefix)
        self._requests.add(lists=1)
        return self._do("list", folder, lambda: sorted(name for name in self.objects if name.startswith(f"{folder}/")))

    def delete(self, name: str) -> None:
        require_name(name)
        self._requests.add(deletes=1)
        self._do("delete", name, lambda: self.objects.pop(name, None))

    def local_path(self, name: str) -> Path | None:
        return None

    @property
    def requests(self) -> RequestCounters:
        return self._requests.counters

    def _do(self, kind: str, name: str, operation: Callable[[], T]) -> T:
        try:
            if self._before is not None:
                self._before(kind, name)
        except LostRequest:
            raise StorageFailure(f"{name}: no connection") from None
        except LostAnswer:
            operation()
            raise StorageFailure(f"{name}: connection reset by peer") from None
        return operation()
