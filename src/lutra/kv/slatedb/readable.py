"""What a database on objects is for those who read: the same whether it is written here, or only looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from lutra.kv.files import File
from lutra.kv.planned import Planned
from lutra.kv.slatedb.address import SlateAddress
from lutra.kv.slatedb.failures import failure
from lutra.kv.slatedb.library import library
from lutra.kv.slatedb.reads import SlateReads
from lutra.kv.slatedb.settings import SlateSettings
from lutra.kv.slatedb.tables import FILTER_BITS, files_of, newest_manifest
from lutra.kv.store import Pair, Reader
from lutra.model.errors import LutraError, StorageFailure


class SlateReadable(Planned):
    """``_objects``: where it is. ``_reads``: what answers. ``_refusal``: why all use is refused; None: it is not."""

    name: ClassVar[str] = "SlateDB"
    measured_pairs_max: ClassVar[int] = 50_000
    measured_bytes_max: ClassVar[int] = 16 * 1024 * 1024
    _objects: Any
    _reads: SlateReads

    def __init__(self, address: str | os.PathLike[str], settings: SlateSettings | None = None) -> None:
        """Reaches for nothing yet. Raises ParameterInvalid where ``address`` can be no place of a database."""
        self.address = SlateAddress.of(address)
        self._settings = settings or SlateSettings()
        self._wait_s = self._settings.wait_s
        self._refusal: LutraError | None = None

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

    def files(self, pair_bytes: int) -> list[File]:
        self._check_open()
        try:
            manifest = newest_manifest(self.address, self._objects, self._wait_s)
        except Exception as error:
            raise self._failure("list tables", error) from error
        return [] if manifest is None else files_of(manifest, pair_bytes)

    def _require_folder(self) -> None:
        """Raises StorageFailure where it is to be in a folder that is not there."""
        folder = self.address.local_folder
        if folder is not None and not folder.is_dir():
            raise StorageFailure(f"there is no store at {self.address}")

    def _require_database(self) -> None:
        """Raises StorageFailure where there is none, and what the bindings raise."""
        if newest_manifest(self.address, self._objects, self._wait_s) is None:
            raise StorageFailure(f"there is no store at {self.address}")

    def _fit(self, builder: Any) -> None:
        """Gives a builder what it needs to read."""
        bindings = library()
        cache = bindings.FoyerCacheOptions(max_capacity=self._settings.block_cache_bytes, shards=4)
        builder.with_db_cache(bindings.DbCache.new_foyer_cache(cache), 1)
        builder.with_filter_policies([bindings.FilterPolicy.bloom(FILTER_BITS)])

    def _failure(self, action: str, error: Exception) -> LutraError:
        if self._refusal is not None:
            return type(self._refusal)(str(self._refusal))
        return failure(self.address, action, error)

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
