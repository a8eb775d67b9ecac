"""Which indexes have objects at a place, and which store each is of."""

from __future__ import annotations

from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lutra.index.lsm.storage import ROOT, IndexStorage, index_prefix_in
from lutra.model.errors import Corruption, ForeignObjects, ObjectMissing
from lutra.objects.store import ObjectStore

_READ_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The objects of one index, by their names; ``prefix`` is `lutra.index.lsm.storage.prefix_of` it, of its place."""

    prefix: str
    objects: tuple[str, ...]
    store: str | None
    """The id of the store whose the newest manifest is, "" where a Lutra wrote it that gave stores none; None where
    there is no manifest, or it cannot be read."""


def index_folders(store: ObjectStore, passed_over: Container[str] = (), place: str = "") -> list[IndexFolder]:
    """By prefix, but those ``passed_over``: a list, and a list and a get for each. Raises StorageFailure.

    ``place``: where they are looked for, as `lutra.objects.owner.owner_of` takes it.
    """
    objects: dict[str, list[str]] = {}
    for name in store.list(place + ROOT):
        prefix = index_prefix_in(name, place)
        if prefix not in passed_over:
            objects.setdefault(prefix, []).append(name)
    with ThreadPoolExecutor(_READ_AT_ONCE) as readers:
        stores = readers.map(lambda prefix: _store_of(IndexStorage(store, place + prefix)), objects)
        return [
            IndexFolder(prefix, tuple(names), of) for (prefix, names), of in zip(objects.items(), stores, strict=True)
        ]


def require_no_strangers(folders: Iterable[IndexFolder], store_id: str, known: Iterable[str], place: str) -> None:
    """For a place that nobody has claimed: whether what is there may be taken for the own objects of a store.

    They may where there are none, or where an index that the store has, or had (``known``, by prefix), is among them,
    and none is known to be another store's: an older Lutra left them. Raises ForeignObjects.
    """
    there = list(folders)
    others = sorted({folder.store for folder in there if folder.store not in (None, "", store_id)})
    if others:
        raise ForeignObjects(f"the objects at {place} belong to another store ({', '.join(map(str, others))})")
    own = set(known)
    if there and not any(folder.prefix in own or folder.store == store_id for folder in there):
        raise ForeignObjects(
            f"at {place} there are objects of {len(there)} search indexes, and none of them is one of this data "
            f"directory ({there[0].prefix} for one)"
        )


def _store_of(storage: IndexStorage) -> str | None:
    try:
        newest = storage.newest()
    except (Corruption, ObjectMissing):
        return None
    return None if newest is None else newest[1].origin.store
