"""A database on an object store at one moment, for whoever only reads: its writer goes on, and hears nothing of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

from lutra.kv.batch import WriteBatch
from lutra.kv.slatedb.calls import call
from lutra.kv.slatedb.failures import failure
from lutra.kv.slatedb.hidden import HiddenRange, HiddenRanges, KeyRange, hidden_for_good, records_range
from lutra.kv.slatedb.library import library
from lutra.kv.slatedb.readable import SlateReadable, SlateSnapshot
from lutra.kv.slatedb.reads import SlateReads
from lutra.model import forks
from lutra.model.errors import ForkedProcess, LutraError, Outdated, ReadOnlyDatabase, StorageFailure

_NEVER_MS: Final = 1 << 40
"""Between two looks at what is new."""
_BEGUN: Final = "slatedb.object_store.request_count"
_ENDED: Final = "slatedb.object_store.request_duration_seconds"
_STILL_S: Final = 0.1
_SETTLES_WITHIN_S: Final = 10.0
_GONE: Final = ("NotFound", "not found", "404 Not Found", "No such file")


class SlateReader(SlateReadable):
    """All that was committed when it was opened, and nothing after. It takes the database from nobody.

    Some minutes after its writer has merged or deleted what is read here, reads raise Outdated: open it anew then.

    Raises StorageFailure where there is no database, or it cannot be reached; Corruption, ParameterInvalid.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        super().__init__(address)
        self.state = None
        """What a store is known by, where it can be told from outside; of one on objects it cannot."""
        self._require_folder()
        self._objects = self.address.object_store()
        self._db = self._opened()
        self._hidden = HiddenRanges()
        self._reads = SlateReads(self._db, lambda: self._hidden, self._failure, self._wait_s)
        self._hidden = HiddenRanges(HiddenRange.stored(*row) for row in self._reads.stored(*records_range()))
        forks.follow(self)

    def _opened(self) -> Any:
        bindings = library()
        try:
            self._require_database()
            builder = bindings.DbReaderBuilder(self.address.path, self._objects)
            builder.with_reader_mode(bindings.ReaderMode.FOLLOW_LATEST())
            builder.with_options(
                bindings.ReaderOptions(
                    manifest_poll_interval_ms=_NEVER_MS,
                    checkpoint_lifetime_ms=3 * _NEVER_MS,
                    max_memtable_bytes=self._settings.write_buffer_bytes,
                    skip_wal_replay=False,
                    object_store_max_retries=self._settings.retries_max,
                )
            )
            self._fit(builder)
            recorder = bindings.DefaultMetricsRecorder()
            builder.with_metrics_recorder(recorder)
            opened = call(builder.build(), wait_s=self._wait_s)
            _settle(recorder)
            return opened
        except LutraError:
            raise
        except Exception as error:
            raise failure(self.address, "open", error) from error

    def hide(self, ranges: Sequence[KeyRange]) -> None:
        """Shows nothing in these ranges from now on. Raises ParameterInvalid where one of them is none."""
        self._hidden = self._hidden.with_more(hidden_for_good(ranges).ranges)

    @property
    def is_newest(self) -> bool:
        """Whether nothing has been written since: that is not known."""
        return False

    def snapshot(self) -> SlateSnapshot:
        """Of what does not change anyway."""
        self._check_open()
        return SlateSnapshot(self, lambda: StorageFailure("the snapshot is closed"))

    def commit(self, batch: WriteBatch) -> None:
        """Raises ReadOnlyDatabase."""
        raise ReadOnlyDatabase(f"the store at {self.address} was opened to be read only")

    def memory_bytes(self) -> int:
        self._check_open()
        return self._settings.block_cache_bytes

    def unflushed_pairs(self, pair_bytes: int) -> int:
        return 0

    def close(self) -> None:
        if self._refusal is not None:
            return
        self._refusal = StorageFailure(f"the store at {self.address} is closed")
        try:
            call(self._db.shutdown(), wait_s=self._wait_s)
        except Exception as error:
            raise failure(self.address, "close", error) from error

    def forked(self) -> None:
        """In a child process nothing here is asked: the threads that would answer are the parent's."""
        self._refusal = ForkedProcess(forks.REFUSAL)

    def _failure(self, action: str, error: Exception) -> LutraError:
        if self._refusal is None and any(sign in str(error) for sign in _GONE):
            return Outdated(f"cannot {action}: what is read of the store at {self.address} has been deleted since")
        return super()._failure(action, error)


def _settle(recorder: Any) -> None:
    """Waits while SlateDB looks for what is new, as it does once more in the background right after it has opened a
    database: the moment that is read is the one after that. There is no event to wait for, but its requests end."""
    deadline_s = time.monotonic() + _SETTLES_WITHIN_S
    before, since_s = -1, time.monotonic()
    while time.monotonic() < min(deadline_s, since_s + _STILL_S):
        begun = sum(metric.value[0] for metric in recorder.metrics_by_name(_BEGUN) if _is_read(metric))
        ended = sum(metric.value[0].count for metric in recorder.metrics_by_name(_ENDED) if _is_read(metric))
        if begun != before or begun != ended:
            before, since_s = begun, time.monotonic()
        time.sleep(_STILL_S / 20)


def _is_read(metric: Any) -> bool:
    """A list is not told to have ended; each is followed by reads."""
    return any(label.key == "api" and label.value in ("get", "get_range", "head") for label in metric.labels)
