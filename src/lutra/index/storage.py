"""The objects of one index: what the newest manifests name, and what nobody names any more."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar
from zlib import crc32

from lutra.index.definition import IndexDefinition
from lutra.index.manifest import DELETIONS, SEGMENTS, Manifest
from lutra.model.errors import Corruption, Fenced, ObjectMissing
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

ROOT: Final = "indexes/"
_MANIFESTS: Final = "manifest"
_NAME_MAX: Final = 100
_OPENING_TRIES: Final = 5

Opened = TypeVar("Opened")


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
        self._old_numbers: set[int] = set()
        """Of manifests that nobody needs any more."""

    @property
    def number(self) -> int:
        """Of the newest manifest of this writer."""
        return self._number

    def take_over(self, first: Manifest, opened_of: Callable[[Manifest], Opened]) -> tuple[Manifest, Opened]:
        """Becomes the index's writer: the newest manifest, or ``first`` where there is none, under its writer's id.

        ``opened_of`` opens what that manifest names; only where it can be opened a manifest is put, so that an index
        that is damaged does not gain one at each try. It is called again where another writer went on meanwhile.

        Two lists, one get and one put, however many segments there are. What earlier writers left behind, which is in
        the first of the lists, is found for ``collect``: who put it has no manifest to come, once this one is there.

        Raises Fenced where another writer opens it at the same time, Corruption where the newest manifest is damaged,
        and what ``opened_of`` raises.
        """
        return self._begin(
            lambda number: Manifest.from_json(self._log.read(number).payload).by(first.writer), first, opened_of
        )

    def begin_anew(self, first: Manifest) -> None:
        """Becomes the index's writer with ``first``, whatever was there, also where that cannot be read.

        Raises Fenced where another writer opens it at the same time.
        """
        self._begin(lambda number: first, first, lambda manifest: None)

    def _begin(
        self, manifest_after: Callable[[int], Manifest], first: Manifest, opened_of: Callable[[Manifest], Opened]
    ) -> tuple[Manifest, Opened]:
        for tries_left in reversed(range(_OPENING_TRIES)):
            names = self.store.list(self.prefix)
            number = max(self._log.numbers_among(names), default=0)
            try:
                newest = manifest_after(number) if number else first
                opened = opened_of(newest)
                self._number, self._named = number, [newest.names]
                self.commit(newest)
            except (Fenced, ObjectMissing) as error:
                # Another writer has gone on meanwhile; but an object may be lost, too.
                if not tries_left or (isinstance(error, ObjectMissing) and self._is_newest(number)):
                    raise
            else:
                self._find_garbage(names)
                return newest, opened
        raise AssertionError("the last try returns or raises")

    def _is_newest(self, number: int) -> bool:
        return max(self._log.numbers(), default=0) == number

    def _find_garbage(self, names: Iterable[str]) -> None:
        begin = len(self.prefix)
        objects = {name[begin:] for name in names if name[begin:].startswith((SEGMENTS, DELETIONS))}
        with self._lock:
            self._garbage |= objects - set().union(*self._named)
            self._old_numbers.update(n for n in self._log.numbers_among(names) if n < self._number - 1)

    def commit(self, manifest: Manifest) -> None:
        """Makes ``manifest`` what counts. Raises Fenced where another writer has taken over.

        Where it raises StorageFailure, it may count or not: nothing it names is deleted before another is committed.
        """
        names = manifest.names
        with self._lock:
            self._named.append(names)
        last = self._number
        self._number = self._log.commit(last + 1, manifest.to_json())
        with self._lock:
            self._old_numbers.update(range(max(1, last - 1), self._number - 1))
            before = set().union(*self._named[:-2])
            self._named = self._named[-2:]
            self._garbage |= before - set().union(*self._named)

    def newest(self) -> tuple[int, Manifest] | None:
        """The newest manifest and its number, to look at: who writes takes over. Raises Corruption."""
        found = self._log.latest()
        return None if found is None else (found.number, Manifest.from_json(found.payload))

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
        for number in sorted(self._old_numbers):
            self.store.delete(self._log.name(number))
            self._old_numbers.discard(number)

    def delete_all(self) -> None:
        """Of an index that is no more."""
        for name in self.store.list(self.prefix):
            self.store.delete(name)


def sweep(store: ObjectStore, definitions: Callable[[], Iterable[IndexDefinition]]) -> None:
    """Deletes the objects of indexes that are none of ``definitions``: what a crash left. Raises StorageFailure.

    Indexes may come and go meanwhile: ``definitions`` gives those there are, and is asked once the objects are listed.
    """
    names = store.list(ROOT)
    prefixes = {prefix_of(definition) for definition in definitions()}
    for name in names:
        parts = name.split("/")
        if "/".join(parts[:2]) + "/" not in prefixes:
            store.delete(name)
