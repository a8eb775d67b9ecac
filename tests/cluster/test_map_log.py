"""Many change one map: each change is made once, and none is lost, whatever the store says."""

from __future__ import annotations

import itertools
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.cluster_maps import map_of
from support.faulty_store import Effect, Fault, FaultyStore

from lutra.cluster.lease_records import PartitionRecord
from lutra.cluster.map import ClusterMap
from lutra.cluster.map_changes import create_instance
from lutra.cluster.map_log import FOLDER, KEPT, MapLog
from lutra.cluster.partition_leases import PartitionLeases
from lutra.model.errors import Corruption, LutraError, ObjectAlreadyExist, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects")


def test_the_newest_is_read_and_only_when_it_is_new(local: LocalStore) -> None:
    writer, reader = MapLog(local), MapLog(local)
    assert reader.newest() == ClusterMap()
    made = writer.change(lambda of: map_of(2))
    assert made.version == 1
    assert reader.newest() == made
    before = local.requests
    assert reader.newest() is reader.known
    spent = local.requests - before
    assert (spent.lists, spent.gets, spent.puts) == (1, 0, 0)


def test_a_cluster_that_has_lost_its_map_is_not_taken_for_a_new_one(local: LocalStore) -> None:
    """Its rows are there yet: an empty map in the place of the lost one would hide them for good."""
    log = MapLog(local)
    log.change(lambda of: map_of(2))
    PartitionLeases(local, secrets.token_bytes).put_next("p0", 0, PartitionRecord("n0", 1))
    for name in local.list(FOLDER):
        local.delete(name)
    with pytest.raises(Corruption, match="has lost its map"):
        MapLog(local).newest()
    with pytest.raises(Corruption, match="has lost its map"):
        MapLog(local).change(lambda of: create_instance(of, "main"))
    assert local.list(FOLDER) == []
    log.change(lambda of: create_instance(of, "other"))  # who has seen it goes on, and brings it back
    assert MapLog(local).newest() == log.known


def test_a_change_that_changes_nothing_is_not_stored(local: LocalStore) -> None:
    log = MapLog(local)
    assert log.change(lambda of: of).version == 0
    assert local.list("") == []


def test_a_change_that_is_refused_is_not_stored(local: LocalStore) -> None:
    log = MapLog(local)
    log.change(lambda of: create_instance(of, "main"))
    with pytest.raises(ObjectAlreadyExist):
        MapLog(local).change(lambda of: create_instance(of, "main"))
    assert log.newest().version == 1


def test_of_many_who_change_at_once_all_do(local: LocalStore) -> None:
    start = threading.Barrier(8, timeout=30)

    def change(writer: int) -> None:
        log = MapLog(local)
        start.wait()
        for number in range(6):
            log.change(lambda of, name=f"i{writer}-{number}": create_instance(of, name))  # type: ignore[misc]

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(change, range(8)))
    found = MapLog(local).newest()
    assert found.version == len(found.instances) == 48
    numbers = ManifestLog(local, FOLDER).numbers()
    assert numbers[-KEPT:] == list(range(48 - KEPT + 1, 49))
    assert len(numbers) <= KEPT + 8


@pytest.mark.parametrize("effect", [Effect.BEFORE, Effect.AFTER])
def test_a_fault_at_any_request_leaves_it_changed_once_or_not(tmp_path: Path, effect: Effect) -> None:
    for number in itertools.count(1):
        inner = LocalStore(tmp_path / f"{effect.value}{number}")
        MapLog(inner).change(lambda of: create_instance(of, "first"))
        store = FaultyStore(inner, [Fault(number, effect)])
        log = MapLog(store)
        changed = True
        try:
            log.change(lambda of: create_instance(of, "second"))
        except StorageFailure:
            changed = False
        found = MapLog(inner).newest()
        if changed:
            assert (found.version, found.instances) == (2, ("first", "second"))
        assert found.version == len(found.instances)
        if store.operations < number:
            assert changed
            break


class GoesOnWithin(FaultyStore):
    """Others make ``changes`` maps after the put of one writer, before it hears of it."""

    def __init__(self, inner: LocalStore, changes: int) -> None:
        super().__init__(inner)
        self._changes = changes

    def put_if_absent(self, name: str, data: bytes) -> bool:
        done = super().put_if_absent(name, data)
        others = MapLog(self.inner)
        for number in range(self._changes):
            others.change(lambda of, name=f"other{number}": create_instance(of, name))  # type: ignore[misc]
        return done


@pytest.mark.parametrize("changes", [1, KEPT - 1])
def test_a_change_from_which_others_go_on_at_once_was_made(local: LocalStore, changes: int) -> None:
    log = MapLog(GoesOnWithin(local, changes))
    log.change(lambda of: create_instance(of, "mine"))
    found = MapLog(local).newest()
    assert found.version == changes + 1
    assert found.has_instance("mine")
    assert log.newest() == found


class Stalls(FaultyStore):
    """One writer stalls before its put until others have made so many maps that its number is free again."""

    def put_if_absent(self, name: str, data: bytes) -> bool:
        others = MapLog(self.inner)
        while name in self.inner.list(FOLDER) or others.known.version < 2 * KEPT:
            others.change(lambda of: create_instance(of, f"other{of.version}"))
        return super().put_if_absent(name, data)


def test_who_stalled_until_its_number_was_free_again_has_changed_nothing(local: LocalStore) -> None:
    MapLog(local).change(lambda of: create_instance(of, "first"))
    with pytest.raises(StorageFailure, match="not known whether it was first"):
        MapLog(Stalls(local)).change(lambda of: create_instance(of, "stalled"))
    assert 2 in ManifestLog(local, FOLDER).numbers()
    found = MapLog(local).newest()
    assert found.version >= 2 * KEPT
    assert not found.has_instance("stalled")
    for _ in range(8):
        MapLog(local).change(lambda of: create_instance(of, f"later{of.version}"))
    assert 2 not in ManifestLog(local, FOLDER).numbers()


def test_a_store_that_fails_for_good_says_so(local: LocalStore) -> None:
    store = FaultyStore(local, [Fault(1, Effect.BEFORE, lasts=True)])
    with pytest.raises(LutraError):
        MapLog(store).change(lambda of: create_instance(of, "main"))
    store.heal()
    assert MapLog(store).newest().version == 0
