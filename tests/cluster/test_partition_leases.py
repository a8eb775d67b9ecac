"""Leases of partitions: one wins each number, and an old number means nothing."""

from __future__ import annotations

import pytest
from support.memory_store import LostAnswer, MemoryStore

from lutra.cluster.lease_records import PartitionRecord
from lutra.cluster.partition_leases import KEPT, UNOWNED, PartitionLease, PartitionLeases
from lutra.model.errors import Corruption, StorageFailure

A, B = PartitionRecord("a", 1), PartitionRecord("b", 4)


@pytest.fixture
def objects() -> dict[str, bytes]:
    return {}


class Tokens:
    def __init__(self) -> None:
        self._given = 0

    def __call__(self, length: int) -> bytes:
        self._given += 1
        return self._given.to_bytes(length, "big")


def leases_of(objects: dict[str, bytes], tokens: Tokens | None = None) -> PartitionLeases:
    return PartitionLeases(MemoryStore(objects), tokens or Tokens())


def test_one_takes_what_nobody_has(objects: dict[str, bytes]) -> None:
    leases = leases_of(objects)
    assert leases.newest("p") == UNOWNED
    assert leases.put_next("p", 0, A)
    assert not leases.put_next("p", 0, B)
    assert leases.newest("p") == leases.read("p", 1) == PartitionLease(1, A)
    assert leases.epoch("p") == 1
    assert leases.epochs() == {"p": 1}
    assert leases.epoch("q") == 0


def test_the_number_grows_and_old_ones_go(objects: dict[str, bytes]) -> None:
    leases = leases_of(objects)
    for epoch in range(6):
        assert leases.put_next("p", epoch, A if epoch % 2 else B)
    assert len(objects) == KEPT
    assert leases.epochs() == {"p": 6}
    assert leases.read("p", 1) == PartitionLease(6, A)  # the newest, where that one is gone


def test_who_stalled_until_the_number_was_free_again_has_nothing(objects: dict[str, bytes]) -> None:
    tokens = Tokens()
    others = leases_of(objects, tokens)

    def stall(kind: str, name: str) -> None:
        if kind == "put_if_absent":
            for epoch in range(2 * KEPT):
                assert others.put_next("p", epoch, B)

    stalled = PartitionLeases(MemoryStore(objects, stall), tokens)
    assert not stalled.put_next("p", 0, A)
    assert others.newest("p") == PartitionLease(2 * KEPT, B)
    assert others.put_next("p", 2 * KEPT, B)
    assert len(objects) == KEPT


def test_a_lost_answer_is_found_out(objects: dict[str, bytes]) -> None:
    failures = [LostAnswer]

    def fail(kind: str, name: str) -> None:
        if kind == "put_if_absent" and failures:
            raise failures.pop()

    assert PartitionLeases(MemoryStore(objects, fail), Tokens()).put_next("p", 0, A)
    assert leases_of(objects).newest("p") == PartitionLease(1, A)


def test_who_puts_the_same_is_not_taken_for_another(objects: dict[str, bytes]) -> None:
    """Two runs of a step of one node: what they say is the same, and one of them was first."""
    tokens = Tokens()
    assert leases_of(objects, tokens).put_next("p", 0, A)
    assert not leases_of(objects, tokens).put_next("p", 0, A)


def test_a_delete_that_fails_does_not_undo_what_was_taken(objects: dict[str, bytes]) -> None:
    def fail(kind: str, name: str) -> None:
        if kind == "delete":
            raise LostAnswer

    leases = PartitionLeases(MemoryStore(objects, fail), Tokens())
    for epoch in range(4):
        assert leases.put_next("p", epoch, A)


def test_a_store_that_fails_says_so(objects: dict[str, bytes]) -> None:
    def fail(kind: str, name: str) -> None:
        raise LostAnswer

    with pytest.raises(StorageFailure):
        PartitionLeases(MemoryStore(objects, fail), Tokens()).put_next("p", 0, A)


def test_all_of_a_partition_goes_with_it(objects: dict[str, bytes]) -> None:
    leases = leases_of(objects)
    for partition_id in ("p", "p2"):
        leases.put_next(partition_id, 0, A)
    leases.remove("p")
    assert leases.epochs() == {"p2": 1}


def test_records_come_back_and_others_are_refused() -> None:
    released = PartitionRecord("a", 3, is_released=True, successor="b")
    assert PartitionRecord.from_json(released.to_json()) == released
    for data in (b"", b"{}", b'{"format": 7}'):
        with pytest.raises(Corruption):
            PartitionRecord.from_json(data)
