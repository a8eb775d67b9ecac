"""Deleted keys that scans pass over, and how they go away.

RocksDB keeps a deleted key until a compaction drops it, and looks for work by bytes, of which deleted keys have few: a
table that is used as a queue, filled at its end and emptied from its front, soon has more of them before its first row
than it has rows. So a scan that passes over many says between which keys, and that range is compacted by a thread of
its own, down to the last level.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import rocksdict

PASSED_MAX: Final = 2_000
"""So many a scan passes over in one step before it says so: 0.2 to 0.4 ms forwards, 0.4 to 2 ms backwards."""
_IN_MEMORY_MIN: Final = 5 * PASSED_MAX
"""Deleted keys in memory that are worth a compaction; where there are fewer, others will come to them."""
_PAUSE_S: Final = 5.0
_PAUSE_FACTOR: Final = 20
"""Between two compactions: the longer of these, the second as a multiple of how long the last one took."""
_DELETED_IN_MEMORY: Final = "rocksdb.num-deletes-active-mem-table"

_log = logging.getLogger(__name__)


def limit_passed(options: rocksdict.ReadOptions) -> None:
    """An iterator with these options stops where it passes over too many deleted keys; `is_limit` tells that it did."""
    options.set_max_skippable_internal_keys(PASSED_MAX)


def is_limit(error: Exception) -> bool:
    """Whether that is all an iterator's status says."""
    return str(error).startswith("Result incomplete")


def is_shutdown(error: Exception) -> bool:
    """Whether a store only did not write out what it had in memory, and in its log, when it was closed."""
    return str(error).startswith("Shutdown in progress")


class Tombstones:
    """Compacts what scans pass over, one range at a time. Thread-safe."""

    def __init__(self, library: Any, db: rocksdict.Rdict) -> None:
        """``library`` is rocksdict, as this process has it."""
        self._db = db
        self._options = library.CompactOptions()
        self._options.set_exclusive_manual_compaction(False)
        # The last level too: what was deleted before it was ever written out gets there as it is.
        self._options.set_bottommost_level_compaction(library.BottommostLevelCompaction.force_optimized())
        self._lock = threading.Lock()
        self._is_closed = False
        self._not_before_s = 0.0
        self._compacting: threading.Thread | None = None

    def passed(self, begin: bytes, end: bytes) -> None:
        """A scan came to the limit: nothing is left from ``begin`` on and before ``end``. Returns soon."""
        with self._lock:
            is_compacting = self._compacting is not None and self._compacting.is_alive()
            if self._is_closed or is_compacting or time.monotonic() < self._not_before_s:
                return
            in_memory = self._db.property_int_value(_DELETED_IN_MEMORY) or 0
            if PASSED_MAX <= in_memory < _IN_MEMORY_MIN:
                return
            # No daemon: the engine does not survive the interpreter.
            self._compacting = threading.Thread(target=self._compact, args=(begin, end), name="lutra-compact")
            self._compacting.start()

    def close(self) -> bool:
        """Begins nothing any more. Whether something was under way and was broken off, with all else in the background.

        Of the store nothing may be done then but to close it, which says `is_shutdown` and is as good.
        """
        with self._lock:
            self._is_closed = True
            compacting = self._compacting
        if compacting is None or not compacting.is_alive():
            return False
        self._db.cancel_all_background(False)
        compacting.join()
        return True

    def _compact(self, begin: bytes, end: bytes) -> None:
        began_s = time.monotonic()
        try:
            self._db.compact_range(begin, end, self._options)
        except Exception as error:  # where the disk fails, the next commit tells
            if not self._is_closed:
                _log.warning("deleted keys could not be compacted: %s", error)
        ended_s = time.monotonic()
        self._not_before_s = ended_s + max(_PAUSE_S, _PAUSE_FACTOR * (ended_s - began_s))
