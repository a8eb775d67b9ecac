"""What every store does alike: a local folder, and S3 on a real server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lutra.model.errors import ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.store import ObjectStore

ODD_NAMES = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".hidden",
    "a/.unfinished",
    ".unfinished/a",
    "a b",
    "a\\b",
    "a\x00b",
    "a\nb",
    "a%2e",
    "ä",
    "a" * 201,
    "/".join("a" * 100 for _ in range(6)),
]


def test_an_object_is_what_was_put_last(store: ObjectStore) -> None:
    for data in (b"one", b"", bytes(range(256)) * 100):
        store.put("a/b/c", data)
        assert store.get("a/b/c") == data
        assert store.size("a/b/c") == len(data)


def test_buffers_are_bytes_too(store: ObjectStore) -> None:
    store.put("a", bytearray(b"12"))
    assert store.put_if_absent("b", memoryview(b"0123")[1:3])
    assert (store.get("a"), store.get("b")) == (b"12", b"12")


def test_put_if_absent_leaves_what_is_there(store: ObjectStore) -> None:
    assert store.put_if_absent("m/1", b"mine")
    assert not store.put_if_absent("m/1", b"theirs")
    assert store.get("m/1") == b"mine"
    store.delete("m/1")
    assert store.put_if_absent("m/1", b"theirs")


@pytest.mark.parametrize("round_number", range(5))
def test_of_sixteen_that_put_if_absent_one_wins(store: ObjectStore, round_number: int) -> None:
    start = threading.Barrier(16, timeout=30)

    def put(rival: int) -> bool:
        start.wait()
        return store.put_if_absent(f"race/{round_number}", bytes((rival,)) * 1_000)

    with ThreadPoolExecutor(16) as rivals:
        won = list(rivals.map(put, range(16)))
    assert sum(won) == 1
    assert store.get(f"race/{round_number}") == bytes((won.index(True),)) * 1_000


def test_a_file_is_moved_in(store: ObjectStore, tmp_path: Path) -> None:
    for data in (b"first", b"", b"third"):
        path = tmp_path / "built"
        path.write_bytes(data)
        store.put_file("segments/1", path)
        assert store.get("segments/1") == data
        assert not path.exists()


def test_a_file_that_is_not_there_is_not_moved_in(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match="segments/1"):
        store.put_file("segments/1", tmp_path / "none")
    assert store.list("") == []


def test_ranges_are_read_exactly(store: ObjectStore) -> None:
    data = bytes(range(256)) * 1_000
    store.put("a", data)
    for offset, length in [(0, 1), (0, 256_000), (255_999, 1), (100, 5_000), (0, 0), (256_000, 0), (7, 0)]:
        assert store.read("a", offset, length) == data[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(256_000, 1), (255_999, 2), (0, 256_001), (300_000, 5), (300_000, 0)])
def test_a_range_beyond_the_end_is_no_range(store: ObjectStore, offset: int, length: int) -> None:
    store.put("a", bytes(256_000))
    with pytest.raises(StorageFailure, match="a: "):
        store.read("a", offset, length)
    with pytest.raises(StorageFailure, match="a: "):
        store.read_many("a", [(0, 10), (offset, length)])


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_a_range_is_not_negative(store: ObjectStore, offset: int, length: int) -> None:
    store.put("a", b"123")
    with pytest.raises(ParameterInvalid, match="not a range"):
        store.read("a", offset, length)


def test_many_ranges_come_in_the_order_asked_for(store: ObjectStore) -> None:
    data = bytes(i * 7 % 251 for i in range(3_000_000))
    store.put("a", data)
    ranges = [(2_900_000, 100_000), (0, 10), (5, 10), (1_000_000, 0), (70_000, 4_096), (74_096, 4_096), (0, 10)]
    assert store.read_many("a", ranges) == [data[at : at + length] for at, length in ranges]
    assert store.read_many("a", []) == []


def test_what_is_not_there_is_missing(store: ObjectStore) -> None:
    store.put("folder/there", b"1")
    for name in ("nothing", "folder", "folder/nothing"):
        for read in (store.get, store.size, lambda name: store.read(name, 0, 1), lambda name: store.read(name, 0, 0)):
            with pytest.raises(ObjectMissing, match=name):
                read(name)
        store.delete(name)
    assert store.list("") == ["folder/there"]


def test_lists_are_sorted_and_of_the_folder(store: ObjectStore) -> None:
    names = ["b", "a/1", "a/0/z", "a/0-z", "a.b/1", "ab/1", "a/10", "a/2"]
    for name in names:
        store.put(name, b"")
    assert store.list("") == sorted(names)
    assert store.list("a") == store.list("a/") == sorted(name for name in names if name.startswith("a/"))
    assert store.list("a/0") == ["a/0/z"]
    assert store.list("a/1") == []
    assert store.list("none") == []


def test_deleted_is_gone_and_may_be_deleted_again(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    store.delete("a/b")
    store.delete("a/b")
    assert store.list("") == []
    with pytest.raises(ObjectMissing):
        store.get("a/b")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_refused_everywhere(store: ObjectStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    calls = [
        lambda: store.put(name, b"1"),
        lambda: store.put_if_absent(name, b"1"),
        lambda: store.put_file(name, path),
        lambda: store.get(name),
        lambda: store.read(name, 0, 1),
        lambda: store.size(name),
        lambda: store.delete(name),
        lambda: store.local_path(name),
    ]
    if name not in {"", "a/"}:
        calls.append(lambda: store.list(name))
    for call in calls:
        with pytest.raises(ParameterInvalid):
            call()
    assert path.exists()
    assert store.list("") == []


def test_requests_are_counted_by_kind(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    before = store.requests
    store.put("a", b"123")
    store.put_if_absent("a", b"1")
    store.put_file("b", path)
    store.get("a")
    store.read("a", 0, 2)
    store.size("a")
    store.list("")
    store.delete("a")
    spent = store.requests - before
    assert (spent.puts, spent.gets, spent.ranged_reads, spent.heads, spent.lists, spent.deletes) == (3, 1, 1, 1, 1, 1)
    assert (spent.written_bytes, spent.read_bytes, spent.round_trips) == (9, 5, 8)


def test_many_threads_at_once(store: ObjectStore) -> None:
    def work(worker: int) -> None:
        for i in range(10):
            name = f"w{worker % 3}/{worker}-{i}"
            store.put(name, name.encode() * 50)
            assert store.get(name) == name.encode() * 50
            assert store.read(name, 3, 4) == (name.encode() * 50)[3:7]
            if i % 2:
                store.delete(name)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    assert len(store.list("")) == 8 * 5
    assert store.requests.puts == 80
