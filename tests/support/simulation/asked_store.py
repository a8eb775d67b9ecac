"""An object store that asks somebody else for every answer: so real code meets a simulated store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.simulation.operations import DELETE, GET, LIST, PUT, PUT_IF_ABSENT, Answer, Failed, Missing, Operation

from lutra.model.errors import ObjectMissing, StorageFailure
from lutra.objects.name import require_name, require_prefix
from lutra.objects.ranges import Range
from lutra.objects.request_counters import RequestCounter, RequestCounters

Ask = Callable[[Operation], Answer]


class AskedStore:
    """An `ObjectStore` of one process."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._requests = RequestCounter()

    def put(self, name: str, data: bytes) -> None:
        require_name(name)
        self._requests.add(puts=1, written_bytes=len(data))
        self._answer(Operation(PUT, name, bytes(data)))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        require_name(name)
        self._requests.add(puts=1, written_bytes=len(data))
        return bool(self._answer(Operation(PUT_IF_ABSENT, name, bytes(data))))

    def put_file(self, name: str, path: Path) -> None:
        self.put(name, path.read_bytes())
        path.unlink()

    def get(self, name: str) -> bytes:
        require_name(name)
        self._requests.add(gets=1)
        return self._answer(Operation(GET, name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.read_many(name, [(offset, length)])[0]

    def read_many(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        data = self.get(name)
        if any(offset + length > len(data) for offset, length in ranges):
            raise StorageFailure(f"{name}: it has {len(data)} bytes")
        return [data[offset : offset + length] for offset, length in ranges]

    def size(self, name: str) -> int:
        return len(self.get(name))

    def list(self, prefix: str) -> list[str]:
        folder = require_prefix(prefix)
        self._requests.add(lists=1)
        return list(self._answer(Operation(LIST, folder)))

    def delete(self, name: str) -> None:
        require_name(name)
        self._requests.add(deletes=1)
        self._answer(Operation(DELETE, name))

    def local_path(self, name: str) -> Path | None:
        return None

    @property
    def requests(self) -> RequestCounters:
        return self._requests.counters

    def _answer(self, operation: Operation) -> Any:
        answer = self._ask(operation)
        if isinstance(answer, Missing):
            raise ObjectMissing(f"{answer.name}: there is no such object")
        if isinstance(answer, Failed):
            raise StorageFailure(f"{answer.name}: connection reset by peer")
        return answer
