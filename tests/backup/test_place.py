"""Chunks and records at a place, who may delete them, and what is noticed of damage."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.folders import folder_in_memory
from support.s3_server import S3Server

from lutra.backup.checking import check_backups
from lutra.backup.copying import Copier
from lutra.backup.marks import PRUNING, RUNNING, STALE_AFTER_US, pruning, running
from lutra.backup.place import CHUNKS, BackupPlace
from lutra.backup.pruning import delete, prune
from lutra.backup.record import CHUNK_BYTES, Backup, Record, new_id
from lutra.backup.sources import BytesSource
from lutra.model.clock import SystemClock
from lutra.model.errors import Corruption, ObjectNotExist, OperationConflict, ParameterInvalid, StorageFailure


class HeldClock:
    """Each look is a little later than the one before."""

    def __init__(self, step_us: int = 1_000_000) -> None:
        self.time_us = 1_800_000_000_000_000
        self._step_us = step_us

    def now_us(self) -> int:
        self.time_us += self._step_us
        return self.time_us


def put(place: BackupPlace, clock: HeldClock, *contents: bytes, store: str = "s") -> str:
    """A backup of files of these contents: its id."""
    id, taken = new_id(clock.now_us())
    with running(place, id, clock) as mark:
        copier = Copier(place, mark, place.latest(3), lambda what, done, total: None)
        files = copier.copy([BytesSource(f"kv/{n}", data, f"id {data!r}") for n, data in enumerate(contents)])
        size_bytes = sum(file.size_bytes for file in files)
        place.put_record(Record(Backup(id, taken, "/data", size_bytes, copier.new_bytes), store, (), files))
    return id


def contents(place: BackupPlace, id: str) -> list[bytes]:
    return [b"".join(map(place.chunk, file.chunks)) for file in place.record(id).files]


@pytest.fixture
def place(tmp_path: Path) -> BackupPlace:
    return BackupPlace.to_write(tmp_path / "place")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@settings(max_examples=40)
@given(st.data())
def test_as_a_model_does(data: st.DataObject) -> None:
    """Backups that share contents, of two stores, and are deleted in any order: each stays what it was."""
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as folder:
        follow_a_model(BackupPlace.to_write(folder), HeldClock(step_us=data.draw(st.sampled_from([1, 700_000]))), data)


def follow_a_model(place: BackupPlace, clock: HeldClock, data: st.DataObject) -> None:
    pieces = st.lists(st.sampled_from([b"", b"a", b"b", b"c" * 100, b"d"]), max_size=4)
    model: dict[str, tuple[str, list[bytes]]] = {}
    for _ in range(data.draw(st.integers(1, 12))):
        action = data.draw(st.sampled_from(["put", "put", "put", "prune", "delete"]))
        if action == "put":
            of, store = data.draw(pieces), data.draw(st.sampled_from(["s", "t"]))
            model[put(place, clock, *of, store=store)] = (store, of)
        elif action == "prune":
            keep = data.draw(st.integers(1, 3))
            kept = {id for of in ("s", "t") for id in [id for id, (s, _) in model.items() if s == of][-keep:]}
            tried = prune(place, keep, is_tried=True, clock=clock)
            assert prune(place, keep, clock=clock) == tried
            assert set(tried.kept) == kept
            model = {id: found for id, found in model.items() if id in kept}
        elif model:
            gone = data.draw(st.sampled_from(sorted(model)))
            delete(place, frozenset({gone}), clock=clock)
            del model[gone]
        assert [id for id, _ in place.records()] == list(model)
        assert all(contents(place, id) == of for id, (_, of) in model.items())
        assert place.chunks() >= {chunk for id in model for chunk in place.record(id).chunks}
        if action != "put":
            assert place.chunks() == {chunk for id in model for chunk in place.record(id).chunks}
        check = check_backups(place)
        assert not check.faults
        assert check.backups == len(model)


def test_a_file_of_many_chunks(place: BackupPlace, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has in common with another is there once."""
    for module in ("record", "copying"):
        monkeypatch.setattr(f"lutra.backup.{module}.CHUNK_BYTES", 1_000)
    data = os.urandom(3_000) + b"end"
    first = put(place, clock, data, data[:2_000])
    assert len(place.chunks()) == 4
    assert place.record(first).backup.new_bytes == len(data)
    again = put(place, clock, data, b"more")
    assert place.record(again).backup.new_bytes == 4
    assert contents(place, first) == [data, data[:2_000]]
    assert contents(place, again) == [data, b"more"]


