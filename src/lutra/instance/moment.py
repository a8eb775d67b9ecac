"""What a data directory holds at one moment, beside whoever writes it: files to be copied into a backup.

The store's files are held open. Of each search index it is a manifest that goes with them, as for who only reads
(design note 0027), and its objects: local ones are held open, others are read as they are copied.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lutra.backup.sources import BytesSource, FileSource, ObjectSource, Source
from lutra.index.catalog.catalog import IndexCatalog
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.manifest import Manifest
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.read_storage import Look, ReadStorage
from lutra.index.lsm.storage import prefix_of
from lutra.instance.embedding_followers import FOLDER as EMBEDS
from lutra.instance.registry import instance_names
from lutra.instance.rows_place import IN_DIRECTORY, RowsPlace
from lutra.kv.frozen import frozen_store
from lutra.kv.runs import runs_of
from lutra.kv.store import KeyValueStore
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, ObjectMissing, StorageFailure
from lutra.objects.store import ObjectStore
from lutra.tables.space import TableSpace

OBJECTS: Final = "objects"
RUNS: Final = "rows/"
"""Where rows are in a backup whose rows are on an object store: as runs of pairs (`lutra.kv.runs`)."""
_TABLE: Final = ".sst"
_TAIL_BYTES: Final = 4096
"""Of a table: RocksDB puts there which process made it, and as which of its files; so no two tables are alike in it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """``store``: its id. ``indexes``, and what else there is, are to be copied before ``rows``, which are gone through
    once: they are the first to go, where they can."""

    store: str
    instances: tuple[str, ...]
    indexes: tuple[Source, ...]
    rows: Iterable[Source]
    notes: tuple[str, ...]


@contextlib.contextmanager
def held_moment(data_dir: Path, objects: ObjectStore, clock: Clock, look: Look) -> Iterator[Moment]:
    """Now, for as long as it is held.

    Raises Outdated where an index has gone on meanwhile, and another look is to come; StorageFailure, Corruption.
    """
    with contextlib.ExitStack() as held:
        embeds = _embeds(data_dir)  # before the changes that they count
        store, tables = _rows(data_dir, held)
        space = TableSpace(store, clock)
        indexes: list[Source] = []
        notes: list[str] = []
        for definition in IndexCatalog(store, clock).all():
            for generation in definition.generations:
                provenance = Provenance(space.changelog, generation.table_id)
                storage = ReadStorage(objects, prefix_of(generation), provenance)
                storage.look = look
                indexes += _index_sources(generation, storage, held, notes)
        instances = sorted({*instance_names(data_dir), *space.instance_names()})
        store_id = space.changelog.history.store_id
        yield Moment(store_id, tuple(instances), (*indexes, *embeds), tables, tuple(notes))


def _index_sources(
    definition: IndexDefinition, storage: ReadStorage, held: contextlib.ExitStack, notes: list[str]
) -> list[Source]:
    """The newest manifest that goes with the table, and the objects that it names."""
    of = f"search index {definition.name!r} of table {definition.table!r}"

    def opened(manifest: Manifest) -> list[Source]:
        return [_object_source(storage, name, held) for name in sorted(manifest.names)]

    try:
        _, sources = storage.take_over(Manifest("", ""), opened)
        name = storage.manifest_name
        if name is None:
            notes.append(f"{of} has nothing written out yet: it is filled when the backup is restored and served")
            return []
        return [*sources, BytesSource(f"{OBJECTS}/{name}", storage.store.get(name))]
    except ObjectMissing as error:
        if storage.has_gone_on():
            raise
        lost = str(error)
    except Corruption as error:
        lost = str(error)
    notes.append(f"{of} is damaged, and is filled anew when the backup is restored and served: {lost}")
    return []


def _object_source(storage: ReadStorage, name: str, held: contextlib.ExitStack) -> Source:
    full = storage.full(name)
    size_bytes = storage.store.size(full)
    local = storage.store.local_path(full)
    identity = f"object {full} {size_bytes}"
    if local is None:
        return ObjectSource(f"{OBJECTS}/{full}", storage.store, full, size_bytes, identity)
    try:
        file = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ObjectMissing(f"{full}: there is no such object") from None
    except OSError as error:
        limit = ": raise this process's limit (ulimit -n)" if error.errno == errno.EMFILE else ""
        raise StorageFailure(f"cannot open {full}: {error.strerror}{limit}") from error
    held.callback(os.close, file)
    return FileSource(f"{OBJECTS}/{full}", Path(f"/proc/self/fd/{file}"), size_bytes, identity)


def _rows(data_dir: Path, held: contextlib.ExitStack) -> tuple[KeyValueStore, Iterable[Source]]:
    """The store, to be read, and what is to be copied of it."""
    place = RowsPlace(data_dir)
    if place.is_elsewhere:
        reader = held.enter_context(place.copied())
        return reader, (BytesSource(f"{RUNS}{number:08}", run) for number, run in enumerate(runs_of(reader)))
    frozen = held.enter_context(frozen_store(data_dir / IN_DIRECTORY))
    return frozen, list(_store_sources(frozen.folder))


def _store_sources(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.iterdir()):
        size_bytes = path.stat().st_size
        source = FileSource(f"{IN_DIRECTORY}/{path.name}", path, size_bytes)
        if path.suffix == _TABLE:
            tail_bytes = min(size_bytes, _TAIL_BYTES)
            tail = hashlib.sha256(source.read(size_bytes - tail_bytes, tail_bytes)).hexdigest()
            source = FileSource(source.name, path, size_bytes, f"table {path.name} {size_bytes} {tail}")
        yield source


def _embeds(data_dir: Path) -> list[Source]:
    """How far the making of vectors has come: files that are replaced whole."""
    found: list[Source] = []
    for path in sorted((data_dir / EMBEDS).rglob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            found.append(BytesSource(path.relative_to(data_dir).as_posix(), path.read_bytes()))
    return found
