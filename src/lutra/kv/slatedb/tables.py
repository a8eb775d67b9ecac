"""What a database's manifest tells of its tables, for plans and estimates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lutra.kv.files import File
from lutra.kv.slatedb.address import SlateAddress
from lutra.kv.slatedb.calls import call
from lutra.kv.slatedb.library import library


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
            "num_entries": view.estimated_size_bytes // max(1, pair_bytes),
            "num_deletions": 0,
        }
        for view in _views(manifest)
        for first, last in [_bounds(view)]
    ]


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
