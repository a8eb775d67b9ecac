"""Objects of an index: who may write, and what goes when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutra.index.builds.policy import SegmentShape
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.manifest import Manifest, SegmentEntry
from lutra.index.lsm.storage import IndexStorage, prefix_of, sweep
from lutra.kv.memory import MemoryStore
from lutra.model.errors import Corruption, Fenced
from lutra.model.indexes import IndexSchema
from lutra.objects.local import LocalStore
from lutra.tables.space import TableSpace

PREFIX = "indexes/1-x-1/"
FIRST = Manifest("a", "s")


def naming(*names: str) -> Manifest:
    return replace(FIRST, segments=tuple(SegmentEntry(SegmentShape(name, 1, 0, 1)) for name in names))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def opened(store: LocalStore) -> IndexStorage:
    storage = IndexStorage(store, PREFIX)
    storage.take_over(FIRST, lambda manifest: None)
    return storage


def put(storage: IndexStorage, name: str) -> str:
    storage.store.put(storage.full(name), b"x")
    return name


def left(storage: IndexStorage) -> list[str]:
    return [name.removeprefix(PREFIX) for name in storage.store.list(PREFIX + "segments")]


def test_objects_go_two_manifests_after_they_were_named_last(store: LocalStore) -> None:
    storage = opened(store)
    old, new = put(storage, "segments/old"), put(storage, "segments/new")
    storage.commit(naming(old, new))
    for kept in ([new, old], [new]):
        storage.commit(naming(new))
        storage.collect(set())
        assert left(storage) == kept
    assert len(store.list(PREFIX + "manifest")) == 2
    storage.commit(naming())
    storage.commit(naming())
    storage.collect({new})
    assert left(storage) == [new], "somebody holds it"
    storage.collect(set())
    assert left(storage) == []


def test_what_was_put_for_nothing_goes(store: LocalStore) -> None:
    storage = opened(store)
    storage.discard(put(storage, "segments/a"))
    storage.discard(put(storage, "segments/b"))
    storage.commit(naming("segments/b"))
    storage.collect(set())
    assert left(storage) == ["segments/b"]


def test_what_an_earlier_writer_left_goes(store: LocalStore) -> None:
    before = opened(store)
    put(before, "segments/left")
    before.commit(naming(put(before, "segments/named")))
    for _ in range(3):
        before.commit(naming("segments/named"))
    storage = opened(store)
    storage.collect(set())
    assert left(storage) == ["segments/named"]
    assert len(store.list(PREFIX + "manifest")) == 2


class Overtaken(LocalStore):
    """Another writer opens the index, and puts an object, at the end of the first list."""

    def list(self, prefix: str) -> list[str]:
        names = super().list(prefix)
        if not hasattr(self, "fast"):
            self.fast = opened(LocalStore(self.root))
            put(self.fast, "segments/new")
            names = sorted({*names, *super().list(prefix + "segments")})  # seen, though listed before its manifest
        return names


def test_a_writer_that_was_overtaken_takes_nothing_away(store: LocalStore) -> None:
    slow = opened(store)
    fast = opened(store)
    put(fast, "segments/new")
    slow.collect(set())
    assert left(fast) == ["segments/new"]
    fast.commit(naming("segments/new"))
    with pytest.raises(Fenced):
        slow.commit(FIRST)


def test_a_writer_that_is_overtaken_while_it_lists_looks_again(store: LocalStore) -> None:
    opened(store).commit(naming())
    racing = Overtaken(store.root)
    slow = opened(racing)
    assert slow.number == 4, "two before, and one of the other's"
    with pytest.raises(Fenced):
        racing.fast.commit(naming("segments/new"))
    slow.collect(set())
    assert left(slow) == [], "nobody has named it, and nobody will"


def test_opening_takes_four_requests(store: LocalStore) -> None:
    storage = opened(store)
    storage.commit(naming(*(put(storage, f"segments/{number}") for number in range(200))))
    before = store.requests
    opened(store)
    spent = store.requests - before
    assert (spent.lists, spent.gets, spent.puts, spent.round_trips) == (2, 1, 1, 4)


def test_beginning_anew_needs_nothing_that_was_there(store: LocalStore) -> None:
    storage = opened(store)
    storage.commit(naming(put(storage, "segments/lost")))
    for name in store.list(PREFIX + "manifest"):
        store.put(name, b"damaged")
    fresh = IndexStorage(store, PREFIX)
    fresh.begin_anew(FIRST)
    with pytest.raises(Fenced):
        storage.commit(FIRST)
    assert [m for _, m in fresh.manifests() if not isinstance(m, Corruption)] == [FIRST]
    fresh.collect(set())
    assert left(fresh) == []
    assert IndexStorage(store, PREFIX).take_over(FIRST, lambda manifest: None) == (FIRST, None)


def test_damaged_manifests_are_told(store: LocalStore) -> None:
    storage = opened(store)
    storage.commit(FIRST)
    name = store.list(PREFIX + "manifest")[-1]
    data = bytearray(store.get(name))
    data[-10] ^= 1
    store.put(name, bytes(data))
    found = dict(storage.manifests())
    assert isinstance(found[name], Corruption)
    with pytest.raises(Corruption):
        opened(store)


def test_prefixes_and_sweeping(store: LocalStore) -> None:
    """Only what is known to have been deleted is; of who it is there is no other proof."""
    one = IndexDefinition("i", "t", 1, "x", IndexSchema(()), 5)
    long_names = [replace(one, name="n" * 254 + end) for end in "ab"]
    assert prefix_of(one) == "indexes/1-x-5/"
    assert len({prefix_of(definition) for definition in (one, *long_names)}) == 3
    for definition in (one, *long_names):
        store.put(prefix_of(definition) + "segments/a", b"x")
    store.put("other/a", b"x")
    changelog = TableSpace(MemoryStore()).changelog
    assert sweep(store, [], changelog, None) == []
    assert store.requests.lists == 0, "nothing to look for"
    gone = [long_names[1], replace(one, name="never")]
    assert sweep(store, gone, changelog, None) == gone
    left = [prefix_of(long_names[0]) + "segments/a", "indexes/1-x-5/segments/a", "other/a"]
    assert store.list("") == sorted(left)
    IndexStorage(store, prefix_of(one)).delete_all()
    assert store.list("") == [left[0], "other/a"]
