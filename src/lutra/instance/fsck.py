"""Whether the search indexes of a data directory are what they should be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lutra.index.catalog import IndexCatalog
from lutra.index.definition import IndexDefinition
from lutra.index.fsck import IndexCheck, IndexFault
from lutra.index.storage import IndexStorage, prefix_of
from lutra.kv.rocksdb import RocksStore
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import ObjectNotExist, StorageFailure
from lutra.objects.opening import open_store
from lutra.objects.store import ObjectStore
from lutra.tables.keys import KeyCodec
from lutra.tables.space import TableSpace

_CHANGES_AT_ONCE: Final = 10_000


def check_directory(
    path: str | os.PathLike[str],
    *,
    objects: str | os.PathLike[str] | None = None,
    clock: Clock | None = None,
) -> list[IndexFault]:
    """Reads all objects of all indexes, and all rows of their tables; what is wrong, index by index.

    Nobody may have the directory open. ``objects`` as in `lutra.instance.engine.Engine.open`. Raises StorageFailure
    where something cannot be read, Corruption where the tables are damaged, ParameterInvalid.
    """
    data_dir = Path(path)
    if not (data_dir / "kv").is_dir():
        raise StorageFailure(f"{data_dir} is no data directory")
    clock = clock or SystemClock()
    store = RocksStore(data_dir / "kv")
    try:
        objects_store = open_store(data_dir / "objects" if objects is None else objects, probe=False)
        space = TableSpace(store, clock)
        faults: list[IndexFault] = []
        for definition in IndexCatalog(store, clock).all():
            faults += _check_index(definition, space, store, objects_store, clock)
        return faults
    finally:
        store.close()


def _check_index(
    definition: IndexDefinition, space: TableSpace, store: KeyValueStore, objects: ObjectStore, clock: Clock
) -> list[IndexFault]:
    tables = space.instance(definition.instance)
    prefix = prefix_of(definition)
    try:
        table = tables.describe(definition.table).schema
    except ObjectNotExist:
        return [IndexFault(prefix, f"the table [{definition.table}] of this index does not exist")]
    with IndexCheck(IndexStorage(objects, prefix), definition.schema, table.key) as check:
        check.check_objects()
        if check.manifest is not None:
            changed = _changed(space, definition.table_id, check.manifest.progress.position, KeyCodec(b"", table.key))
            ttls_s = [ttl_s for ttl_s in (definition.schema.ttl_s, table.options.ttl_s) if ttl_s >= 0]
            oldest_ms = clock.now_us() // 1_000 - 1_000 * min(ttls_s) if ttls_s else None
            with store.snapshot() as snapshot:
                check.check_rows(tables.scan_rows(definition.table_id, snapshot), changed, oldest_ms)
        return check.faults


def _changed(space: TableSpace, table_id: int, after: int, codec: KeyCodec) -> set[bytes]:
    """The encoded keys of rows that were written to since."""
    changed: set[bytes] = set()
    while changes := space.changelog.read(table_id, after, _CHANGES_AT_ONCE):
        changed.update(codec.encode(change.key) for change in changes)
        after = changes[-1].sequence
    return changed
