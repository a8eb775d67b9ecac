"""The embedded store: RocksDB through rocksdict.

**Durability.** Every commit is one write to the write-ahead log, fsynced before `commit` returns: by two calls, since
rocksdict holds the GIL for all of a synced write, and lets go of it only in `flush_wal`. Where the fsync fails nobody
can tell what of the log is on disk, so the store refuses all further use until it is opened again. When opened, the log
is replayed with *tolerate corrupted tail records*: a record cut short at the end of the log is a commit that was never
acknowledged, and is dropped; damage anywhere else would drop acknowledged commits, so opening raises `Corruption`
instead. (RocksDB's default, *point in time*, would silently drop all that follows the damage; *absolute consistency*
would refuse to open after a power cut.) What RocksDB does not notice is looked for before (`lutra.kv.inspection`), so
that a directory that is refused stays as it is.

**One owner.** A lock on the directory itself, beside RocksDB's on a file. A process forked from the owner can do
nothing: every call raises ForkedProcess, and RocksDB never runs there on the parent's store, not even to be closed.

**Memory.** Bounded by the block cache (data, index and filter blocks), the write buffers and the open files. No mmap.

Source for the options: RocksDB 9.8 (`rocksdb/options.h`). Of rocksdict 0.3.29, three things are left unused on purpose:
`items` and its like end silently at a damaged block, snapshots do not bind their iterators, and the lower bound of an
iterator is taken for its upper. Hence bare iterators here, with an upper bound and a check of their status.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from lutra.kv import tombstones
from lutra.kv.acknowledged import Acknowledged
from lutra.kv.batch import DELETE, PUT, WriteBatch
from lutra.kv.files import File
from lutra.kv.folder import make_durable_folder, sync_folder
from lutra.kv.inspection import UNFINISHED, Found, inspect
from lutra.kv.library import library as library_here
from lutra.kv.lock import DirectoryLock, in_use
from lutra.kv.planned import Planned
from lutra.kv.store import Pair
from lutra.kv.tombstones import Tombstones
from lutra.model import forks
from lutra.model.errors import Corruption, ForkedProcess, LutraError, StorageFailure

if TYPE_CHECKING:
    import rocksdict

_MIB: Final = 1024 * 1024
_CHUNK_PAIRS: Final = 128
_CHUNK_BYTES: Final = _MIB
_ENTRIES_IN_MEMORY: Final = ("rocksdb.num-entries-active-mem-table", "rocksdb.num-entries-imm-mem-tables")
_CLOSE_WAIT_S: Final = 30.0

FailureOf = Callable[[str, Exception], LutraError]
"""Gives what to raise when an action fails with what the engine raised."""


_IN_MEMORY: Final = (
    "rocksdb.block-cache-usage",
    "rocksdb.cur-size-all-mem-tables",
    "rocksdb.estimate-table-readers-mem",
)


class RocksStore(Planned):
    """An ordered key-value store in one directory, which one process holds at a time.

    ``block_cache_bytes`` bounds what reads keep in memory, ``write_buffer_bytes`` what is written and not yet in a
    table file; the log on disk is at most about four times the latter.

    ``is_read_only``: nothing is changed, commits raise StorageFailure, and it does not matter who holds the directory:
    the files in it must be nobody's to delete (`lutra.kv.copied`). ``may_make``: a store is made where there is none.
    ``known_as``: what the error calls the directory where somebody holds it.

    Raises StorageFailure where the directory cannot be used or has no store, DirectoryInUse where somebody holds it,
    Corruption where what is in it is damaged or not all of it is left; then nothing has been changed.
    """

    name: ClassVar[str] = "RocksDB"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        block_cache_bytes: int = 64 * _MIB,
        write_buffer_bytes: int = 64 * _MIB,
        max_open_files: int = 512,
        is_read_only: bool = False,
        may_make: bool = True,
        known_as: Path | None = None,
    ) -> None:
        self._path = Path(path)
        self._known_as = known_as or self._path
        self._closed = False
        self._refusal: str | None = None
        self._is_forked = False
        self._write_lock = threading.Lock()
        self._opened_lock = threading.Lock()
        self._opened: weakref.WeakSet[_Scan | RocksSnapshot] = weakref.WeakSet()
        self._acknowledged: Acknowledged | None = None
        self._lock: DirectoryLock | None = None
        self._tombstones: Tombstones | None = None
        may_make = may_make and not is_read_only
        if may_make:
            _make_folder(self._path)
        if not is_read_only:
            self._lock = DirectoryLock(self._path, self._known_as)
        try:
            self._open(may_make, block_cache_bytes, write_buffer_bytes, max_open_files)
        except BaseException:
            self._let_go()
            raise
        forks.follow(self)

    def _open(self, may_make: bool, block_cache_bytes: int, write_buffer_bytes: int, max_open_files: int) -> None:
        found = inspect(self._path)
        if found is Found.NOTHING and not may_make:
            raise StorageFailure(f"there is no store in {self._path}")
        try:
            self._library = library_here()
            self._unsynced = self._library.WriteOptions()
            self._unsynced.sync = False
            if found is Found.NOTHING:
                _mark_unfinished(self._path)
            options = _options(self._library, block_cache_bytes, write_buffer_bytes, max_open_files)
            options.create_if_missing(found is Found.NOTHING)
            access = self._library.AccessType
            # Named explicitly, or a reopened store would take its column family's options from the last run's file.
            self._db: rocksdict.Rdict = self._library.Rdict(
                str(self._path),
                options,
                column_families={"default": options},
                access_type=access.read_only(False) if self._lock is None else access.read_write(),
            )
            if self._lock is not None:
                self._begin_use()
                self._tombstones = Tombstones(self._library, self._db)
        except OSError as error:
            raise StorageFailure(f"cannot open the store in {self._path}: {error.strerror}") from error
        except Exception as error:
            if "While lock file" in str(error):  # somebody who holds RocksDB's lock and not the directory's
                raise in_use(self._known_as) from error
            raise _failure(self._path, "open", error) from error

    def _begin_use(self) -> None:
        try:
            self._acknowledged = Acknowledged(self._path)
            self._acknowledged.note(self._db.latest_sequence_number())
            _unmark(self._path)
        except OSError:
            self._db.close()
            raise

    def _let_go(self) -> None:
        """Of all but RocksDB."""
        if self._acknowledged is not None:
            self._acknowledged.close()
        if self._lock is not None:
            self._lock.close()

    def forked(self) -> None:
        """In a child process nothing here is freed: RocksDB would write to the parent's files, or wait for ever."""
        self._refusal = forks.REFUSAL
        self._is_forked = self._closed = True
        self._write_lock = threading.Lock()
        self._opened_lock = threading.Lock()
        for reader in list(self._opened):
            forks.keep_forever(reader.forked())

    def get(self, key: bytes) -> bytes | None:
        if self._refusal is not None:
            self._check_open()
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception as error:
            raise self._failure("read", error) from error

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_open()
        try:
            return cast("list[bytes | None]", self._db.get(list(keys)))
        except Exception as error:
            raise self._failure("read", error) from error

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        self._check_open()
        if begin >= end:
            return iter(())
        try:
            iterator = self._placed(begin, end, reverse, is_limited=self._tombstones is not None)
        except Exception as error:
            raise self._failure("scan", error) from error
        scan = _Scan(iterator, begin, end, reverse, self._failure, self._go_on_over_deleted)
        self._remember(scan)
        return scan.pairs()

    def _placed(self, begin: bytes, end: bytes, reverse: bool, *, is_limited: bool) -> rocksdict.RdictIter:
        options = self._library.ReadOptions()
        options.set_iterate_upper_bound(end)
        if is_limited:
            tombstones.limit_passed(options)
        iterator = self._db.iter(options)
        if reverse:
            iterator.seek_to_last()
        else:
            iterator.seek(begin)
        return iterator

    def _go_on_over_deleted(self, scan: _Scan) -> None:
        """Has a scan that came upon many deleted keys go on over them, and sees to it that the next one does not."""
        iterator = self._placed(scan.begin, scan.end, scan.reverse, is_limited=False)
        if self._tombstones is not None:
            edge = iterator.key() if iterator.valid() else scan.begin if scan.reverse else scan.end
            self._tombstones.passed(*((edge, scan.end) if scan.reverse else (scan.begin, edge)))
        with self._opened_lock:
            self._check_open()
            scan.iterator = iterator

    def snapshot(self) -> RocksSnapshot:
        self._check_open()
        try:
            snapshot = RocksSnapshot(self._db.iter(), self._failure)
        except Exception as error:
            raise self._failure("take a snapshot", error) from error
        self._remember(snapshot)
        return snapshot

    def commit(self, batch: WriteBatch) -> None:
        engine_batch = self._library.WriteBatch(raw_mode=True)
        put = engine_batch.put
        for kind, key, value in batch.operations:
            if kind == PUT:
                put(key, value)
            elif kind == DELETE:
                engine_batch.delete(key)
            else:
                engine_batch.delete_range(key, value)
        with self._write_lock:
            self._check_open()
            try:
                self._db.write(engine_batch, self._unsynced)
            except Exception as error:
                raise self._failure("commit", error) from error
            try:
                self._db.flush_wal(True)
            except Exception as error:
                failure = self._failure("fsync the log", error)
                self._refusal = f"failed ({failure}); open it again"
                self._release_iterators()
                raise failure from error
            if self._acknowledged is not None:
                self._acknowledged.note(self._db.latest_sequence_number())

    def memory_bytes(self) -> int:
        self._check_open()
        return sum(self._db.property_int_value(name) or 0 for name in _IN_MEMORY)

    def files(self, pair_bytes: int) -> list[File]:
        try:
            return self._db.live_files()
        except Exception as error:
            raise self._failure("list files", error) from error

    def unflushed_pairs(self, pair_bytes: int) -> int:
        return sum(self._db.property_int_value(name) or 0 for name in _ENTRIES_IN_MEMORY)

    def close(self) -> None:
        """Raises StorageFailure, or Corruption, with what kept it from being closed as it should; it is closed then."""
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            failed, self._refusal = self._refusal, self._refusal or "is closed"
        self._release_iterators()
        is_broken_off = self._tombstones is not None and self._tombstones.close()
        try:
            self._close_engine()
        except Exception as error:
            if is_broken_off and tombstones.is_shutdown(error):
                return
            raise (self._refused(failed) if failed else _failure(self._path, "close", error)) from error

    def _close_engine(self) -> None:
        """Whatever it raises but RuntimeError, the engine is closed."""
        deadline_s = time.monotonic() + _CLOSE_WAIT_S
        while True:
            try:
                self._db.close()
            except RuntimeError:  # rocksdict: a read of another thread is still inside the engine
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.001)
                continue
            except Exception:
                self._let_go()
                raise
            self._let_go()
            return

    def _remember(self, reader: _Scan | RocksSnapshot) -> None:
        """Closing releases what still reads: a live iterator would keep the directory locked."""
        with self._opened_lock:
            self._opened.add(reader)

    def _release_iterators(self) -> None:
        with self._opened_lock:
            readers = list(self._opened)
        for reader in readers:
            reader.close()

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refused(self._refusal)

    def _refused(self, why: str) -> LutraError:
        return ForkedProcess(why) if self._is_forked else StorageFailure(f"the store in {self._path} {why}")

    def _failure(self, action: str, error: Exception) -> LutraError:
        if self._refusal is not None:
            return self._refused(self._refusal)
        return _failure(self._path, action, error)


