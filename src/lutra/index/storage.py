"""The objects of one index: what the newest manifests name, and what nobody names any more."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import Final
from zlib import crc32

from lutra.index.definition import IndexDefinition
from lutra.index.manifest import DELETIONS, SEGMENTS, Manifest
from lutra.model.errors import Corruption, Fenced
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

ROOT: Final = "indexes/"
_MANIFESTS: Final = "manifest"
_NAME_MAX: Final = 100
_OPENING_TRIES: Final = 5


def prefix_of(definition: IndexDefinition) -> str:
    """Where the objects of an index are; no other index is ever there."""
    name = definition.name
    if len(name) > _NAME_MAX:
        name = f"{name[:_NAME_MAX]}-{crc32(name.encode()):08x}"
    return f"{ROOT}{definition.table_id}-{name}-{definition.created_us}/"


class IndexStorage:
    """One index's objects, by names below its prefix. Every method raises StorageFailure where the store fails."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self._log = ManifestLog(store, prefix + _MANIFESTS)
        self._lock = threading.Lock()
        self._number = 0
        self._named: list[set[str]] = []
        """By the last two manifests, and by those of which it is not known whether they were written."""
        self._garbage: set[str] = set()

    @property
    def number(self) -> int:
        """Of the newest manifest of this writer."""
        return self._number

    def take_over(self, first: Manifest) -> Manifest:
        """Becomes the index's writer: the newest manifest, or ``first`` where there is none, under its writer's id.

        Raises Corruption where the newest manifest is damaged.
        """
        for tries_left in reversed(range(_OPENING_TRIES)):
            found = self._log.latest()
            newest = first if found is None else Manifest.from_json(found.payload).by(first.writer)
            self._number = 0 if found is None else found.number
            self._named = [newest.names]
            try:
                self.commit(newest)
            except Fenced:
                if not tries_left:
                    raise
            else:
                break
        return newest

    def commit(self, manifest: Manifest) -> None:
        """Makes ``manifest`` what counts. Raises Fenced where another writer has taken over.

        Where it raises StorageFailure, it may count or not: nothing it names is deleted before another is committed.
        """
        names = manifest.names
        with self._lock:
            self._named.append(names)
        self._number = self._log.commit(self._number + 1, manifest.to_json())
        with self._lock:
            before = set().union(*self._named[:-2])
            self._named = self._named[-2:]
            self._garbage |= before - set().union(*self._named)

    def manifests(self) -> Iterator[tuple[str, Manifest | Corruption]]:
        """All there are, the newest last, by name; the error in the place of one that is damaged."""
        for number in self._log.numbers():
            try:
                yield self._log.name(number), Manifest.from_json(self._log.read(number).payload)
            except Corruption as error:
                yield self._log.name(number), error

    def new_segment(self) -> str:
        """A name for a segment to be."""
        return SEGMENTS + secrets.token_hex(16)

    def new_deletions(self) -> str:
        return DELETIONS + secrets.token_hex(16)

    def full(self, name: str) -> str:
        """The object's name in the store."""
        return self.prefix + name

    def discard(self, name: str) -> None:
        """An object that no manifest was ever to name, or none will again."""
        with self._lock:
            self._garbage.add(name)

    def collect(self, kept: set[str]) -> None:
        """Deletes what nobody needs, but for ``kept``."""
        with self._lock:
            due = self._garbage - kept - set().union(*self._named)
        for name in due:
            self.store.delete(self.full(name))
            with self._lock:
                self._garbage.discard(name)
        if self._number > 2:
            self.store.delete(self._log.name(self._number - 2))

    def find_garbage(self) -> None:
        """Finds what earlier writers left behind, for ``collect``: three lists.

        Raises Fenced where another writer has taken over, whose objects may be among what was found.
        """
        begin = len(self.prefix)
        found = {name[begin:] for part in (SEGMENTS, DELETIONS) for name in self.store.list(self.prefix + part)}
        numbers = self._log.numbers()  # after the others: who put one of them has put a manifest before
        if max(numbers, default=0) > self._number:
            raise Fenced(f"{self.prefix}: another writer has taken over this index")
        with self._lock:
            self._garbage |= found - set().union(*self._named)
        for number in numbers:
            if number < self._number - 1:
                self.store.delete(self._log.name(number))

    def delete_all(self) -> None:
        """Of an index that is no more."""
        for name in self.store.list(self.prefix):
            self.store.delete(name)


def sweep(store: ObjectStore, definitions: Iterable[IndexDefinition]) -> None:
    """Deletes the objects of indexes that are none of ``definitions``: what a crash left. Raises StorageFailure."""
    prefixes = {prefix_of(definition) for definition in definitions}
    for name in store.list(ROOT):
        parts = name.split("/")
        if "/".join(parts[:2]) + "/" not in prefixes:
            store.delete(name)
