"""The objects of one index: what the newest manifests name, and what nobody names any more.

Nothing is deleted but what is known to be this index's own (`lutra.index.lsm.provenance`). What it has borrowed of
another index (`lutra.index.lsm.manifest.is_own`) it reads, and no more.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar
from zlib import crc32

from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.manifest import DELETIONS, SEGMENTS, Manifest, is_own
from lutra.index.lsm.provenance import Provenance
from lutra.model.errors import Corruption, Fenced, ObjectMissing
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.owner import Claim
from lutra.objects.store import ObjectStore
from lutra.tables.changelog import Changelog

ROOT: Final = "indexes/"
_MANIFESTS: Final = "manifest"
_NAME_MAX: Final = 100
_OPENING_TRIES: Final = 5

Opened = TypeVar("Opened")

_log = logging.getLogger(__name__)


def prefix_of(definition: IndexDefinition) -> str:
    """Where in its place the objects of an index are; no other index is ever there."""
    name = definition.made_as or definition.name
    if len(name) > _NAME_MAX:
        name = f"{name[:_NAME_MAX]}-{crc32(name.encode()):08x}"
    return f"{ROOT}{definition.table_id}-{name}-{definition.created_us}/"


class IndexStorage:
    """One index's objects, by names below its prefix. Every method raises StorageFailure where the store fails."""

    def __init__(self, store: ObjectStore, prefix: str, provenance: Provenance | None = None) -> None:
        """Without ``provenance``, whatever is there is taken for this index's own."""
        self.store = store
        self.prefix = prefix
        self._provenance = provenance
        self._log = ManifestLog(store, prefix + _MANIFESTS)
        self._lock = threading.Lock()
        self._number = 0
        self._named: list[set[str]] = [set(), set()]
        """By the manifest before the newest, by the newest, and by those of which it is not known whether they were
        written; what is borrowed among it."""
        self._garbage: set[str] = set()
        self._old_numbers: set[int] = set()
        """Of manifests that nobody needs any more."""

    @property
    def number(self) -> int:
        """Of the newest manifest of this writer."""
        return self._number

    @property
    def manifest_name(self) -> str | None:
        """Of the object of that manifest, as the store knows it; None where there is none yet."""
        return self._log.name(self._number) if self._number else None

    def take_over(self, first: Manifest, opened_of: Callable[[Manifest], Opened]) -> tuple[Manifest, Opened]:
        """Becomes the index's writer: the newest manifest, or ``first`` where there is none, under its writer's id.

        ``first`` too where the newest is not of the past of the index's table, so that it cannot be gone on from; the
        log says so. ``opened_of`` opens what that manifest names; only where it can be opened a manifest is put, so
        that an index that is damaged does not gain one at each try. It is called again where another writer went on
        meanwhile.

        Two lists, one get and one put, however many segments there are, and another list where there is provenance.
        What earlier writers left behind, which is in the first of the lists, is found for ``collect``: who put it has
        no manifest to come, once this one is there.

        Raises Fenced where another writer opens it at the same time, or another store has taken the place; Corruption
        where the newest manifest is damaged; and what ``opened_of`` raises.
        """

        def newest_known(number: int) -> Manifest:
            newest = Manifest.from_json(self._log.read(number).payload)
            why = None if self._provenance is None else self._provenance.why_not(newest)
            if why is None:
                return newest.by(first.writer)
            _log.warning("%s: what was indexed is not of this table's past: %s. It is filled anew.", self.prefix, why)
            return first

        return self._begin(newest_known, first, opened_of)

    def begin_anew(self, first: Manifest) -> None:
        """Becomes the index's writer with ``first``, whatever was there, also where that cannot be read.

        Raises Fenced where another writer opens it at the same time.
        """
        self._begin(lambda number: first, first, lambda manifest: None)

    def _begin(
        self, manifest_after: Callable[[int], Manifest], first: Manifest, opened_of: Callable[[Manifest], Opened]
    ) -> tuple[Manifest, Opened]:
        if self._provenance is not None:
            self._provenance.require_place()
        for tries_left in reversed(range(_OPENING_TRIES)):
            names = self.store.list(self.prefix)
            number = max(self._log.numbers_among(names), default=0)
            try:
                newest = manifest_after(number) if number else first
                opened = opened_of(newest)
                self._number, self._named = number, [set(), newest.names]
                self._commit(newest)
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
        """Makes ``manifest`` what counts. Raises Fenced where another writer, or another store, has taken over.

        Where it raises StorageFailure, it may count or not: nothing it names is deleted before another is committed.
        """
        if self._provenance is not None:
            self._provenance.require_place()
        self._commit(manifest)

    def signed(self, manifest: Manifest) -> Manifest:
        """As it is committed now."""
        if self._provenance is None:
            return manifest
        return replace(manifest, origin=self._provenance.origin, seen=self._provenance.seen)

    def _commit(self, manifest: Manifest) -> None:
        manifest = self.signed(manifest)
        names = manifest.names
        with self._lock:
            self._named.append(names)
        last = self._number
        self._number = self._log.commit(last + 1, manifest.to_json())
        with self._lock:
            self._old_numbers.update(range(max(1, last - 1), self._number - 1))
            named = set().union(*self._named)
            # Where an earlier try turned out to be there, the manifest before this one is one of those, else the last.
            before = set().union(*self._named[2:-1]) if self._number > last + 1 else self._named[1]
            self._named = [before, names]
            self._garbage |= set(filter(is_own, named - before - names))

    def borrowed(self, kept: set[str]) -> set[str]:
        """What is needed of other indexes: by the last manifests, or as it is among ``kept``."""
        with self._lock:
            return {name for name in kept.union(*self._named) if not is_own(name)}

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
        return self.prefix + name if is_own(name) else name

    def own(self, full_name: str) -> str:
        """The other way round: the name below the prefix."""
        return full_name.removeprefix(self.prefix)

    def discard(self, name: str) -> None:
        """An object that no manifest was ever to name, or none will again."""
        with self._lock:
            self._garbage.add(name)

    def find_orphans(self, kept: set[str]) -> int:
        """Looks for objects that no manifest names and nobody knows of, for ``collect``; returns how many there are.

        A build that was given up puts its object all the same, if it gets to it, perhaps long after whoever wanted it
        was replaced. ``kept`` are objects, and outputs of builds under way, whose attempts have names that begin so.

        Nothing where another writer has taken over: what is there may be its own. As it puts its manifest before any
        object, and the manifests are looked at after the objects, it is never taken for an orphan.
        """
        names = self.store.list(self.prefix)
        if not self._is_newest(self._number):
            return 0
        begin = len(self.prefix)
        objects = {name[begin:] for name in names if name[begin:].startswith((SEGMENTS, DELETIONS))}
        with self._lock:
            known = kept | self._garbage | set().union(*self._named)
            orphans = {name for name in objects - known if build_of(name) not in kept}
            self._garbage |= orphans
        return len(orphans)

    def collect(self, kept: set[str]) -> None:
        """Deletes what nobody needs, but for ``kept``. Raises Fenced where another store has taken the place."""
        with self._lock:
            due = self._garbage - kept - set().union(*self._named)
        if self._provenance is not None and (due or self._old_numbers):
            self._provenance.require_place()
        for name in sorted(due):
            self.store.delete(self.full(name))
            with self._lock:
                self._garbage.discard(name)
        for number in sorted(self._old_numbers):
            self.store.delete(self._log.name(number))
            self._old_numbers.discard(number)

    def delete_all(self) -> None:
        """Of an index that is no more; but nothing where a copy of the store has gone on with it.

        The newest manifest goes last: as long as anything is there, it says whose it is. Raises Fenced where another
        store has taken the place.
        """
        names = self.store.list(self.prefix)
        if self._provenance is not None and names:
            self._provenance.require_place()
            try:
                newest = self.newest()
            except Corruption:  # nobody can go on with that
                newest = None
            if newest is not None and (why := self._provenance.whose_else(newest[1])) is not None:
                _log.warning("%s: the objects of this deleted index are left: %s", self.prefix, why)
                return
        numbers = self._log.numbers_among(names)
        manifests = {self._log.name(number) for number in numbers}
        for name in names:
            if name not in manifests:
                self.store.delete(name)
        for name in sorted(manifests):
            self.store.delete(name)


def index_prefix_in(name: str, place: str) -> str:
    """`prefix_of` the index that object ``name`` is of, which is in ``place``."""
    return "/".join(name[len(place) :].split("/")[:2]) + "/"


def build_of(name: str) -> str:
    """The output that a build was asked for, of that of any attempt at it (`lutra.index.builds.remote.jobs`)."""
    return name.partition("-")[0]


def sweep(
    store: ObjectStore,
    deleted: Iterable[IndexDefinition],
    changelog: Changelog,
    claim: Claim | None,
    place: str = "",
) -> list[IndexDefinition]:
    """Deletes the objects of indexes that were deleted, which a crash or an outage left. One list, where there are any.

    ``place``: where they are, as `lutra.objects.owner.owner_of` takes it.

    Returns those of which nothing is left but what a copy of the store has gone on with. Raises StorageFailure, Fenced.
    """
    doomed = {prefix_of(definition): definition for definition in deleted}
    if not doomed:
        return []
    there = {index_prefix_in(name, place) for name in store.list(place + ROOT)}
    for prefix in there & doomed.keys():
        IndexStorage(store, place + prefix, Provenance(changelog, doomed[prefix].table_id, claim)).delete_all()
    return list(doomed.values())