class _Scan:
    """One iterator read on and on. Reads ahead in growing steps: a page of few rows is not to pay for many."""

    def __init__(
        self,
        iterator: rocksdict.RdictIter,
        begin: bytes,
        end: bytes,
        reverse: bool,
        failure: FailureOf,
        go_on_over_deleted: Callable[[_Scan], None],
    ) -> None:
        self.iterator: rocksdict.RdictIter | None = iterator
        self.begin = begin
        self.end = end
        """What is still to come is from ``begin`` on and before ``end``."""
        self.reverse = reverse
        self._failure = failure
        self._go_on_over_deleted = go_on_over_deleted

    def pairs(self) -> Iterator[Pair]:
        step_pairs = 2
        while chunk := self._chunk(step_pairs):
            yield from chunk
            step_pairs = min(2 * step_pairs, _CHUNK_PAIRS)

    def _chunk(self, pairs_max: int) -> list[Pair]:
        # Apart from the generator, whose frame would hold the iterator past `close`.
        chunk: list[Pair] = []
        try:
            if not self._take(pairs_max, chunk):
                self._go_on_over_deleted(self)
                if not chunk:
                    self._take(pairs_max, chunk)
        except LutraError:
            raise
        except Exception as error:
            raise self._failure("scan", error) from error
        return chunk

    def _take(self, pairs_max: int, chunk: list[Pair]) -> bool:
        """False where too many deleted keys came after what was taken."""
        iterator = self.iterator
        if iterator is None:
            raise self._failure("scan", RuntimeError("the scan is closed"))
        try:
            if self.reverse:
                _take_down(iterator, self.begin, pairs_max, chunk)
            else:
                _take_up(iterator, self.end, pairs_max, chunk)
        except Exception as error:
            if not tombstones.is_limit(error):
                raise
            return False
        finally:
            if chunk and self.reverse:
                self.end = chunk[-1][0]
            elif chunk:
                self.begin = chunk[-1][0] + b"\0"
        return True

    def close(self) -> None:
        self.iterator = None

    def forked(self) -> rocksdict.RdictIter | None:
        """Lets go of the iterator, which must not be freed."""
        iterator, self.iterator = self.iterator, None
        return iterator


