"""What a database on objects is for those who read: the same whether it is written here, or only looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import ClassVar, Self

from lutra.kv.planned import Planned
from lutra.kv.slatedb.reads import SlateReads
from lutra.kv.store import Pair, Reader
from lutra.model.errors import LutraError


class SlateReadable(Planned):
    """``_reads``: what answers. ``_refusal``: why all use is refused, None where it is not."""

    measured_pairs_max: ClassVar[int] = 50_000
    measured_bytes_max: ClassVar[int] = 16 * 1024 * 1024
    _reads: SlateReads
    _refusal: LutraError | None

    def get(self, key: bytes) -> bytes | None:
        if self._refusal is not None:
            self._check_open()
        return self._reads.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_open()
        return self._reads.get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        self._check_open()
        return self._reads.scan(begin, end, reverse=reverse)

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))


class SlateSnapshot:
    """A moment, of which ``reads`` shows what there was. ``ended`` gives what to raise once it is closed."""

    def __init__(self, reads: Reader, ended: Callable[[], LutraError]) -> None:
        self._reads: Reader | None = reads
        self._ended = ended

    def get(self, key: bytes) -> bytes | None:
        return self._open().get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._open().get_many(keys)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        return self._open().scan(begin, end, reverse=reverse)

    def close(self) -> None:
        self._reads = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Reader:
        if self._reads is None:
            raise self._ended()
        return self._reads
