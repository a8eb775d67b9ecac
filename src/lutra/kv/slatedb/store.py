"""Rows on an object store: SlateDB, a log-structured merge tree whose files are objects.

**Durability.** `commit` returns once the batch is in an object of the write-ahead log that the store has acknowledged:
one PUT. Nobody reads it before: a writer that is cut off would show what its successor never has. Where a commit fails,
or is not known to have happened, nobody can tell what of it the store has, so all further use is refused until it is
opened again.

**One writer.** Opening takes the database from whoever had it: by a number in its manifest, and an empty object at the
end of its log, both put only where there is none. The one before fails at its next commit, with `Fenced`, and within
five seconds at reads; whatever it had not been told to be durable is not there.

**A folder** as the object store is for trying out, and for tests: SlateDB fsyncs nothing. Logs are fsynced here before
a commit is acknowledged, tables and manifests with the next commit (`lutra.kv.slatedb.local_files`): it survives the
end of a process always, and a power cut but for moments in which a table has just been written.

**Memory.** Bounded by the block cache and four write buffers.

Source: SlateDB 0.17 (`slatedb/src`: `wal/slatedb/writer.rs`, `wal/slatedb/writer_init.rs`, `clone.rs`,
`retrying_object_store.rs`, `db_snapshot.rs`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from lutra.kv.batch import WriteBatch
from lutra.kv.folder import make_durable_folder
from lutra.kv.slatedb.background import Background
from lutra.kv.slatedb.batches import PlainBatch
from lutra.kv.slatedb.calls import call
from lutra.kv.slatedb.clone import clone_store
from lutra.kv.slatedb.failures import failure
from lutra.kv.slatedb.hidden import (
    HiddenRange,
    HiddenRanges,
    KeyRange,
    RecordKeys,
    hidden_for_good,
    record_value,
    records_range,
)
from lutra.kv.slatedb.library import library
from lutra.kv.slatedb.local_files import LocalFiles
from lutra.kv.slatedb.memory import MemoryMeter
from lutra.kv.slatedb.readable import SlateReadable, SlateSnapshot
from lutra.kv.slatedb.reads import SlateReads
from lutra.kv.slatedb.settings import SlateSettings
from lutra.kv.slatedb.sweep import Sweep
from lutra.kv.slatedb.tables import admin_of, merge_of_all, newest_manifest
from lutra.model import forks
from lutra.model.errors import Fenced, ForkedProcess, LutraError, StorageFailure

DELETED_SINGLY_MAX: Final = 2_000
"""A range of so many keys is deleted key by key, in the batch itself."""
FLUSH_COMMITS: Final = 400
"""So many objects of the log, or those of a second, are read when a database is opened whose process was killed."""
_FLUSH_PERIOD_S: Final = 1.0
"""No table comes sooner after the last: merges look for tables every 10 s, and are not to be overrun."""
_SWEEP_PAUSE_S: Final = 0.002

_log = logging.getLogger(__name__)


class Closable(Protocol):
    """What is held as long as a store is open."""

    def close(self) -> None: ...


class SlateStore(SlateReadable):
    """An ordered key-value store on an object store, with one writer at a time.

    ``address``: ``s3://bucket/prefix``, ``file:///folder`` or a folder's path, of this database alone.
    ``may_make``: a database is made where there is none. ``guard``: is closed when it is.

    Raises ParameterInvalid where it can be no place of one, StorageFailure where it cannot be reached or there is none,
    Corruption where it is damaged, ForkedProcess as `lutra.kv.slatedb.library.library`, and Fenced where another opens
    it at the same time.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        *,
        settings: SlateSettings | None = None,
        may_make: bool = True,
        guard: Closable | None = None,
    ) -> None:
        super().__init__(address, settings)
        self._guard = guard
        self._is_closed = False
        self._lock = threading.Lock()
        """Held while a batch becomes visible, with what it hides."""
        self._hidden = self._hidden_durably = HiddenRanges()
        """By all that was written; and by what is durable, as reads go by."""
        self._sweeps: list[Sweep] = []
        self._unflushed_commits = 0
        self._next_flush_s = 0.0
        self._background = Background("lutra-slatedb", self._tidy, self._tidying_failed)
        self._make_folder(may_make)
        self._local = LocalFiles(self.address.local_folder)
        self._objects = self.address.object_store()
        self._meter = MemoryMeter(library(), self._settings)
        self._db = self._open(may_make)
        self._reads = SlateReads(self._db, lambda: self._hidden_durably, self._failure, self._wait_s, only_durable=True)
        """For those who ask."""
        self._written = SlateReads(self._db, lambda: self._hidden, self._failure, self._wait_s)
        """Also what is not durable yet, which is to be deleted as well."""
        try:
            self._begin_use()
        except BaseException:
            self._guard = None
            self._shut(is_clean=False)
            raise
        forks.follow(self)

    def _make_folder(self, may_make: bool) -> None:
        folder = self.address.local_folder
        if folder is None:
            return
        try:
            if may_make:
                make_durable_folder(folder)
            else:
                self._require_folder()
        except OSError as error:
            raise StorageFailure(f"cannot use {self.address} for rows: {error.strerror}") from error

    def _open(self, may_make: bool) -> Any:
        bindings = library()
        try:
            if not may_make:
                self._require_database()
            builder = bindings.DbBuilder(self.address.path, self._objects)
            is_remote = self.address.local_folder is None
            builder.with_settings(self._settings.for_bindings(has_conditional_overwrites=is_remote))
            builder.with_sst_block_size(bindings.SstBlockSize.BLOCK16_KIB)
            builder.with_metrics_recorder(self._meter.recorder)
            self._fit(builder)
            return call(builder.build(), wait_s=self._wait_s)
        except LutraError:
            raise
        except Exception as error:
            raise failure(self.address, "open", error) from error

    def _begin_use(self) -> None:
        self._sync_local()
        stored = [HiddenRange.stored(*row) for row in self._reads.stored(*records_range())]
        self._hidden = self._hidden_durably = self._hidden.with_more(stored)
        self._records = RecordKeys(self._hidden)
        self._sweeps = [Sweep(hidden) for hidden in self._hidden.ranges]
        if self._sweeps:
            self._background.wake()

    def snapshot(self) -> SlateSnapshot:
        """Of all that was written, durable when this returns. Raises StorageFailure, Fenced where it is not."""
        with self._lock:  # so that what is hidden is of the same instant
            self._check_open()
            try:
                source = call(self._db.snapshot(), wait_s=self._wait_s)
            except Exception as error:
                raise self._failure("take a snapshot", error) from error
            hidden = self._hidden
            reads = SlateReads(source, lambda: hidden, self._failure, self._wait_s)
        taken = SlateSnapshot(reads, lambda: self._failure("read a snapshot", RuntimeError("it is closed")))
        try:
            call(self._db.flush(), wait_s=self._wait_s)
        except Exception as error:
            taken.close()
            raise self._failure("make a snapshot durable", error) from error
        return taken

    def commit(self, batch: WriteBatch) -> None:
        """As the seam says; and raises Fenced where another has opened the store since.

        After a failure whose outcome is not known, the store refuses all further use.
        """
        plain = PlainBatch(batch)
        with self._lock:
            self._check_open()
            records = self._take_ranges(plain)
            if not plain.last:
                return
            try:
                handle, hidden = self._write(plain, records)
            except Exception as error:
                raise self._given_up(error) from error
        try:
            self._make_durable(handle)
        except Exception as error:
            raise self._given_up(error) from error
        finally:
            if hidden and self._refusal is None:  # also where an interrupt waited for that
                with self._lock:
                    self._hidden_durably = self._hidden_durably.with_more(hidden)
                    self._sweeps = [*self._sweeps, *map(Sweep, hidden)]
        self._unflushed_commits += 1
        if hidden or self._is_flush_due():
            self._background.wake()

    def _is_flush_due(self) -> bool:
        return self._unflushed_commits >= FLUSH_COMMITS and time.monotonic() >= self._next_flush_s

    def _take_ranges(self, plain: PlainBatch) -> dict[bytes, KeyRange]:
        """Has the batch delete its ranges: key by key, or by records, which are returned."""
        records: dict[bytes, KeyRange] = {}
        for begin, end in plain.ranges:
            doomed: list[bytes] = []
            for key, _, _ in self._written.rows(begin, end):
                doomed.append(key)
                if len(doomed) > DELETED_SINGLY_MAX:
                    record = self._records.next()
                    records[record] = (begin, end)
                    plain.last[record] = record_value(begin, end)
                    break
            else:
                for key in doomed:
                    plain.last.setdefault(key, None)
        return records

    def _write(self, plain: PlainBatch, records: dict[bytes, KeyRange]) -> tuple[Any, list[HiddenRange]]:
        """Into memory. The bindings' handle of it, and what it hides."""

        async def write() -> tuple[Any, list[HiddenRange]]:
            handle = await self._db.write(plain.for_bindings())
            sequence = handle.seqnum()
            hidden = [HiddenRange(begin, end, sequence, record) for record, (begin, end) in records.items()]
            self._hidden = self._hidden.with_more(hidden)
            return handle, hidden

        return call(write(), wait_s=self._wait_s, is_whole=True)

    def _make_durable(self, handle: Any) -> None:
        """And all that was written before."""

        async def make_durable() -> None:
            await self._db.flush()
            await handle.await_durable()

        call(make_durable(), wait_s=self._wait_s, is_whole=True)
        self._sync_local()

    def _given_up(self, error: Exception) -> LutraError:
        """What to raise where a commit failed with ``error``. Nobody can tell what the object store has of it."""
        failed = self._failure("commit", error)
        if self._refusal is None:
            if isinstance(failed, Fenced):
                self._refusal = failed
            else:
                self._refusal = StorageFailure(f"the store at {self.address} failed ({failed}); open it again")
        return failed

    def flush(self) -> None:
        """Puts all that was written into tables: who opens or clones the store reads nothing of its log then.

        Raises StorageFailure, Fenced.
        """
        self._check_open()
        bindings = library()
        options = bindings.FlushOptions(flush_type=bindings.FlushType.MEM_TABLE)
        try:
            call(self._db.flush_with_options(options), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("write a table", error) from error
        self._meter.flushed()
        self._sync_local()

    def clone_to(self, new_address: str | os.PathLike[str]) -> None:
        """Makes a clone of this store beside it (`lutra.kv.slatedb.clone`): of all that was committed before.

        What is committed meanwhile is in it, or not. Raises ParameterInvalid, StorageFailure, Fenced.
        """
        self.flush()
        clone_store(str(self.address), new_address)

    def rewrite(self) -> None:
        """Has all tables merged into new ones, in the background: a clone then needs its parents no more.

        Raises StorageFailure, Fenced.
        """
        self.flush()
        try:
            spec = merge_of_all(newest_manifest(self.address, self._objects, self._wait_s))
            if spec is not None:
                call(admin_of(self.address, self._objects).submit_compaction(spec), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("merge tables", error) from error

    def memory_bytes(self) -> int:
        self._check_open()
        return self._meter.memory_bytes()

    def hide(self, ranges: Sequence[KeyRange]) -> None:
        """Never shows what is in these ranges, before anything of them is read or written; nobody may write there.

        What is there is deleted in the background, until `is_swept`. Raises ParameterInvalid where one of them is none.
        """
        made = hidden_for_good(ranges).ranges
        with self._lock:
            self._hidden = self._hidden.with_more(made)
            self._hidden_durably = self._hidden_durably.with_more(made)
            self._sweeps = [*self._sweeps, *map(Sweep, made)]
        if made:
            self._background.wake()

    @property
    def refusal(self) -> LutraError | None:
        """Why it refuses all use, but to be opened again; None where it does not."""
        return self._refusal

    def abandon(self, why: str) -> None:
        """Refuses all use from now on, without a request: nothing is put any more that is not under way already, and
        `close` puts nothing either."""
        if self._refusal is None:
            self._refusal = StorageFailure(why)

    @property
    def is_swept(self) -> bool:
        """Whether nothing is left on the store of what is hidden."""
        return not self._sweeps

    def close(self) -> None:
        """Puts what was written into tables. Raises StorageFailure where that fails; it is closed then."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            refused, self._refusal = self._refusal, self._refusal or StorageFailure(f"{self.address} is closed")
        self._background.stop()
        self._shut(is_clean=refused is None)

    def forked(self) -> None:
        """In a child process nothing here is asked: the threads that would answer are the parent's."""
        self._is_closed = True
        self._refusal = ForkedProcess(forks.REFUSAL)
        self._lock = threading.Lock()

    def _shut(self, *, is_clean: bool) -> None:
        bindings = library()
        options = bindings.CloseOptions(flush_type=bindings.FlushType.MEM_TABLE if is_clean else None)
        try:
            call(self._db.shutdown_with_options(options), wait_s=self._wait_s)
            if is_clean:
                self._local.sync()
        except Exception as error:
            failed = failure(self.address, "close", error)
            if is_clean and not isinstance(failed, Fenced):  # nothing that it has acknowledged is lost by that
                raise failed from error
            _log.info("%s", failed)
        finally:
            if self._guard is not None:
                self._guard.close()

    def _tidy(self) -> float | None:
        if self._is_flush_due():
            self._unflushed_commits = 0
            self.flush()
            self._next_flush_s = time.monotonic() + _FLUSH_PERIOD_S
        with self._lock:
            self._check_open()
            if not self._sweeps:
                return None
            sweep = self._sweeps[0]
            is_over = sweep.step(self._written, self._delete)
        if is_over:
            self._end(sweep)
        return _SWEEP_PAUSE_S

    def _end(self, sweep: Sweep) -> None:
        """Of a range of which nothing is left."""
        with self._lock:
            if sweep.hidden.record is not None:
                self._delete([sweep.hidden.record])
        self.flush()
        with self._lock:
            if sweep.hidden.record is not None:
                self._hidden = self._hidden.without(sweep.hidden)
                self._hidden_durably = self._hidden_durably.without(sweep.hidden)
            self._sweeps = [other for other in self._sweeps if other is not sweep]

    def _delete(self, keys: list[bytes]) -> None:
        batch = library().WriteBatch()
        for key in keys:
            batch.delete(key)
        try:
            call(self._db.write(batch), wait_s=self._wait_s)
        except Exception as error:
            raise self._failure("delete", error) from error

    def _tidying_failed(self, error: LutraError) -> None:
        if self._refusal is None:
            _log.warning("what was deleted is not removed yet: %s", error)

    def unflushed_pairs(self, pair_bytes: int) -> int:
        return self._meter.unflushed_bytes() // pair_bytes

    def _sync_local(self) -> None:
        try:
            self._local.sync()
        except OSError as error:
            raise StorageFailure(f"cannot fsync the store at {self.address}: {error.strerror}") from error
