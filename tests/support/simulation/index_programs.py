"""Writers of one search index's objects, over the real `IndexStorage`, and what must hold in whatever order they come.

A segment is its rows' names. A writer takes over, then in each round puts a segment of a row of its own, or one of all
rows in the place of all segments, as a merge does, commits a manifest of what there is, and collects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal, TypeVar

from support.simulation.processes import Context, Program
from support.simulation.world import View

from lutra.index.builds.policy import SegmentShape
from lutra.index.lsm.manifest import Manifest, SegmentEntry
from lutra.index.lsm.storage import IndexStorage
from lutra.model.errors import Fenced, ObjectMissing, StorageFailure
from lutra.objects.manifest_log import MAGIC

PREFIX: Final = "indexes/1-i-2/"
MANIFESTS: Final = f"{PREFIX}manifest/"
TRIES: Final = 3

T = TypeVar("T")
Round = Literal["flush", "merge"]
MakeStorage = Callable[[Context], IndexStorage]


def storage_of(context: Context) -> IndexStorage:
    return IndexStorage(context.store, PREFIX)


def index_writer(name: str, rounds: Sequence[Round], *, make_storage: MakeStorage = storage_of) -> Program:
    """One that opens the index, and stops where it is fenced, or the store fails too often.

    Where others go on all the time, as nothing stops them here, it may not come to open it: that ends it, too.
    """

    def run(context: Context) -> None:
        with contextlib.suppress(Fenced, StorageFailure):
            writer = _Writer(context, make_storage(context))
            for number, kind in enumerate(rounds, 1):
                context.knows(number, writer.known)
                writer.round(kind, f"{name}{number}")

    return Program(name, lambda context: [lambda: run(context)])


class _Writer:
    """What `lutra.index.lsm.index` does with its storage, in the same order."""

    def __init__(self, context: Context, storage: IndexStorage) -> None:
        self._context, self._storage = context, storage
        first = Manifest(context.name, "schema")
        self._manifest, self._rows = _again(lambda: storage.take_over(first, self._opened))
        context.note("opened", storage.number, tuple(sorted(self._rows)))

    @property
    def known(self) -> tuple[object, ...]:
        return self._storage, self._manifest, self._rows

    def _opened(self, manifest: Manifest) -> set[str]:
        rows: set[str] = set()
        for entry in manifest.segments:
            rows.update(self._storage.store.get(self._storage.full(entry.shape.name)).decode().split())
        return rows

    def round(self, kind: Round, row: str) -> None:
        storage = self._storage
        segment = storage.new_segment()
        storage.discard(segment)  # unless a manifest comes to name it
        rows = self._rows | {row}
        content = sorted(rows) if kind == "merge" else [row]
        _again(lambda: storage.store.put(storage.full(segment), " ".join(content).encode()))
        entry = SegmentEntry(SegmentShape(segment, len(content), 0, 1))
        kept = () if kind == "merge" else self._manifest.segments
        self._manifest, self._rows = replace(self._manifest, segments=(*kept, entry)), rows
        _again(lambda: storage.commit(self._manifest))
        self._context.note("committed", storage.number, row)
        with contextlib.suppress(ObjectMissing):
            _again(lambda: storage.collect(set()))


def _again(act: Callable[[], T]) -> T:
    """Again where the store failed, as the rounds of an index do."""
    for tries_left in reversed(range(TRIES)):
        try:
            return act()
        except Fenced:
            raise
        except StorageFailure:
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


@lru_cache(maxsize=100_000)
def _manifest_in(data: bytes) -> Manifest:
    head = len(MAGIC) + 4 + 8 + 16 + 8
    return Manifest.from_json(data[head:-4])


def _manifests(view: View) -> dict[int, Manifest]:
    names = (name for name in view.objects if name.startswith(MANIFESTS))
    return {int(name.removeprefix(MANIFESTS)): _manifest_in(view.objects[name]) for name in names}


def one_writer_wins_each_number(view: View) -> None:
    numbers = [number for kind in ("opened", "committed") for _, (number, _) in view.noted(kind)]
    assert len(numbers) == len(set(numbers)), f"a number was won twice: {sorted(numbers)}"


def what_manifests_name_is_there(view: View) -> None:
    """Of the newest, and of the one before, which readers may have just read."""
    manifests = _manifests(view)
    newest = max(manifests, default=0)
    for number in (newest, newest - 1):
        for name in manifests[number].names if number in manifests else ():
            assert PREFIX + name in view.objects, f"manifest {number}, of {newest}, names {name}, which is gone"


def no_committed_row_is_lost(view: View) -> None:
    manifests = _manifests(view)
    newest = max(manifests, default=0)
    found: set[str] = set()
    for name in manifests[newest].names if newest else ():
        found.update(view.objects[PREFIX + name].decode().split())
    for who, (number, row) in view.noted("committed"):
        assert newest >= number, f"{who} committed {number}, and {newest} is the newest"
        assert row in found, f"{row}, which {who} committed as {number}, is not in manifest {newest}"


INDEX_INVARIANTS: Final = (one_writer_wins_each_number, what_manifests_name_is_there, no_committed_row_is_lost)
