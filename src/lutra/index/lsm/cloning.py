"""The part of an index that has the documents of one key range, as an index of its own: without copying a segment.

The first manifest of the new index borrows the segments of the old one (`lutra.index.lsm.manifest.is_own`), with the
documents beyond the range as deletions. As a segment's documents are numbered in the order of their keys, those within
are one run, found by two look-ups. Merges replace what is borrowed, as they do segments with dead documents of any
kind. What is in buffers only is read again, from the changelog that the new index goes on with.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from lutra.index.lsm.manifest import BytesWritten, Manifest, SegmentEntry
from lutra.index.lsm.open_segment import OpenSegment
from lutra.index.lsm.segment_set import SegmentSet
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import StorageFailure
from lutra.segments.deletions import dead_of, write_deletions


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Encoded keys from ``begin`` on, and before ``end``; None: to the last."""

    begin: bytes
    end: bytes | None


@dataclass(frozen=True, slots=True)
class IndexClone:
    """``borrowed``: the objects of other indexes that it needs, by their names in the store."""

    manifest: Manifest
    borrowed: Set[str]


def clone_index(storage: IndexStorage, segments: SegmentSet, prefixes: dict[str, KeyRange]) -> dict[str, IndexClone]:
    """Makes an index of each key range, at the prefix in the store that is its own; gives them by prefix.

    Of an index that is held still (`lutra.index.lsm.index.SearchIndex.still`). Where that has no manifest yet, as it
    has just been made, its clones have none either. The first of them takes over what was counted of values left out.
    To go on from a clone takes the table, with its changes and its history, as it is after this, and no change to it
    meanwhile. What is borrowed is to be there as long as it is borrowed: that is for others to see to.

    Raises Fenced where a clone is there already; StorageFailure, Corruption.
    """
    found = storage.newest()
    if found is None:
        return {}
    opened = {segment.name: segment for segment in segments.all()}
    manifest = replace(storage.signed(found[1]), written=BytesWritten())
    clones = {}
    for number, (prefix, keys) in enumerate(prefixes.items()):
        clone = _Clone(storage, IndexStorage(storage.store, prefix), opened.get)
        counted = manifest if not number else replace(manifest, unindexed={})
        clones[prefix] = clone.of(counted, keys)
    return clones


class _Clone:
    """One that is being made."""

    def __init__(
        self, parent: IndexStorage, storage: IndexStorage, opened: Callable[[str], OpenSegment | None]
    ) -> None:
        self._parent = parent
        self._storage = storage
        self._opened = opened

    def of(self, manifest: Manifest, keys: KeyRange) -> IndexClone:
        entries = [made for entry in manifest.segments if (made := self._entry(entry, keys)) is not None]
        manifest = replace(manifest, segments=tuple(entries))
        self._storage.commit(manifest)
        return IndexClone(manifest, self._storage.borrowed(set()))

    def _entry(self, entry: SegmentEntry, keys: KeyRange) -> SegmentEntry | None:
        """None where no document of the segment lives in the range."""
        segment = self._opened(entry.shape.name)
        if segment is None:  # of a merge that was to be in a manifest by now, but for a store that failed
            raise StorageFailure(f"{self._parent.prefix}: its segments are being replaced at this moment: try again")
        size, live = segment.shape.rows, segment.live()
        begin = _place(segment, keys.begin)
        end = size if keys.end is None else _place(segment, keys.end)
        name = self._parent.full(entry.shape.name)
        dead = dead_of(live)
        is_as_before = len(dead) == entry.shape.dead and (begin, end) == (0, size)
        if not is_as_before:
            dead.add_range(0, begin)
            dead.add_range(end, size)
        if len(dead) == size:
            return None
        if is_as_before:
            deletions = None if entry.deletions is None else self._parent.full(entry.deletions)
        else:
            dead.run_optimize()
            deletions = self._storage.new_deletions()
            write_deletions(self._parent.store, self._storage.full(deletions), dead)
        return replace(entry, shape=replace(entry.shape, name=name, dead=len(dead)), deletions=deletions)


def _place(segment: OpenSegment, key: bytes) -> int:
    """The first document whose key is not less."""
    greater, equal = segment.segment.keys.place(key)
    return greater if equal < 0 else equal
