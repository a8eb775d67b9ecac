"""How a database is opened: what it keeps in memory, and how it flushes, merges and tidies up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lutra.kv.slatedb.library import library

_MIB: Final = 1024 * 1024
BLOCK_BYTES: Final = 16 * 1024
_UNMERGED_MAX: Final = 32
"""Tables of what was written lately: merges begin with four."""


@dataclass(frozen=True, slots=True)
class SlateSettings:
    """
    :param block_cache_bytes: what reads keep in memory.
    :param write_buffer_bytes: what is written and not yet in a table. Four times that at most, before writers wait.
    :param retries_max: of a request to the object store, beside those of its client.
    :param wait_s: how long anybody waits for one call before it counts as failed.
    """

    block_cache_bytes: int = 64 * _MIB
    write_buffer_bytes: int = 16 * _MIB
    retries_max: int = 8
    wait_s: float = 60.0

    @classmethod
    def within(cls, memory_bytes: int) -> SlateSettings:
        """Half for what reads keep, half for what is written, which comes to four times its buffer."""
        return cls(memory_bytes // 2, max(_MIB, memory_bytes // 8))

    def for_bindings(self, *, has_conditional_overwrites: bool) -> Any:
        """The bindings' settings. A folder has no conditional overwrites."""
        settings = library().Settings.default()
        chosen: dict[str, object] = {
            # Each commit flushes: a flush in between would be one request more, and nothing sooner on the store.
            "flush_interval": None,
            # Each look is a request, also of what nobody uses: SlateDB's own periods come to three a second.
            "manifest_poll_interval": "5s",
            "compactor_options.poll_interval": "10s",
            "compactor_options.commit_compacted_interval": "10s",
            "compactor_options.worker.compactions_poll_interval": "10s",
            "l0_sst_size_bytes": self.write_buffer_bytes,
            "max_unflushed_bytes": 4 * self.write_buffer_bytes,
            "compression_codec": "Lz4",
            # A flush waits for a merge where there are more, which looks for work every 10 s: clones and ends flush.
            "l0_max_ssts": _UNMERGED_MAX,
            "l0_max_ssts_per_key": _UNMERGED_MAX,
            "object_store_max_retries": self.retries_max,
            "compactor_options.worker.compression_codec": "Lz4",
            "compactor_options.worker.max_sst_size": 64 * _MIB,
            # All that have come since the last look, at once.
            "compactor_options.scheduler_options": {"max_compaction_sources": str(2 * _UNMERGED_MAX)},
            "compactor_options.max_concurrent_compactions": 1,
            "compactor_options.worker.max_concurrent_compactions": 1,
            "compactor_options.worker.max_subcompactions": 1,
            # What a merge has read is kept for readers: none of ours reads on for so long (`reads`).
            "compactor_options.checkpoint_lifetime": "180s",
            "compactor_options.object_store_max_retries": self.retries_max,
            "garbage_collector_options.detach_options.interval": "120s",
            "garbage_collector_options.object_store_max_retries": self.retries_max,
            # An opening lists what there is of the log; what tables have by now goes soon.
            "garbage_collector_options.wal_options.interval": "60s",
            "garbage_collector_options.wal_options.min_age": "60s",
            # One without a body for every opening. Were they deleted, a writer that comes back could write there.
            "garbage_collector_options.wal_fence_options": None,
        }
        if not has_conditional_overwrites:
            chosen["garbage_collector_options.boundary_files_enabled"] = False
            # So nobody who was stopped for less than a day finds a number free that was another's.
            for kind in ("manifest", "compactions"):
                chosen[f"garbage_collector_options.{kind}_options.min_age"] = "86400s"
        _set(settings, chosen)
        return settings


def _set(settings: Any, chosen: Mapping[str, object]) -> None:
    for name, value in chosen.items():
        settings.set(name, json.dumps(value))
