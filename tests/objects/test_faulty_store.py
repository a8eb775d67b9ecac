"""The store that fails as told does so: the tests that rest on it are worth what it is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.faulty_store import WRITES, Effect, Fault, FaultyStore

from lutra.model.errors import StorageFailure
from lutra.objects.local import LocalStore


@pytest.fixture
def inner(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects")


def test_the_nth_operation_fails_before_or_after_it_happened(inner: LocalStore) -> None:
    store = FaultyStore(inner, [Fault(2, Effect.BEFORE), Fault(3, Effect.AFTER)])
    store.put("a", b"1")
    for name in ("b", "c"):
        with pytest.raises(StorageFailure, match=f"{name}: put failed: .*injected"):
            store.put(name, b"1")
    assert store.list("") == ["a", "c"]
    assert [(operation.number, operation.kind, operation.name) for operation in store.failed] == [
        (2, "put", "b"),
        (3, "put", "c"),
    ]
    assert store.operations == 4


def test_only_what_is_counted_fails(inner: LocalStore) -> None:
    store = FaultyStore(inner, [Fault(2, Effect.BEFORE)], counted=WRITES)
    store.put("a", b"1")
    assert store.get("a") == b"1"
    assert store.operations == 1
    with pytest.raises(StorageFailure):
        store.delete("a")
    assert store.list("") == ["a"]


def test_a_store_that_is_gone_stays_gone_until_healed(inner: LocalStore) -> None:
    store = FaultyStore(inner, [Fault(1, Effect.AFTER, lasts=True)], counted=WRITES)
    for use in (lambda: store.put("a", b"1"), lambda: store.put("b", b"1"), lambda: store.get("a")):
        with pytest.raises(StorageFailure):
            use()
    store.heal()
    assert store.list("") == ["a"]
    store.fail_next(Effect.BEFORE, after=1)
    store.put("b", b"2")
    with pytest.raises(StorageFailure):
        store.put("c", b"3")


def test_reads_come_short_cut_or_flipped(inner: LocalStore) -> None:
    inner.put("a", b"12345678")
    store = FaultyStore(inner)
    reads = {
        "get": (lambda: store.get("a"), b"1234", b"1234\x25678"),
        "read": (lambda: store.read("a", 2, 4), b"34", b"34\x256"),
        "read_many": (lambda: store.read_many("a", [(0, 2), (6, 2)]), [b"12", b"7"], [b"12", b"7\x28"]),
    }
    for read, cut, flipped in reads.values():
        store.fail_next(Effect.SHORT)
        with pytest.raises(StorageFailure, match="came short"):
            read()
        store.fail_next(Effect.TRUNCATED)
        assert read() == cut
        store.fail_next(Effect.FLIPPED)
        assert read() == flipped
    store.fail_next(Effect.FLIPPED)
    with pytest.raises(StorageFailure, match="reset"):
        store.size("a")


def test_a_seed_gives_the_same_faults_again(tmp_path: Path) -> None:
    histories = []
    for run, seed in enumerate((7, 7, 8)):
        store = FaultyStore(LocalStore(tmp_path / str(run)), seed=seed, rate=0.3, effects=list(Effect))
        for i in range(60):
            try:
                store.put(f"a/{i}", b"1")
                store.get(f"a/{i}")
            except StorageFailure:
                continue
        histories.append(store.history)
    assert histories[0] == histories[1] != histories[2]
    share = sum(operation.effect is not None for operation in histories[0]) / len(histories[0])
    assert 0.1 < share < 0.5


def test_latency_is_added(inner: LocalStore) -> None:
    store = FaultyStore(inner, latency_ms=(30, 30))
    started = time.monotonic()
    store.list("")
    assert time.monotonic() - started >= 0.03


def test_paths_are_given_only_where_asked_for(inner: LocalStore) -> None:
    assert FaultyStore(inner).local_path("a") is None
    assert FaultyStore(inner, local=True).local_path("a") == inner.root / "a"