def test_what_is_damaged_is_named(place: BackupPlace, clock: HeldClock, tmp_path: Path) -> None:
    first, second = put(place, clock, b"shared", b"one"), put(place, clock, b"shared", b"two")
    shared = place.record(first).files[0].chunks[0]
    (tmp_path / "place" / CHUNKS / shared).write_bytes(b"sharef")
    faults = check_backups(place).faults
    assert [(fault.backup, fault.files) for fault in faults] == [(first, ("kv/0",)), (second, ("kv/0",))]
    assert f"chunks/{shared}" in faults[0].text
    assert "damaged" in faults[0].text
    (tmp_path / "place" / CHUNKS / shared).unlink()
    (fault,) = check_backups(place, [second]).faults
    assert "missing" in fault.text
    third = put(place, clock, b"shared")  # whatever identity says: what is missing is copied again
    assert not check_backups(place).faults
    assert contents(place, third) == contents(place, first)[:1] == [b"shared"]


def test_of_a_damaged_record_nothing_is_guessed(place: BackupPlace, clock: HeldClock, tmp_path: Path) -> None:
    first, second = put(place, clock, b"one"), put(place, clock, b"two")
    path = tmp_path / "place" / "backups" / second
    path.write_bytes(path.read_bytes()[:-1])
    chunks = place.chunks()
    with pytest.raises(Corruption, match=second):
        prune(place, 1, clock=clock)
    with pytest.raises(Corruption, match=second):
        delete(place, frozenset({first}), clock=clock)
    with pytest.raises(Corruption, match=second):
        place.newest()
    assert place.chunks() == chunks
    assert place.ids() == [first, second]
    assert [fault.backup for fault in check_backups(place).faults] == [second]
    assert delete(place, frozenset({second}), clock=clock).kept == (first,)
    assert contents(place, first) == [b"one"]
    assert len(place.chunks()) == 1


def test_newest(place: BackupPlace, clock: HeldClock) -> None:
    with pytest.raises(ObjectNotExist, match="no backup at"):
        place.newest()
    put(place, clock, b"one")
    second = put(place, clock, b"two")
    assert place.newest().backup.id == second
    put(place, clock, b"three", store="another")
    with pytest.raises(ParameterInvalid, match="2 databases"):
        place.newest()
    none = "20260131T235959Z-0a1b2c3d"
    with pytest.raises(ObjectNotExist, match=none):
        place.record(none)
    with pytest.raises(ObjectNotExist, match=none):
        delete(place, frozenset({none}), clock=clock)


# --- whose place it is ----------------------------------------------------------------------------------------------


def test_a_place_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "otter.jpg").write_bytes(b"")
    with pytest.raises(ParameterInvalid, match=r"holds other things \(otter.jpg"):
        BackupPlace.to_write(tmp_path / "photos")
    assert os.listdir(tmp_path / "photos") == ["otter.jpg"]
    for nothing in (tmp_path / "photos", tmp_path / "nowhere"):
        with pytest.raises(StorageFailure, match="no backups at"):
            BackupPlace.to_read(nothing)
        with pytest.raises(StorageFailure, match="no backups at"):
            BackupPlace.to_write(nothing, may_make=False)
    assert not (tmp_path / "nowhere").exists()


def test_pruning_touches_only_what_is_its_own(place: BackupPlace, clock: HeldClock, tmp_path: Path) -> None:
    root = tmp_path / "place"
    put(place, clock, b"one")
    put(place, clock, b"two")
    others = [root / "notes.txt", root / CHUNKS / "notes.txt", root / "backups" / "readme", root / CHUNKS / ("A" * 64)]
    for path in others:
        path.write_bytes(b"mine")
    prune(place, 1, clock=clock)
    assert all(path.read_bytes() == b"mine" for path in others)


