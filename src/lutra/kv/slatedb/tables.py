"""What a database's manifest tells of its tables, for plans and estimates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lutra.kv.files import File
from lutra.kv.slatedb.address import SlateAddress
from lutra.kv.slatedb.calls import call
from lutra.kv.slatedb.library import library

FILTER_BITS: Final = 10
"""Of a bloom filter, for each key."""


def admin_of(address: SlateAddress, objects: Any) -> Any:
    """The bindings' administrator of the database at ``address``; ``objects``: its object store."""
    return library().AdminBuilder(address.path, objects).build()


def newest_manifest(address: SlateAddress, objects: Any, wait_s: float) -> Any | None:
    """None where there is no database. Raises what the bindings raise."""
    return call(admin_of(address, objects).read_manifest(None), wait_s=wait_s)


def files_of(manifest: Any, pair_bytes: int) -> list[File]:
    """The tables of a manifest, as `lutra.kv.files` takes them; ``pair_bytes``: of one pair, about."""
    return [
        {
            "start_key": first,
            "end_key": last,
            "size": view.estimated_size_bytes,
            "num_entries": _entries(view, pair_bytes),
            "num_deletions": 0,
        }
        for view in _views(manifest)
        for first, last in [_bounds(view)]
    ]


def _entries(view: Any, pair_bytes: int) -> int:
    """By the size of its bloom filter; a table of few keys has none, and goes by ``pair_bytes``, of one pair, about."""
    filter_bytes: int = view.sst.info.filter_len
    return filter_bytes * 8 // FILTER_BITS if filter_bytes else int(view.estimated_size_bytes) // max(1, pair_bytes)


def merge_of_all(manifest: Any) -> Any | None:
    """The bindings' order to merge all tables of ``manifest`` into one run; None where there are none."""
    bindings = library()
    runs = [run.id for run in manifest.compacted]
    sources = [bindings.SourceId.SST_VIEW(view.id) for view in manifest.l0]
    sources += [bindings.SourceId.SORTED_RUN(run) for run in runs]
    if not sources:
        return None
    return bindings.CompactionSpec.TIERED(segment=b"", sources=sources, destination=min(runs, default=0))


def _views(manifest: Any) -> Iterable[Any]:
    yield from manifest.l0
    for run in manifest.compacted:
        yield from run.sst_views


def _bounds(view: Any) -> tuple[bytes | None, bytes | None]:
    """A clone may show only a part of a table."""
    first, last = view.sst.info.first_entry, view.sst.info.last_entry
    shown = view.visible_range
    if shown is not None and first is not None and last is not None:
        first = max(first, shown.start or first)
        last = min(last, shown.end or last)
    return first, last