class RocksSnapshot:
    """One iterator, which RocksDB binds to the instant it is made; every read seeks it, under a lock."""

    def __init__(self, iterator: rocksdict.RdictIter, failure: FailureOf) -> None:
        self._iterator: rocksdict.RdictIter | None = iterator
        self._failure = failure
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        return self.get_many((key,))[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._lock:
            iterator = self._open_iterator()
            try:
                return [_seek(iterator, key) for key in keys]
            except Exception as error:
                raise self._failure("read a snapshot", error) from error

    def scan(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        while begin < end:
            chunk = self._chunk(begin, end, reverse)
            yield from chunk
            if not chunk:
                return
            if reverse:
                end = chunk[-1][0]
            else:
                begin = chunk[-1][0] + b"\0"

    def close(self) -> None:
        with self._lock:
            self._iterator = None

    def forked(self) -> rocksdict.RdictIter | None:
        """Lets go of the iterator, which must not be freed, and of a lock that nobody will give back."""
        self._lock = threading.Lock()
        iterator, self._iterator = self._iterator, None
        return iterator

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _chunk(self, begin: bytes, end: bytes, reverse: bool) -> list[Pair]:
        with self._lock:
            iterator = self._open_iterator()
            try:
                chunk: list[Pair] = []
                if not reverse:
                    iterator.seek(begin)
                    _take_up(iterator, end, _CHUNK_PAIRS, chunk)
                    return chunk
                iterator.seek_for_prev(end)
                if iterator.valid() and iterator.key() == end:
                    iterator.prev()
                _take_down(iterator, begin, _CHUNK_PAIRS, chunk)
                return chunk
            except Exception as error:
                raise self._failure("scan a snapshot", error) from error

    def _open_iterator(self) -> rocksdict.RdictIter:
        if self._iterator is None:
            raise self._failure("read a snapshot", RuntimeError("it is closed"))
        return self._iterator


def _seek(iterator: rocksdict.RdictIter, key: bytes) -> bytes | None:
    iterator.seek(key)
    if iterator.valid():
        return cast(bytes, iterator.value()) if iterator.key() == key else None
    iterator.status()
    return None


def _take_up(iterator: rocksdict.RdictIter, end: bytes, pairs_max: int, chunk: list[Pair]) -> None:
    """Appends the next pairs before ``end``; moves on. An iterator is invalid at its end, at damage, and where it is
    over its limit: status tells which."""
    size_bytes = 0
    while iterator.valid():
        key = iterator.key()
        if key >= end:
            return
        value = iterator.value()
        chunk.append((key, value))
        iterator.next()
        size_bytes += len(value)
        if len(chunk) >= pairs_max or size_bytes >= _CHUNK_BYTES:
            return
    iterator.status()


def _take_down(iterator: rocksdict.RdictIter, begin: bytes, pairs_max: int, chunk: list[Pair]) -> None:
    """As `_take_up`, downwards to ``begin`` inclusive."""
    size_bytes = 0
    while iterator.valid():
        key = iterator.key()
        if key < begin:
            return
        value = iterator.value()
        chunk.append((key, value))
        iterator.prev()
        size_bytes += len(value)
        if len(chunk) >= pairs_max or size_bytes >= _CHUNK_BYTES:
            return
    iterator.status()


def _options(library: Any, block_cache_bytes: int, write_buffer_bytes: int, max_open_files: int) -> rocksdict.Options:
    table = library.BlockBasedOptions()
    table.set_block_cache(library.Cache(block_cache_bytes))
    table.set_block_size(16 * 1024)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_format_version(5)

    options = cast("rocksdict.Options", library.Options(raw_mode=True))
    options.set_block_based_table_factory(table)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(library.DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_max_total_wal_size(4 * write_buffer_bytes)
    options.set_db_write_buffer_size(write_buffer_bytes)
    options.set_write_buffer_size(max(write_buffer_bytes // 4, _MIB))
    options.set_max_write_buffer_number(4)
    options.set_target_file_size_base(32 * _MIB)
    options.set_max_bytes_for_level_base(256 * _MIB)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_compression_type(library.DBCompressionType.lz4())
    options.set_max_background_jobs(2)
    options.set_max_open_files(max_open_files)
    options.set_bytes_per_sync(_MIB)
    options.set_allow_mmap_reads(False)
    options.set_allow_mmap_writes(False)
    options.set_max_log_file_size(4 * _MIB)
    options.set_keep_log_file_num(4)
    options.set_max_manifest_file_size(4 * _MIB)  # it is read twice when the store is opened
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def _make_folder(path: Path) -> None:
    """Makes the directory and sees to it that its name is on stable storage."""
    try:
        make_durable_folder(path)
    except OSError as error:
        raise StorageFailure(f"cannot use {path} as a data directory: {error.strerror}") from error


def _mark_unfinished(path: Path) -> None:
    """Durably, before there is anything else."""
    (path / UNFINISHED).touch()
    sync_folder(path)


def _unmark(path: Path) -> None:
    """What was made, if it was, is there for good."""
    mark = path / UNFINISHED
    if mark.exists():
        sync_folder(path)
        mark.unlink()
        sync_folder(path)


def _failure(path: Path, action: str, error: Exception) -> LutraError:
    text = str(error)
    if text.startswith("Corruption"):
        return Corruption(f"cannot {action}: the store in {path} is damaged: {text}")
    return StorageFailure(f"cannot {action}: the store in {path} says: {text}")
