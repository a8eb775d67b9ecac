"""Numbered manifests: the newest counts, one writer wins, and it knows its own."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.faulty_store import Effect, Fault, FaultyStore

from lutra.model.errors import Corruption, Fenced, ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.store import ObjectStore

FOLDER = "indexes/1-i-2/manifest"


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects")


def test_the_newest_counts(store: ObjectStore) -> None:
    log = ManifestLog(store, FOLDER)
    assert log.latest() is None
    for number in range(1, 13):
        assert log.commit(number, b"state %d" % number) == number
        assert log.latest() == (number, b"state %d" % number)
    assert store.list(FOLDER)[0] == f"{FOLDER}/00000000000000000001"
    assert ManifestLog(store, FOLDER).latest() == (12, b"state 12")
    assert log.read(3) == (3, b"state 3")


@pytest.mark.parametrize("count", [1, 3, 40])
def test_opening_takes_one_list_and_one_get(store: ObjectStore, count: int) -> None:
    log = ManifestLog(store, FOLDER)
    for number in range(1, count + 1):
        log.commit(number, b"x")
    before = store.requests
    log.latest()
    spent = store.requests - before
    assert (spent.lists, spent.gets, spent.round_trips) == (1, 1, 2)


def test_who_comes_second_is_fenced(store: ObjectStore) -> None:
    mine, theirs = ManifestLog(store, FOLDER), ManifestLog(store, FOLDER)
    mine.commit(1, b"same")
    with pytest.raises(Fenced, match="00000000000000000001: another writer"):
        theirs.commit(1, b"same")
    theirs.commit(2, b"theirs")
    with pytest.raises(Fenced):
        mine.commit(2, b"mine")
    with pytest.raises(Fenced):
        mine.commit(2, b"mine")
    assert mine.latest() == (2, b"theirs")


@pytest.mark.parametrize("forgotten", [False, True])
def test_who_has_slept_is_fenced_though_its_number_is_free_again(store: ObjectStore, forgotten: bool) -> None:
    slept, went_on = ManifestLog(store, FOLDER), ManifestLog(store, FOLDER)
    slept.commit(1, b"slept")
    for number in range(2, 10):
        went_on.commit(number, b"went on")
        if forgotten:
            went_on.forget(number - 1)
    for number in range(2, 10):
        with pytest.raises(Fenced):
            slept.commit(number, b"slept")
    assert went_on.latest() == (9, b"went on")
    assert went_on.commit(10, b"went on") == 10


def test_a_number_already_committed_is_not_committed_again(local: LocalStore) -> None:
    log = ManifestLog(local, FOLDER)
    log.commit(1, b"one")
    with pytest.raises(Fenced):
        log.commit(1, b"other")
    assert log.latest() == (1, b"one")


def test_of_sixteen_writers_one_wins_each_number(store: ObjectStore) -> None:
    logs = [ManifestLog(store, FOLDER) for _ in range(16)]
    start = threading.Barrier(16, timeout=30)
    won: list[tuple[int, int]] = []

    def commit(writer: int) -> None:
        for number in range(1, 6):
            start.wait()
            try:
                logs[writer].commit(number, b"%d" % writer)
                won.append((number, writer))
            except Fenced:
                pass

    with ThreadPoolExecutor(16) as writers:
        list(writers.map(commit, range(16)))
    assert sorted(number for number, _ in won) == [1, 2, 3, 4, 5]
    for number, writer in won:
        assert logs[0].read(number) == (number, b"%d" % writer)


def test_forget_keeps_the_newest(store: ObjectStore) -> None:
    log = ManifestLog(store, FOLDER)
    log.forget(10)
    for number in range(1, 6):
        log.commit(number, b"x")
    log.forget(3)
    assert log.numbers() == [3, 4, 5]
    log.forget(100)
    assert log.numbers() == [5]
    with pytest.raises(ObjectMissing):
        log.read(4)
    with pytest.raises(Fenced):
        ManifestLog(store, FOLDER).commit(5, b"x")


class Forgetful(FaultyStore):
    """Others commit and forget between each list and get, so many times."""

    times = 0

    def get(self, name: str) -> bytes:
        if self.times:
            self.times -= 1
            other = ManifestLog(self.inner, FOLDER)
            number = other.numbers()[-1] + 1
            other.commit(number, b"%d" % number)
            other.forget(number)
        return super().get(name)


def test_the_newest_may_vanish_while_it_is_looked_for(local: LocalStore) -> None:
    store = Forgetful(local)
    log = ManifestLog(store, FOLDER)
    log.commit(1, b"1")
    store.times = 3
    assert log.latest() == (4, b"4")
    store.times = 100
    with pytest.raises(StorageFailure, match="5 times"):
        log.latest()
    assert store.times == 95


def test_every_flipped_bit_and_every_cut_is_found(local: LocalStore) -> None:
    log = ManifestLog(local, FOLDER)
    log.commit(1, b'{"segments": []}')
    name = log.name(1)
    whole = local.get(name)
    damaged = [whole[:length] for length in range(len(whole))] + [whole + b"\0"]
    for at, bit in itertools.product(range(len(whole)), range(8)):
        damaged.append(whole[:at] + bytes((whole[at] ^ 1 << bit,)) + whole[at + 1 :])
    (path := local.local_path(name)) or pytest.fail("a local store has paths")
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(Corruption, match=name):
            log.latest()
    path.write_bytes(whole)
    assert log.latest() == (1, b'{"segments": []}')


def test_a_manifest_under_another_number_is_found(local: LocalStore) -> None:
    log = ManifestLog(local, FOLDER)
    log.commit(1, b"one")
    local.put(log.name(2), local.get(log.name(1)))
    with pytest.raises(Corruption, match="another number"):
        log.latest()


def test_a_later_format_is_refused_without_being_called_corrupt(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ManifestLog(local, FOLDER)
    with monkeypatch.context() as patch:
        patch.setattr("lutra.objects.manifest_log.FORMAT_VERSION", 2)
        log.commit(1, b"one")
    with pytest.raises(StorageFailure, match="format version 2; this Lutra reads up to 1"):
        log.latest()


def test_what_is_no_manifest_is_passed_over(local: LocalStore) -> None:
    log = ManifestLog(local, FOLDER)
    log.commit(1, b"one")
    local.put(f"{FOLDER}/99999999999999999999", b"")
    local.put(f"{FOLDER}/zzz", b"")
    local.put(f"{FOLDER}/00000000000000000002/x", b"")
    assert log.latest() == (1, b"one")


@pytest.mark.parametrize("number", [0, -1, 10**19])
def test_numbers_have_bounds(local: LocalStore, number: int) -> None:
    with pytest.raises(ParameterInvalid):
        ManifestLog(local, FOLDER).commit(number, b"")


def test_a_prefix_is_a_folder(local: LocalStore) -> None:
    for prefix in ("", "/", "../a"):
        with pytest.raises(ParameterInvalid):
            ManifestLog(local, prefix)


def test_its_own_put_is_recognised_where_the_reply_was_lost(store: ObjectStore) -> None:
    faulty = FaultyStore(store, [Fault(1, Effect.AFTER)])
    log = ManifestLog(faulty, FOLDER)
    assert log.commit(1, b"mine") == 1
    assert [operation.kind for operation in faulty.history] == ["put_if_absent", "get", "list"]
    assert log.commit(2, b"next") == 2


def test_another_payload_after_a_put_that_seemed_to_fail_goes_after_it(local: LocalStore) -> None:
    store = FaultyStore(local, [Fault(1, Effect.AFTER, lasts=True)])
    log = ManifestLog(store, FOLDER)
    for _ in range(2):
        with pytest.raises(StorageFailure):
            log.commit(1, b"first")
    store.heal()
    assert log.commit(1, b"second") == 2
    assert log.latest() == (2, b"second")
    assert log.read(1) == (1, b"first")
    assert log.commit(3, b"third") == 3


def test_the_same_payload_after_a_put_that_seemed_to_fail_is_there_already(local: LocalStore) -> None:
    store = FaultyStore(local, [Fault(1, Effect.AFTER, lasts=True)])
    log = ManifestLog(store, FOLDER)
    with pytest.raises(StorageFailure):
        log.commit(1, b"first")
    store.heal()
    assert log.commit(1, b"first") == 1
    assert log.numbers() == [1]


def test_a_put_that_failed_may_be_overtaken(local: LocalStore) -> None:
    store = FaultyStore(local, [Fault(1, Effect.BEFORE)])
    log = ManifestLog(store, FOLDER)
    with pytest.raises(StorageFailure, match="injected"):
        log.commit(1, b"mine")
    ManifestLog(local, FOLDER).commit(1, b"theirs")
    with pytest.raises(Fenced):
        log.commit(1, b"mine")


def scenario(log: ManifestLog, acknowledged: list[tuple[int, bytes]]) -> None:
    """A writer that goes on as the docstring of commit says; ``acknowledged`` is what it was told is there."""
    newest = log.latest()
    number = newest.number if newest else 0
    for payload in (b"a", b"b", b"c"):
        number = log.commit(number + 1, payload)
        acknowledged.append((number, payload))
        log.forget(number)


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("effect", list(Effect))
def test_nothing_acknowledged_is_lost_whichever_operation_fails(tmp_path: Path, effect: Effect, lasts: bool) -> None:
    for number in itertools.count(1):
        inner = LocalStore(tmp_path / str(number))
        store = FaultyStore(inner, [Fault(number, effect, lasts)])
        log = ManifestLog(store, FOLDER)
        acknowledged: list[tuple[int, bytes]] = []
        with_fault = True
        try:
            scenario(log, acknowledged)
        except (StorageFailure, Corruption):
            pass
        else:
            with_fault = store.operations >= number
        if not with_fault:
            break
        after_restart = ManifestLog(inner, FOLDER).latest()
        if acknowledged:
            assert after_restart is not None
            assert after_restart.number >= acknowledged[-1][0]
            if after_restart.number == acknowledged[-1][0]:
                assert after_restart == acknowledged[-1]
        store.heal()
        rest: list[tuple[int, bytes]] = []
        scenario(log, rest)
        assert ManifestLog(inner, FOLDER).latest() == rest[-1]
    assert number > 8


def test_writers_over_a_store_that_fails_at_random_agree(tmp_path: Path) -> None:
    for seed in range(5):
        inner = LocalStore(tmp_path / str(seed))
        history: list[tuple[int, bytes]] = []
        for life in range(6):
            store = FaultyStore(inner, seed=seed * 100 + life, rate=0.2)
            log = ManifestLog(store, FOLDER)
            try:
                newest = log.latest()
                number = newest.number if newest else 0
                if history:
                    assert newest is not None
                    assert newest.number >= history[-1][0]
                for step in range(20):
                    payload = f"{life}/{step}".encode()
                    number = log.commit(number + 1, payload)
                    history.append((number, payload))
            except StorageFailure:
                continue
        numbers = [number for number, _ in history]
        assert numbers == sorted(set(numbers))
        clean = ManifestLog(inner, FOLDER)
        assert [clean.read(number) for number in numbers] == history


def test_commit_and_forget_take_few_round_trips(store: ObjectStore) -> None:
    log = ManifestLog(store, FOLDER)
    log.commit(1, b"1")
    before = store.requests
    log.commit(2, b"2")
    assert (store.requests - before).round_trips == 2
    before = store.requests
    log.forget(2)
    assert (store.requests - before).round_trips == 2
