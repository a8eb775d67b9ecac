"""Who has a place: one of many who take it, known to all the others at their next use."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.faulty_store import FAILURES, Effect, Fault, FaultyStore

from lutra.model.errors import Corruption, Fenced, ForeignObjects, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.owner import OWNER, Claim, Owner, owner_of
from lutra.objects.store import ObjectStore

A = Owner("a" * 32, "1" * 32, "/data/a", "otter", 1_700_000_000_000_000)
B = Owner("b" * 32, "2" * 32, "/data/b", "beaver", 1_700_000_000_000_000)


def claim(store: ObjectStore, owner: Owner) -> Claim:
    """One that takes from nobody but a store of the same id."""

    def judge(before: Owner | None) -> None:
        if before is not None and before.store != owner.store:
            raise ForeignObjects(str(before))

    return Claim(store, owner, judge)


def test_a_place_is_taken_once(store: ObjectStore) -> None:
    assert owner_of(store) is None
    first = claim(store, A)
    first.take()
    first.require()
    assert owner_of(store) == A
    there = [(name, store.get(name)) for name in store.list("")]
    with pytest.raises(ForeignObjects, match=r"store a+, data directory /data/a on otter, opened 2023-11-14T22:13:20"):
        claim(store, B).take()
    assert [(name, store.get(name)) for name in store.list("")] == there, "refused before anything was changed"
    first.require()


def test_the_next_opening_and_a_copy_are_told_from_each_other(store: ObjectStore) -> None:
    first, second = claim(store, A), claim(store, replace(A, opening="3" * 32))
    first.take()
    second.take()
    with pytest.raises(Fenced, match="a copy of this data directory has taken"):
        first.require()
    second.require()
    assert len(store.list(OWNER)) == 1, "what nobody needs is gone"


def test_a_place_is_seized(store: ObjectStore) -> None:
    first, second = claim(store, A), claim(store, B)
    first.take()
    second.seize()
    with pytest.raises(Fenced, match=r"another store has taken the place of these objects: store b+, data directory"):
        first.require()
    with pytest.raises(ForeignObjects):
        first.take()
    second.require()
    claim(store, replace(B, opening="4" * 32)).take()


def test_what_says_who_has_it_may_be_damaged(store: ObjectStore) -> None:
    claim(store, A).take()
    (name,) = store.list(OWNER)
    data = bytearray(store.get(name))
    data[-20] ^= 1
    store.put(name, bytes(data))
    for look in (lambda: owner_of(store), claim(store, A).take):
        with pytest.raises(Corruption, match=name):
            look()
    mine = claim(store, A)
    mine.seize()
    assert owner_of(store) == A
    mine.require()
    number = int(store.list(OWNER)[-1].rpartition("/")[2])
    store.put(f"{OWNER}/{number + 1:020d}", b"damaged")
    with pytest.raises(StorageFailure, match=r"whose these objects are cannot be told: .*`lutra objects adopt`"):
        mine.require()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"format": 2}',
        b'{"format": 1}',
        b"\xff",
        A.to_json().replace(b'"otter"', b"7"),
        A.to_json().replace(b"1700000000000000", b"1e9"),
        A.to_json().replace(b"1700000000000000", b"-1"),
        A.to_json().replace(b"1700000000000000", b"9" * 30),
    ],
)
def test_what_is_no_owner_is_refused(data: bytes) -> None:
    with pytest.raises(Corruption):
        Owner.from_json(data)


def test_where_all_was_deleted_it_is_taken_again(store: ObjectStore) -> None:
    first = claim(store, A)
    first.take()
    for name in store.list(""):
        store.delete(name)
    first.require()
    assert owner_of(store) == A


def test_of_many_stores_one_gets_it(tmp_path: Path) -> None:
    for round_number in range(10):
        folder = tmp_path / str(round_number)
        start = threading.Barrier(8)

        def take(number: int, folder: Path = folder, start: threading.Barrier = start) -> bool:
            mine = claim(LocalStore(folder), replace(A, store=f"{number:032}", opening=f"{number:032}"))
            start.wait()
            try:
                mine.take()
                mine.require()
            except ForeignObjects:
                return False
            return True

        with ThreadPoolExecutor(8) as takers:
            won = list(takers.map(take, range(8)))
        assert sum(won) == 1
        owner = owner_of(LocalStore(folder))
        assert owner is not None
        assert owner.store == f"{won.index(True):032}"


@pytest.mark.parametrize("effect", FAILURES)
def test_whatever_fails_it_is_taken_in_the_end_or_not_at_all(effect: Effect, tmp_path: Path) -> None:
    """Also where a put happened of which it was told that it failed."""
    for number in range(1, 50):
        inner = LocalStore(tmp_path / str(number))
        claim(inner, replace(A, opening="0" * 32)).take()
        store = FaultyStore(inner, [Fault(number, effect)])
        mine = claim(store, A)
        for use in (mine.take, mine.require):
            try:
                use()
            except StorageFailure:
                use()
        assert owner_of(inner) == A
        if store.operations < number:
            assert number > 5
            return
    raise AssertionError("it never came to its end")