def test_a_newer_place_is_refused(place: BackupPlace, tmp_path: Path) -> None:
    (tmp_path / "place" / "lutra-backups").write_text('{"format": 2}')
    with pytest.raises(StorageFailure, match="format version 2; this Lutra reads up to 1"):
        BackupPlace.to_read(tmp_path / "place")


# --- who goes on, of one that backs up and one that prunes ----------------------------------------------------------


def test_nothing_is_pruned_while_a_backup_is_made(place: BackupPlace, clock: HeldClock) -> None:
    id = put(place, clock, b"one")
    with running(place, "a", clock):
        with pytest.raises(OperationConflict, match="running/a"):
            prune(place, 1, clock=clock)
        put(place, clock, b"two")  # others back up at the same time
    with pruning(place, "b", clock):
        with pytest.raises(OperationConflict, match="pruning/b"):
            put(place, clock, b"three")
        with pytest.raises(OperationConflict, match="pruning/b"):
            delete(place, frozenset({id}), clock=clock)
    assert not place.store.list(RUNNING)
    assert not place.store.list(PRUNING)
    assert len(prune(place, 1, clock=clock).deleted) == 1


def test_the_mark_of_a_crash_holds_nobody_up(place: BackupPlace, clock: HeldClock) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    marks = {
        "of-a-process-that-is-gone": {"host": socket.gethostname(), "process": ended.pid, "time_us": clock.now_us()},
        "of-an-hour-ago": {"host": "elsewhere", "process": 1, "time_us": clock.now_us() - STALE_AFTER_US - 1_000},
    }
    for name, mark in marks.items():
        place.store.put(RUNNING + name, json.dumps(mark).encode())
    prune(place, 1, clock=clock)
    assert not place.store.list(RUNNING)
    fresh = {"host": "elsewhere", "process": ended.pid, "time_us": clock.now_us()}
    place.store.put(RUNNING + "fresh", json.dumps(fresh).encode())
    place.store.put(RUNNING + "of-a-newer-lutra", b"?")
    with pytest.raises(OperationConflict, match="running/fresh"):
        prune(place, 1, clock=clock)
    assert len(place.store.list(RUNNING)) == 2


def test_a_pruning_that_was_taken_for_dead_deletes_no_more(place: BackupPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HeldClock()
    put(place, clock, b"one")
    put(place, clock, b"two")
    chunks = place.chunks()
    delete_record = place.delete_record

    def sleep_then_delete(id: str) -> None:
        for name in place.store.list(PRUNING):  # as who makes a backup an hour later does
            place.store.delete(name)
        delete_record(id)

    monkeypatch.setattr(place, "delete_record", sleep_then_delete)
    with pytest.raises(OperationConflict, match="prune again"):
        prune(place, 1, clock=clock)
    assert place.chunks() == chunks


def test_the_mark_is_renewed(place: BackupPlace, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(place, "a", clock) as mark:
        before = place.store.get(mark.name)
        mark.renew()
        assert place.store.get(mark.name) == before
        monkeypatch.setattr("lutra.backup.marks.RENEWED_EVERY_S", 0.0)
        mark.renew()
        assert place.store.get(mark.name) != before
        place.store.delete(mark.name)
        mark.renew()  # not put again by who was taken for dead
        assert not mark.is_there


# --- S3 -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_s3(s3: S3Server, clock: HeldClock) -> None:
    place = BackupPlace.to_write(s3.url(uuid.uuid4().hex))
    data = os.urandom(CHUNK_BYTES + 5)
    first, second = put(place, clock, data, b"one"), put(place, clock, data, b"two")
    assert place.record(second).backup.new_bytes == 3
    prune(place, 1, clock=clock)
    assert contents(place, second) == [data, b"two"]
    assert place.ids() == [second] != [first]
    check = check_backups(place)
    assert (check.faults, check.size_bytes, check.unneeded) == ([], len(data) + 3, 0)
    assert not place.store.list(RUNNING)


def test_the_machines_clock_will_do(place: BackupPlace) -> None:
    put(place, HeldClock(), b"one")
    assert prune(place, 1).kept == tuple(place.ids())
    assert SystemClock().now_us() > 1_700_000_000_000_000
