"""Filling a search index anew from its table, whatever became of its objects."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lutra.feed.housekeeper import Housekeeper
from lutra.index.feed.index_feed import IndexFeed
from lutra.index.lsm.manifest import Manifest, schema_identity
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.stats import IndexStats
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.instance.defaults import MEMORY_BYTES_DEFAULT
from lutra.instance.stopped import StoppedDirectory

_PAUSE_S: Final = 0.02


def rebuild_index(
    directory: StoppedDirectory,
    instance: str,
    table: str,
    index: str,
    *,
    memory_bytes: int = MEMORY_BYTES_DEFAULT,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> IndexStats:
    """Empties an index, fills it with all rows of its table, and writes them out; then its old objects are deleted.

    Stopped at any instant it leaves an index that is filled further when the directory is next served. Segments that
    are yet to become the kind that their size calls for do so then.

    :param directory: open to be mended.
    :param memory_bytes: as in `lutra.instance.engine.Engine.open`.
    :param on_rows: called with the rows taken in so far.
    :raises MetaNotMatch: there is no such index. :raises ObjectNotExist: its table is gone.
    :raises StorageFailure: objects cannot be written. :raises Corruption: rows of the table cannot be read.
    :raises ForeignObjects: another store has the place of the objects.
    """
    definition = directory.indexes.get(instance, table, index)
    tables = directory.space.instance(instance)
    identity = schema_identity(definition.schema, tables.describe(table).schema.key)
    changelog, place = directory.space.changelog, directory.place
    resources = Resources.open(directory.address, directory.path / "scratch", memory_bytes, place.examine)
    try:
        changelog.begin()
        resources = replace(resources, claim=place.taken(resources.store))
        provenance = Provenance(changelog, definition.table_id, resources.claim)
        storage = IndexStorage(resources.store, prefix_of(definition), provenance)
        storage.begin_anew(Manifest(secrets.token_hex(16), identity))
        feed = IndexFeed(definition, tables, changelog, directory.store, resources, directory.clock)
        housekeeper = Housekeeper()
        feed.on_due = housekeeper.due
        try:
            while feed.step():
                on_rows(feed.index.rows)
                if time.monotonic() < feed.paused_until_s:
                    time.sleep(_PAUSE_S)
            on_rows(feed.index.rows)
            housekeeper.stop()
            feed.index.flush()
            return feed.index.stats()
        finally:
            housekeeper.stop()
            feed.close()
    finally:
        resources.close()
